"""The services that the daemon needs: the database, Redis, STUN and TURN servers."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from typing import Final, TypeVar

from callnet.config.schema import DatabaseSettings, RedisSettings, Settings, TurnSettings
from callnet.doctor import stun
from callnet.doctor.findings import Finding, bad, doubt, good
from callnet.errors import StartError, Unavailable, root_cause
from callnet.frames.ice import turn_server
from callnet.ops.ice import read_turn_secret
from callnet.redis import url as redis_url
from callnet.redis.check import reachable
from callnet.relay.obstacles import Obstacle, find_program
from callnet.storage.database import Database

_T = TypeVar("_T")
_SLOW: Final = 0.1
"""Seconds after which an answer of what is asked all the time is slow."""
_CLOCKS_DIFFER: Final = 2.0
"""Seconds."""
_CREDENTIALS_LAST: Final = 60
"""Seconds."""


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at the services."""
    yield from _database(settings.database)
    if settings.redis.url:
        yield _redis(settings.redis)
    yield from _turn(settings.turn)
    for uri in settings.turn.stun:
        yield _stun(uri)


def _database(settings: DatabaseSettings) -> Iterator[Finding]:
    about = "database"
    try:
        database = Database(settings.url)
    except StartError as error:
        yield bad(about, str(error))
        return
    try:
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
    finally:
        database.close()


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


def _turn(settings: TurnSettings) -> Iterator[Finding]:
    if not settings.urls:
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
    for uri in settings.urls:
        server = turn_server([uri], secret, int(time.time()) + _CREDENTIALS_LAST, "doctor")
        try:
            code = stun.allocate(uri, server.username, server.credential)
        except OSError as error:
            yield bad("turn", f"{uri}: {error.strerror or error}", _advice(settings))
        else:
            yield _answered(uri, code)


def _advice(settings: TurnSettings) -> str:
    if settings.relay == "supervised":
        return "start callnet, which runs it; see callnet status; check turn.supervised.host, firewalls and NAT"
    return "start it, or correct turn.urls; check firewalls"


def _answered(uri: str, code: int) -> Finding:
    if code == 0:
        return good("turn", f"{uri} accepts the secret and relays")
    if code == stun.UNAUTHORIZED:
        return bad("turn", f"{uri} rejects the secret", "give it the same secret (docs/turn.md)")
    return bad("turn", f"{uri} refuses with code {code}", "look in its log")


def _stun(uri: str) -> Finding:
    try:
        seen = stun.bind(uri)
    except OSError as error:
        return bad("stun", f"{uri}: {error.strerror or error}", "start it, or correct turn.stun; check firewalls")
    return good("stun", f"{uri} answers") if seen else bad("stun", f"{uri} does not report addresses")


def _timed(ask: Callable[[], _T]) -> tuple[float, _T]:
    """Seconds that an answer took, and the answer."""
    began = time.monotonic()
    answer = ask()
    return time.monotonic() - began, answer
