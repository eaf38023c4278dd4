"""The host names of the operator's listener and the account service, checked against DNS rebinding.

A page of anybody's that has its own name point to 127.0.0.1 may ask what listens there, in the browser of whoever
visits it. It cannot keep the browser from saying by which name it asks (RFC 9110 §7.2), nor from which site the page
is (RFC 6454).
"""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Final

from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from callnet.config.schema import SignalingSettings
from callnet.errors import Misdirected, OriginRefused
from callnet.util.net import is_address
from callnet.web.http import header_of
from callnet.web.schemas import write_error

_HOST: Final = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.]+)\]|(?P<name>[^\[\]:]+))(?::[0-9]*)?")


def is_ours(host: str | None, names: Collection[str]) -> bool:
    """Tell whether it may be asked by this ``Host``.

    It may by an address, which no name leads to, as ``localhost``, and by ``names``. No browser leaves the header out.
    """
    if host is None:
        return True
    name = _name_of(host)
    return name is not None and (name == "localhost" or name in names or is_address(name))


def is_foreign(origin: str | None, host: str | None) -> bool:
    """Tell whether a request comes from a web page of another host than it goes to.

    Schemes and ports are not compared: the site and the account service have ports of their own. A device's WebView
    says nothing, ``null``, ``file:`` or a scheme of its own.
    """
    scheme, _, of_page = (origin or "").partition("://")
    if scheme.lower() not in ("http", "https"):
        return False
    name = _name_of(of_page)
    return name is None or name != _name_of(host or "")


class HostGuard(Resource):
    """Answers for a resource to those who ask by one of its names, and not to pages of other hosts.

    :param names: its names beside ``localhost`` and addresses; if there are none, it has any.
    :param signaling: names the origins whose pages may ask all the same.
    """

    isLeaf = True

    def __init__(self, resource: IResource, names: Collection[str], signaling: SignalingSettings) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._resource = resource
        self._names = frozenset(names)
        self._signaling = signaling

    def render(self, request: Request) -> bytes | int:
        """Answer, or refuse."""
        host, origin = header_of(request, b"host"), header_of(request, b"origin")
        if self._names and not is_ours(host, self._names):
            return write_error(request, Misdirected("this host is not in accounts.hosts"))
        if is_foreign(origin, host) and not self._signaling.allows(origin or ""):
            return write_error(request, OriginRefused("requests from pages of other hosts are refused"))
        rendered: bytes | int = self._resource.render(request)
        return rendered


def _name_of(host: str) -> str | None:
    """The name or address in a ``Host``, as names are compared; ``None``: there is none."""
    found = _HOST.fullmatch(host)
    return None if found is None else (found["v6"] or found["name"]).lower().removesuffix(".")
