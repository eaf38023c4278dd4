"""The startup banner: addresses, and commands to try."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from typing import Final

from callnet.ops.listening import OpenListener

_SHOWN: Final = {
    "account": ("accounts", "http"),
    "signaling": ("signaling", "ws"),
    "site": ("page", "http"),
    "admin": ("admin", "http"),
}
_DEFAULTS: Final = {
    "account": "http://127.0.0.1:8083",
    "signaling": "ws://127.0.0.1:8082",
    "site": "https://127.0.0.1:8080",
}
"""The default URLs of ``callnet device``."""


def greeting(
    listeners: Sequence[OpenListener],
    phone: str,
    page: str,
    self_signed: str | None,
    open_on_network: bool,
    without_secret: int,
    program: str,
) -> Iterator[str]:
    """The lines to show.

    :param phone: the path of the phone on the site.
    :param page: the path of the 1-to-1 page there.
    :param self_signed: the file of the certificate, if callnet signed it itself.
    :param open_on_network: anyone who can reach this host may enrol.
    :param without_secret: the number of devices that anyone can log in as who can reach this host and knows their ids.
    :param program: how the running program was called.
    """
    yield f"callnet {version('callnet')} is ready."
    paths = {"account": "", "signaling": "/socket.io", "site": page, "admin": "/readyz"}
    urls = [(listener.service, listener.url(_SHOWN[listener.service][1])) for listener in listeners]
    phones = [f"{url}{phone}" for service, url in urls if service == "site"]
    for url in phones:
        yield f"  {'phone':<10} {url}"
    for service, url in urls:
        yield f"  {_SHOWN[service][0]:<10} {url}{paths[service]}"
    if self_signed:
        yield f"  The certificate {self_signed} is self-signed: browsers ask once whether to trust it."
    if open_on_network:
        yield "  Enrolment is open: anyone who reaches this host and knows a phone and a device id can log in as it."
    if without_secret:
        yield f"  {without_secret} devices have no secret: anyone who knows their ids can log in as them."
    if phones:
        yield "Try it: open the phone in two tabs, log in with two numbers such as 13800000001 and 13800000002."
    if {"account", "signaling"} <= dict(urls).keys():
        command, options = _command(program), _options(dict(reversed(urls)))
        yield "Or let two devices call each other in two terminals:"
        yield f"  {command} device 13800000002 tv --answer accept{options}"
        yield f"  {command} device 13800000001 phone --call 13800000002 tv{options}"
        yield "Both print the room id; open it on the page."


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
