"""The services that the daemon needs: the database, Redis, STUN and TURN servers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import datetime, timedelta
from ipaddress import ip_address, ip_network
from typing import Final, TypeVar

from callnet.config.schema import DatabaseSettings, RedisSettings, Settings, SupervisedSettings, TurnSettings
from callnet.doctor import stun
from callnet.doctor.findings import Finding, bad, doubt, good
from callnet.doctor.network import is_private, resolve
from callnet.doctor.stun import Relay
from callnet.errors import StartError, Unavailable, root_cause
from callnet.frames.ice import parse_uri, turn_server
from callnet.ops.ice import read_turn_secret
from callnet.redis import url as redis_url
from callnet.redis.check import reachable
from callnet.relay.turnserver_conf import Obstacle, find_program
from callnet.storage.database import Database
from callnet.util.net import bracketed

_T = TypeVar("_T")
_SLOW: Final = 0.1
"""Seconds after which an answer of what is asked all the time is slow."""
_CLOCKS_DIFFER: Final = 2.0
"""Seconds."""
_CREDENTIALS_LAST: Final = 60
"""Seconds."""
_LATER: Final = timedelta(days=400)
_FORBIDDEN: Final = ("127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.0.1", "169.254.169.254")
"""Addresses that no relay should reach: loopback, private networks, and the metadata service of clouds."""


def examine(settings: Settings, runs: bool, now: datetime) -> Iterator[Finding]:
    """Look at the services.

    :param runs: callnet runs.
    :param now: with a time zone.
    """
    yield from _database(settings.database, runs)
    if settings.redis.url:
        yield _redis(settings.redis)
    yield from _turn(settings.turn, now)
    for uri in (uri for relay in settings.turn.all_relays for uri in relay.stun):
        yield _stun(uri, _place(settings.turn, "stun"))


def _database(settings: DatabaseSettings, runs: bool) -> Iterator[Finding]:
    about = "database"
    try:
        with closing(Database(settings.url)) as database:
            if database.is_missing and runs:
                text = f"{database.file} does not exist, but callnet runs: it has other settings"
                yield bad(about, text, "run this with the settings and secrets of the service (docs/operating.md)")
                return
            if database.is_missing:
                yield good(about, "SQLite; the file will be created at the first start")
                return
            yield _schema(database, settings.upgrade_on_start)
            took, difference = _timed(database.clock_difference)
        if took > _SLOW:
            yield doubt(about, f"slow: {took * 1000:.0f} ms to answer", "move it closer or reduce its load")
        if abs(difference) > _CLOCKS_DIFFER:
            yield doubt(about, f"its clock differs from this one by {difference:+.0f} s", "synchronise both clocks")
    except StartError as error:
        yield bad(about, str(error))
    except Unavailable as error:
        yield bad(about, f"connection lost: {root_cause(error)}")


def _schema(database: Database, upgrades: bool) -> Finding:
    theirs, ours = database.levels()
    if theirs < ours and upgrades:
        return good("database", f"schema level {theirs}; the next start upgrades it to {ours}")
    database.check()
    return good("database", f"schema level {theirs}")


def _redis(settings: RedisSettings) -> Finding:
    about = "redis"
    try:
        target = redis_url.parse(settings)
    except StartError as error:
        return bad(about, str(error))
    took, cause = _timed(lambda: reachable(target))
    if cause is not None:
        return bad(about, cause, "start it, or correct redis.url")
    if took > _SLOW:
        return doubt(about, f"{target}: slow: {took * 1000:.0f} ms to connect", "move it closer or reduce its load")
    return good(about, str(target))


def _turn(settings: TurnSettings, now: datetime) -> Iterator[Finding]:
    if not settings.all_urls:
        yield doubt("turn", "no TURN server: people behind some NATs will not reach each other", "docs/turn.md")
        return
    if settings.relay == "supervised":
        try:
            find_program(settings.supervised)
        except Obstacle as obstacle:
            yield bad("relay", str(obstacle), "on Debian: apt-get install coturn")
            return
        if not os.path.exists(settings.secret_file):
            yield good("relay", "coturn is installed; callnet starts it")
            return
    try:
        secret = read_turn_secret(settings)
    except StartError as error:
        yield bad("turn", str(error))
        return
    forbidden = _forbidden(settings.supervised)
    for each in settings.all_relays:
        relays = {uri: _asked(uri, secret, now, forbidden) for uri in each.urls}
        inside = _inside(settings.supervised) if settings.relay == "supervised" else ""
        answered = any(isinstance(relay, Relay) for relay in relays.values())
        if not answered and inside and isinstance(relay := _asked(inside, secret, now, forbidden), Relay):
            yield _relay(settings, inside, relay, secret, now)
            yield _behind_nat(settings.supervised)
        else:
            yield from _addresses(settings, relays, secret, now)
    if not any(parse_uri(uri).transport == "udp" for uri in settings.all_urls):
        advice = f"add a URI with ?transport=udp to {_place(settings, 'urls')}"
        yield doubt("turn", "no relay over UDP: media over TCP stutters", advice)


def _place(settings: TurnSettings, name: str) -> str:
    """The setting in which URIs are, for people."""
    return f"{name} in turn.relays" if settings.relays else f"turn.{name}"


def _addresses(
    settings: TurnSettings, relays: Mapping[str, Relay | str], secret: str, now: datetime
) -> Iterator[Finding]:
    answered = any(isinstance(relay, Relay) for relay in relays.values())
    for uri, relay in relays.items():
        if isinstance(relay, Relay):
            yield _relay(settings, uri, relay, secret, now)
        elif answered and parse_uri(uri).transport == "udp":
            yield bad(
                "turn", f"{uri}: no answer over UDP, but over TCP", "open its UDP port, and 49152-65535, in firewalls"
            )
        else:
            yield bad("turn", f"{uri}: {relay}", _advice(settings))


def _behind_nat(settings: SupervisedSettings) -> Finding:
    return doubt(
        "turn",
        f"{settings.host} does not answer from here, but this machine does: the NAT in front does not turn connections"
        " from inside back (hairpin), or does not forward the relay's ports",
        f"forward TCP and UDP {settings.port}, and UDP {settings.relay_ports}",
    )


def _forbidden(settings: SupervisedSettings) -> Sequence[str]:
    """Addresses that the relay should not reach, but for those that are allowed on purpose."""
    allowed = [ip_network(network) for network in settings.allowed_peers]
    return [peer for peer in _FORBIDDEN if not any(ip_address(peer) in network for network in allowed)]


def _advice(settings: TurnSettings) -> str:
    if settings.relay == "supervised":
        return "start callnet, which runs it; see callnet status; check turn.supervised.host, firewalls and NAT"
    return f"start it, or correct {_place(settings, 'urls')}; check firewalls"


def _inside(settings: SupervisedSettings) -> str:
    """The URI of the relay of this machine."""
    host = next(iter(settings.listening_addresses), "127.0.0.1")
    return f"turn:{bracketed(host)}:{settings.port}?transport=udp"


def _asked(uri: str, secret: str, now: datetime, forbidden: Sequence[str] = ()) -> Relay | str:
    """The answer of a relay, or the reason why there is none."""
    server = turn_server([uri], secret, int(now.timestamp()) + _CREDENTIALS_LAST, "doctor")
    try:
        return stun.probe(uri, server.username, server.credential, forbidden)
    except OSError as error:
        return error.strerror or str(error)


def _relay(settings: TurnSettings, uri: str, relay: Relay, secret: str, now: datetime) -> Finding:
    if relay.code == stun.UNAUTHORIZED:
        later = _asked(uri, secret, now + _LATER)
        if isinstance(later, Relay) and later.code == 0:
            return bad(
                "turn", f"{uri} takes credentials for expired: its clock is ahead of this one", "set both clocks"
            )
        return bad("turn", f"{uri} rejects the secret", "give it the same secret (docs/turn.md)")
    is_own = settings.relay == "supervised"
    if relay.code:
        return bad("turn", f"{uri} refuses with code {relay.code}", "look in its log")
    if relay.reaches:
        return bad(
            "turn",
            f"{uri} relays to {relay.reaches}: callers reach the network behind it",
            "remove it from turn.supervised.allowed_peers"
            if is_own
            else "set denied-peer-ip as in etc/turnserver.conf",
        )
    if is_private(relay.address) and relay.address not in resolve(parse_uri(uri).host):
        return bad(
            "turn",
            f"{uri} relays from {relay.address}, which others do not reach",
            f"set {'turn.supervised.external_addresses' if is_own else 'external-ip in turnserver.conf'}",
        )
    return good("turn", f"{uri} accepts the secret and relays")


def _stun(uri: str, place: str) -> Finding:
    try:
        seen = stun.bind(uri)
    except OSError as error:
        return bad("stun", f"{uri}: {error.strerror or error}", f"start it, or correct {place}; check firewalls")
    return good("stun", f"{uri} answers") if seen else bad("stun", f"{uri} does not report addresses")


def _timed(ask: Callable[[], _T]) -> tuple[float, _T]:
    """Seconds that an answer took, and the answer."""
    began = time.monotonic()
    answer = ask()
    return time.monotonic() - began, answer
