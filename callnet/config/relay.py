"""The settings of relays: what is wrong with them, and what follows from those of a relay that callnet runs itself."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from ipaddress import ip_address, ip_network
from typing import Final

from msgspec.structs import replace

from callnet.config.endpoints import network_objection
from callnet.config.schema import RelaySettings, SupervisedSettings, TurnSettings
from callnet.errors import StartError
from callnet.frames import ice
from callnet.util.net import IPV6_SITE, bracketed

_SECTION: Final = "turn.supervised"
_PORT_MIN: Final = 1024
_PORT_MAX: Final = 65535
_IPV6: Final = 6


def directory(state_dir: str) -> str:
    """Where the relay's files are."""
    return os.path.join(state_dir, "relay")


def secret_file(state_dir: str) -> str:
    """The file with the secret that credentials are made with."""
    return os.path.join(directory(state_dir), "secret")


def proxy_place(settings: SupervisedSettings) -> str:
    """Where connections are handed over, as ``turn`` of a listener of the site."""
    return f"tcp:127.0.0.1:{settings.proxy_port}"


def check(turn: TurnSettings) -> None:
    """Check the servers that clients are told of, and the secret.

    :raises StartError: a setting is wrong.
    """
    if turn.relays and (turn.urls or turn.stun):
        raise StartError("turn.relays is set, and turn.urls or turn.stun too; make these a relay in turn.relays")
    for index, relay in enumerate(turn.all_relays):
        _check_servers(f"turn.relays[{index}]" if turn.relays else "turn", relay)
    seen: set[str] = set()
    for index, relay in enumerate(turn.relays):
        key = f"turn.relays[{index}]"
        if not relay.urls:
            raise StartError(f"{key}.urls must not be empty")
        if not seen.isdisjoint(relay.urls):
            raise StartError(f"{key}.urls: one of them is another relay's too; a relay may have several networks")
        seen.update(relay.urls)
        _check_each(f"{key}.networks", relay.networks, _client_network_objection)
        if len({ip_network(network) for network in relay.networks}) < len(relay.networks):
            raise StartError(f"{key}.networks: one of them is listed twice")
    if turn.secret and turn.secret_file:
        raise StartError("turn.secret and turn.secret_file are both set; remove one")
    if turn.all_urls and not (turn.secret or turn.secret_file):
        raise StartError(
            f"turn.secret or turn.secret_file must be set, since turn.{'relays' if turn.relays else 'urls'} is:"
            " TURN servers require credentials"
        )
    if turn.secret and not ice.is_secret(turn.secret):
        raise StartError(f"turn.secret must have {ice.SECRET_MIN} to {ice.SECRET_MAX} ASCII characters without spaces")


def _check_servers(key: str, relay: RelaySettings) -> None:
    for index, uri in enumerate(relay.urls):
        if not ice.is_turn_uri(uri):
            raise StartError(
                f'{key}.urls[{index}] must be a URI such as "turn:turn.example.org:3478?transport=udp"'
                ' or "turns:turn.example.org:5349?transport=tcp" (RFC 7065)'
            )
    for index, uri in enumerate(relay.stun):
        if not ice.is_stun_uri(uri):
            raise StartError(f'{key}.stun[{index}] must be a URI such as "stun:turn.example.org:3478" (RFC 7064)')


def _client_network_objection(text: str) -> str | None:
    objection = network_objection(text)
    if objection is not None:
        return objection
    network = ip_network(text)
    if network.version == _IPV6 and network.prefixlen > IPV6_SITE:
        return f"must not be smaller than a /{IPV6_SITE}, by which callnet tells clients of IPv6 apart"
    return None


def complete(turn: TurnSettings, state_dir: str, one_port: int) -> TurnSettings:
    """The settings with those that callnet makes itself.

    :param one_port: the port on which it is handed the connections of its clients by TLS; 0: it is not.
    :raises StartError: a setting is wrong.
    """
    if turn.relays:
        raise StartError('turn.relay = "supervised" and turn.relays are both set; remove one')
    if turn.urls or turn.stun or turn.secret or turn.secret_file:
        raise StartError(
            'turn.relay = "supervised" makes turn.urls, turn.stun and the secret itself; remove them from the settings,'
            " and CALLNET_TURN_SECRET from the environment"
        )
    _check_supervised(turn.supervised)
    if one_port and turn.supervised.tls_port:
        raise StartError(f"{_SECTION}.tls_port and one_port are both set; remove one")
    if one_port and turn.supervised.proxy_port in (one_port, turn.supervised.port):
        raise StartError(f"{_SECTION}.proxy_port must differ from one_port and {_SECTION}.port")
    return replace(
        turn,
        urls=urls(turn.supervised, one_port),
        stun=(_uri("stun", turn.supervised),),
        secret_file=secret_file(state_dir),
    )


def urls(settings: SupervisedSettings, one_port: int) -> tuple[str, ...]:
    """The URIs of the relay."""
    plain, tls_port = _uri("turn", settings), one_port or settings.tls_port
    found = [f"{plain}?transport=udp"]
    if not one_port:
        found.append(f"{plain}?transport=tcp")
    if tls_port:
        found.append(f"turns:{bracketed(settings.host)}:{tls_port}?transport=tcp")
    return tuple(found)


def _uri(scheme: str, settings: SupervisedSettings) -> str:
    return f"{scheme}:{bracketed(settings.host)}:{settings.port}"


def _check_supervised(settings: SupervisedSettings) -> None:
    if not settings.host:
        raise StartError(f'{_SECTION}.host must be set, since turn.relay is "supervised": clients are told it')
    if not ice.is_turn_uri(_uri("turn", settings)):
        raise StartError(f'{_SECTION}.host must be a name such as "calls.example.org", or an address')
    if settings.tls_port == settings.port:
        raise StartError(f"{_SECTION}.tls_port and {_SECTION}.port must differ")
    low, high = map(int, settings.relay_ports.split("-"))
    if not _PORT_MIN <= low <= high <= _PORT_MAX:
        raise StartError(f"{_SECTION}.relay_ports must be two ports from {_PORT_MIN} to {_PORT_MAX}, the lower first")
    if any(low <= port <= high for port in (settings.port, settings.tls_port)):
        raise StartError(f"{_SECTION}.relay_ports must not include {_SECTION}.port or {_SECTION}.tls_port")
    _check_each(f"{_SECTION}.listening_addresses", settings.listening_addresses, _address_objection)
    _check_each(f"{_SECTION}.external_addresses", settings.external_addresses, _external_objection)
    _check_each(f"{_SECTION}.allowed_peers", settings.allowed_peers, network_objection)


def _check_each(key: str, values: Iterable[str], objection: Callable[[str], str | None]) -> None:
    for index, value in enumerate(values):
        wrong = objection(value)
        if wrong:
            raise StartError(f"{key}[{index}] {wrong}")


def _address_objection(address: str) -> str | None:
    return None if _version(address) else "must be an address of this machine"


def _external_objection(address: str) -> str | None:
    public, slash, own = address.partition("/")
    version = _version(public)
    if version and (not slash or _version(own) == version):
        return None
    return (
        'must be a public address such as "203.0.113.7",'
        ' or it and the machine\'s own of the same family: "203.0.113.7/10.0.0.7"'
    )


def _version(address: str) -> int:
    """The family of an address; 0: it is none."""
    try:
        found = ip_address(address)
    except ValueError:
        return 0
    return 0 if "%" in address else found.version
