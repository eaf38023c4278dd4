"""What a start tells whoever reads the log: where everything is, and what to try next."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from importlib.metadata import version

from callnet.operations.listening import OpenListener

_SHOWN = {
    "account": ("accounts", "http", ""),
    "signaling": ("signaling", "ws", "/socket.io"),
    "site": ("page", "http", ""),
}
_TRY = """Try it: two devices call each other in two terminals,
  callnet device 13800000002 tv --answer accept
  callnet device 13800000001 phone --call 13800000002 tv
and then meet on the page, with the room id that both print."""


def greeting(listeners: Sequence[OpenListener], page: str, self_signed: str | None) -> str:
    """The lines to show.

    :param page: the path of the page on the site.
    :param self_signed: the file of the certificate, if callnet signed it itself.
    """
    return "\n".join(_lines(listeners, page, self_signed))


def _lines(listeners: Sequence[OpenListener], page: str, self_signed: str | None) -> Iterator[str]:
    yield f"callnet {version('callnet')} is ready."
    for listener in listeners:
        name, scheme, path = _SHOWN[listener.service]
        yield f"  {name:<10} {listener.url(scheme)}{page if listener.service == 'site' else path}"
    if self_signed:
        yield f"  The certificate {self_signed} is signed by callnet itself: a browser asks once whether to trust it."
    yield _TRY
