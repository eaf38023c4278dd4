"""The startup banner: addresses, and commands to try."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from callnet.ops.listening import OpenListener
from callnet.util import qr_code

_SHOWN: Final = {"account": ("accounts", ""), "signaling": ("signaling", "/socket.io"), "admin": ("admin", "/readyz")}
"""The other services, and the paths that clients need."""
_DEFAULTS: Final = {
    "account": "http://127.0.0.1:8083",
    "signaling": "ws://127.0.0.1:8082",
    "site": "https://127.0.0.1:8080",
}
"""The default URLs of ``callnet device``."""
_HERE: Final = "localhost"


def greeting(
    listeners: Sequence[OpenListener],
    phone: str,
    page: str,
    self_signed: str | None,
    open_on_network: bool,
    without_secret: int,
    program: str,
    on_terminal: bool,
) -> Iterator[str]:
    """The lines to show.

    :param phone: the path of the phone on the site.
    :param page: the path of the 1-to-1 page there.
    :param self_signed: the file of the certificate, if callnet signed it itself.
    :param open_on_network: anyone who can reach this host may enrol.
    :param without_secret: the number of devices that anyone can log in as who can reach this host and knows their ids.
    :param program: how the running program was called.
    :param on_terminal: somebody reads the lines as they are printed, and can scan a QR code there.
    """
    yield f"callnet {version('callnet')} is ready."
    urls = [(one.service, one.url("ws" if one.service == "signaling" else "http")) for one in listeners]
    sites = _sites(listeners)
    phones = [f"{url}{phone}" for url in sites]
    addresses = [("phone", url) for url in phones] + [("page", f"{url}{page}") for url in sites]
    addresses += [(_SHOWN[service][0], url + _SHOWN[service][1]) for service, url in urls if service in _SHOWN]
    yield from (f"  {name:<10} {url}" for name, url in addresses)
    if self_signed:
        yield f"  The certificate {self_signed} is self-signed: browsers ask once whether to trust it."
    if open_on_network:
        yield "  Enrolment is open: anyone who reaches this host and knows a phone and a device id can log in as it."
    if without_secret:
        yield f"  {without_secret} devices have no secret: anyone who knows their ids can log in as them."
    if phones:
        yield f"Try it: open {phones[0]} in two tabs, and log in with two numbers, such as 13800000001 and 13800000002."
    away = [url for url in phones if url.startswith("https:") and urlsplit(url).hostname != _HERE]
    if away and on_terminal:
        yield f"On another device in this network open {away[0]} or scan this. Browsers ask once about the certificate."
        yield qr_code.drawn(away[0])
    if {"account", "signaling"} <= dict(urls).keys():
        command, options = _command(program), _options(dict(reversed(urls)))
        yield "Or let two devices call each other in two terminals:"
        yield f"  {command} device 13800000002 tv --answer accept{options}"
        yield f"  {command} device 13800000001 phone --call 13800000002 tv{options}"
        yield "Both print the room id; open it on the page."


def _sites(listeners: Sequence[OpenListener]) -> Sequence[str]:
    """The URLs of the site, first that for which a browser on this machine needs no certificate.

    On this machine it has a name: by its address it would be another origin, with other logins.
    """
    urls = [urlsplit(listener.url("http")) for listener in listeners if listener.service == "site"]
    named = [url._replace(netloc=f"{_HERE}:{url.port}") if _is_here(url.hostname) else url for url in urls]
    named.sort(key=lambda url: (url.scheme, url.hostname) != ("http", _HERE))
    return [urlunsplit(url) for url in named]


def _is_here(host: str | None) -> bool:
    try:
        return ip_address(host or "").is_loopback
    except ValueError:  # a UNIX socket, or the name of this host
        return False


def _command(program: str) -> str:
    """The command to run ``callnet`` in another terminal: by its path, if it is beside ``program`` and only there."""
    beside = os.path.join(os.path.dirname(program), "callnet")
    return beside if os.access(beside, os.X_OK) and shutil.which("callnet") != beside else "callnet"


def _options(urls: dict[str, str]) -> str:
    """The options with which ``callnet device`` finds the services there."""
    return "".join(
        f" --{service}-url {urls[service]}"
        for service, default in _DEFAULTS.items()
        if urls.get(service, default) != default
    )
