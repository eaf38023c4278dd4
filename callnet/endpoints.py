"""The endpoint strings that a listener may name, looked at before anything is opened.

A listener is one of Twisted's plain server endpoints. Whether TLS or a proxy's header is spoken on it is
the business of the listener's other settings, so the strings that would wrap it in those are refused.
"""

from __future__ import annotations

import re
from ipaddress import ip_address
from typing import Final

PLAIN: Final = ("tcp", "tcp6", "unix", "systemd")

_ADVICE: Final = {
    "ssl": "write tcp: and set tls = true beside it, and the certificate under [tls]",
    "tls": "write tcp: and set tls = true beside it, and the certificate under [tls]",
    "haproxy": "write the endpoint without haproxy:; a PROXY header is not believed by this version",
}
_COLON = re.compile(r"(?<!\\):")
_PORT = re.compile(r"[0-9]{1,5}")
_PORT_MAX = 65535


def objection(endpoint: str) -> str | None:
    """Say what is wrong with an endpoint string, and what to write; ``None`` if it is acceptable."""
    kind, *rest = _COLON.split(endpoint)
    if kind in _ADVICE:
        return f"{kind}: endpoints are not taken: {_ADVICE[kind]}"
    if kind not in PLAIN or not rest or not rest[0]:
        return 'must be an endpoint such as "tcp:8080:interface=127.0.0.1", "tcp6:…", "unix:…" or "systemd:…"'
    if kind in ("tcp", "tcp6"):
        return _port_objection(_argument(rest, "port") or rest[0])
    return None


def is_local(endpoint: str) -> bool:
    """Tell whether only this machine can reach it. Of a socket that systemd hands over this is not known: no."""
    kind, *rest = _COLON.split(endpoint)
    if kind == "unix":
        return True
    if kind not in ("tcp", "tcp6"):
        return False
    try:
        return ip_address(_argument(rest, "interface") or "::").is_loopback
    except ValueError:
        return False


def _argument(arguments: list[str], name: str) -> str | None:
    for argument in arguments:
        if argument.startswith(f"{name}="):
            return argument.removeprefix(f"{name}=").replace("\\:", ":")
    return None


def _port_objection(port: str) -> str | None:
    if _PORT.fullmatch(port) and int(port) <= _PORT_MAX:
        return None
    return f"the port must be a number from 0 to {_PORT_MAX}"
