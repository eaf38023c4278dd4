"""The settings of a relay that callnet runs itself: what is wrong with them, and what follows from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from ipaddress import ip_address
from typing import Final

from msgspec.structs import replace

from callnet.config.endpoints import network_objection
from callnet.config.schema import SupervisedSettings, TurnSettings
from callnet.errors import StartError
from callnet.frames import ice

_SECTION: Final = "turn.supervised"
_PORT_MIN: Final = 1024
_PORT_MAX: Final = 65535


def directory(state_dir: str) -> str:
    """Where the relay's files are."""
    return os.path.join(state_dir, "relay")


def secret_file(state_dir: str) -> str:
    """The file with the secret that credentials are made with."""
    return os.path.join(directory(state_dir), "secret")


def proxy_place(settings: SupervisedSettings) -> str:
    """Where connections are handed over, as ``turn`` of a listener of the site."""
    return f"tcp:127.0.0.1:{settings.proxy_port}"


def complete(turn: TurnSettings, state_dir: str, one_port: int) -> TurnSettings:
    """The settings with those that callnet makes itself.

    :param one_port: the port on which it is handed the connections of its clients by TLS; 0: it is not.
    :raises StartError: a setting is wrong.
    """
    if turn.urls or turn.stun or turn.secret or turn.secret_file:
        raise StartError(
            'turn.relay = "supervised" makes turn.urls, turn.stun and the secret itself; remove them from the settings'
        )
    _check(turn.supervised)
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
        found.append(f"turns:{_bracketed(settings.host)}:{tls_port}?transport=tcp")
    return tuple(found)


def _uri(scheme: str, settings: SupervisedSettings) -> str:
    return f"{scheme}:{_bracketed(settings.host)}:{settings.port}"


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _check(settings: SupervisedSettings) -> None:
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
    _check_each("listening_addresses", settings.listening_addresses, _address_objection)
    _check_each("external_addresses", settings.external_addresses, _external_objection)
    _check_each("allowed_peers", settings.allowed_peers, network_objection)


def _check_each(name: str, values: Iterable[str], objection: Callable[[str], str | None]) -> None:
    for index, value in enumerate(values):
        wrong = objection(value)
        if wrong:
            raise StartError(f"{_SECTION}.{name}[{index}] {wrong}")


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
