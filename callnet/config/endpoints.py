"""The endpoint strings of listeners, checked before anything is opened.

A listener is one of Twisted's plain server endpoints. Whether TLS or a proxy's header is spoken on it is
the business of the listener's other settings, so the strings that would wrap it in those are refused.
"""

from __future__ import annotations

import re
from ipaddress import ip_address, ip_network
from typing import Final

PLAIN: Final = ("tcp", "tcp6", "unix", "systemd")

_ADVICE: Final = {
    "ssl": "use tcp: with tls = true beside it, and set the certificate under [tls]",
    "tls": "use tcp: with tls = true beside it, and set the certificate under [tls]",
    "haproxy": "remove this prefix and list the networks of your load balancers in proxy_protocol beside the endpoint",
}
UNIX_PEERS: Final = "unix"
"""The value that trusts every process that can reach a UNIX socket."""
_COLON = re.compile(r"(?<!\\):")
_CLIENT = re.compile(r"tcp:(?P<host>(?:[A-Za-z0-9._-]|\\:)+):(?P<port>[0-9]{1,5})")
_TCP_ARGUMENTS = {"port", "interface", "backlog"}
_PORT = re.compile(r"[0-9]{1,5}")
_PORT_MAX = 65535
_BACKLOG = re.compile(r"[0-9]{1,9}")


def objection(endpoint: str) -> str | None:
    """Say what is wrong with an endpoint string, and what to write; ``None`` if it is acceptable."""
    kind, *rest = _COLON.split(endpoint)
    if kind in _ADVICE:
        return f"{kind}: endpoints are not supported: {_ADVICE[kind]}"
    if kind not in PLAIN or not rest or not rest[0]:
        return 'must be an endpoint such as "tcp:8080:interface=127.0.0.1", "tcp6:…", "unix:…" or "systemd:…"'
    return (_tcp_objection(rest) if kind in ("tcp", "tcp6") else None) or _backlog_objection(rest)


def peer_objection(endpoint: str, network: str) -> str | None:
    """Say what may stand for those who connect to an endpoint, if ``network`` may not; ``None`` if it may."""
    if _is_unix(endpoint):
        return (
            None
            if network == UNIX_PEERS
            else f'must be "{UNIX_PEERS}" here: every process that can reach the socket is trusted'
        )
    return network_objection(network)


def network_objection(network: str) -> str | None:
    """Say what may stand for a network, if ``network`` may not; ``None`` if it may."""
    try:
        ip_network(network)
    except ValueError:
        return "must be one address, or a network such as 10.0.0.0/8 or fd00::/8 without host bits"
    return None


def is_local(endpoint: str) -> bool:
    """Tell whether only this machine can reach it. Of most sockets that systemd hands over this is not known: no."""
    if _is_unix(endpoint):
        return True
    kind, *rest = _COLON.split(endpoint)
    if kind not in ("tcp", "tcp6"):
        return False
    try:
        return ip_address(_argument(rest, "interface") or "::").is_loopback
    except ValueError:
        return False


def address(endpoint: str) -> tuple[str, int] | None:
    """The address and port of an endpoint of TCP; ``None`` for others. No address at all is any of IPv6 or IPv4."""
    kind, *rest = _COLON.split(endpoint)
    if kind not in ("tcp", "tcp6"):
        return None
    everywhere = "::" if kind == "tcp6" else "0.0.0.0"  # noqa: S104
    return _argument(rest, "interface") or everywhere, int(_argument(rest, "port") or rest[0])


def backlog(endpoint: str) -> int | None:
    """The number of connections that may wait at an endpoint; ``None``: it does not say."""
    _, *rest = _COLON.split(endpoint)
    given = _argument(rest, "backlog")
    return None if given is None else int(given)


def client_address(endpoint: str) -> tuple[str, int]:
    """The host and port of an endpoint that is connected to, such as ``tcp:127.0.0.1:5348``.

    :raises ValueError: it is no such endpoint.
    """
    found = _CLIENT.fullmatch(endpoint)
    if found is None or not 0 < int(found["port"]) <= _PORT_MAX:
        raise ValueError
    return found["host"].replace("\\:", ":"), int(found["port"])


def path(endpoint: str) -> str | None:
    """The path of an endpoint of UNIX; ``None`` for others."""
    kind, *rest = _COLON.split(endpoint)
    if kind != "unix":
        return None
    return _argument(rest, "address") or rest[0].replace("\\:", ":")


def socket_name(endpoint: str) -> str | None:
    """The name of the socket that systemd passes for an endpoint; ``None`` for others."""
    kind, *rest = _COLON.split(endpoint)
    return _argument(rest, "name") if kind == "systemd" else None


def _is_unix(endpoint: str) -> bool:
    kind, *rest = _COLON.split(endpoint)
    return kind == "unix" or (kind == "systemd" and _argument(rest, "domain") == "UNIX")


def _argument(arguments: list[str], name: str) -> str | None:
    for argument in arguments:
        if argument.startswith(f"{name}="):
            return argument.removeprefix(f"{name}=").replace("\\:", ":")
    return None


def _tcp_objection(arguments: list[str]) -> str | None:
    port, *others = arguments
    named = [port if "=" in port else f"port={port}", *others]
    names = {argument.partition("=")[0] for argument in named if "=" in argument}
    if len(names) < len(named) or not names <= _TCP_ARGUMENTS:
        return 'after the port may come "interface=" and "backlog=", each once; write "\\:" for a colon of an address'
    number = _argument(arguments, "port") or port
    if _PORT.fullmatch(number) and int(number) <= _PORT_MAX:
        return None
    return f"the port must be a number from 0 to {_PORT_MAX}"


def _backlog_objection(arguments: list[str]) -> str | None:
    given = _argument(arguments, "backlog")
    if given is None or _BACKLOG.fullmatch(given):
        return None
    return "the backlog must be a number of at most nine digits"
