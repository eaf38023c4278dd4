"""The sites that browsers open: the TLS site, with the pages and their files, the call page's room socket, and the two
services of devices; and the site on port 80.

Every answer of the TLS site carries the headers that keep a page to its own site: it may load and reach nothing else,
no page of another site may show it in a frame (the phone shows the page in one), load its files or keep a handle to its
window, and only it may ask for the camera and the microphone. From the parts of a page that browsers keep for ever,
:mod:`callnet.web.static` takes those away that mean nothing there.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from twisted.internet.interfaces import IReactorTime
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from callnet.acme.folder import AcmeFolder
from callnet.config.schema import HttpSettings, LimitSettings
from callnet.util.turn_budget import TurnBudget
from callnet.web.api import AccountApi
from callnet.web.http import NO_LIMITS, NO_SETTINGS, CappedSite, header_of
from callnet.web.static import Missing, StaticFile, StaticFiles

PAGE: Final = "/static/demo/direct_chat.html"
"""The path of the 1-to-1 page (protocol §3)."""
PHONE: Final = "/"
"""The path of the phone."""
GUEST: Final = "/guest"
"""The path of the page of guests, which a link that rings opens."""
WORKER: Final = "/worker.js"
"""The path of its service worker, which has a say in all that is below the folder that it is in."""

_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), microphone=(self), geolocation=(), payment=(), usb=()",
}
_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; font-src 'self'; "
    "media-src 'self' blob: mediastream:; connect-src 'self'{sockets}; manifest-src 'self'; frame-src 'self' blob:; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
"""For Firefox a file that is saved in the call's page, a frame of the phone, is a frame with a blob."""
_HOST: Final = re.compile(r"[A-Za-z0-9._-]+(:[0-9]+)?|\[[0-9A-Fa-f:.]+\](:[0-9]+)?")


class Site(CappedSite):
    """Serves the site.

    :param hsts: ``max-age`` of Strict-Transport-Security in seconds; 0: the header is not sent.
    """

    def __init__(
        self,
        root: IResource,
        clock: IReactorTime,
        hsts: int,
        limits: HttpSettings = NO_SETTINGS,
        budget: TurnBudget | None = None,
        counts: LimitSettings = NO_LIMITS,
    ) -> None:
        super().__init__(root, clock, limits, budget, counts)
        self._headers = dict(_HEADERS)
        if hsts:
            self._headers["Strict-Transport-Security"] = f"max-age={hsts}"

    def getResourceFor(self, request: Request) -> IResource:
        """Find what answers a request, and give the answer its headers."""
        headers = request.responseHeaders
        for name, value in self._headers.items():
            headers.setRawHeaders(name, [value])
        headers.setRawHeaders("Content-Security-Policy", [_policy(header_of(request, b"host"), request.isSecure())])
        return super().getResourceFor(request)


def root(accounts: IResource, signaling: IResource, room: IResource, static: str, clock: IReactorTime) -> IResource:
    """Put the parts of the site in their places.

    :param static: the directory of the files under ``/static/``.
    """
    top = Missing()
    files = StaticFiles(static, "/static/", clock)
    top.putChild(PHONE[1:].encode(), StaticFile(files, "index.html"))
    top.putChild(GUEST[1:].encode(), StaticFile(files, "guest/index.html"))
    top.putChild(WORKER[1:].encode(), StaticFile(files, "phone/worker.js"))
    top.putChild(b"static", files)
    for place in AccountApi.places():
        top.putChild(place, accounts)
    top.putChild(b"socket.io", signaling)
    top.putChild(b"room", room)
    return top


def _policy(host: str | None, is_secure: bool) -> str:
    """The policy of a page. Older browsers do not take ``'self'`` to mean the site's own sockets too.

    :param is_secure: the request came over TLS; otherwise a proxy may have it.
    """
    schemes = ("wss",) if is_secure else ("wss", "ws")
    is_known = host is not None and _HOST.fullmatch(host) is not None
    return _POLICY.format(sockets="".join(f" {scheme}://{host}" for scheme in schemes) if is_known else "")


_CHALLENGES: Final = b"/.well-known/acme-challenge/"


class AcmeAnswers(Resource):
    """The root of the site on port 80: it answers ``http-01`` (RFC 8555 §8.3), and sends browsers to https.

    :param names: the host names in the certificate. A client that asks for another one is sent to the first.
    """

    isLeaf = True

    def __init__(self, folder: AcmeFolder, names: Sequence[str]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._folder = folder
        self._names = names

    def render(self, request: Request) -> bytes:
        """Answer a challenge, or redirect."""
        path = request.uri.partition(b"?")[0]
        token = path.removeprefix(_CHALLENGES).decode("latin-1")
        answer = self._folder.http01(token) if path.startswith(_CHALLENGES) else None
        if answer is not None:
            request.setHeader(b"content-type", b"application/octet-stream")
            return answer
        host = (header_of(request, b"host") or "").partition(":")[0].lower()
        name = host if host in self._names else self._names[0]
        uri = request.uri if request.uri.startswith(b"/") else b"/"
        request.setResponseCode(HTTPStatus.PERMANENT_REDIRECT)
        request.setHeader(b"location", b"https://" + name.encode() + uri)
        return b""
