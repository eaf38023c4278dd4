"""Passes whole, valid paths to Klein."""

from __future__ import annotations

from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from callnet.errors import NotFound
from callnet.web.envelope import write_error


class WholePath(Resource):
    """A Klein resource that looks at the whole path of a request, wherever it was put among others."""

    isLeaf = True

    def __init__(self, klein: IResource) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._klein = klein

    def render(self, request: Request) -> bytes | int:
        """Answer, or have Klein answer later."""
        segments = [*(request.prepath or ()), *(request.postpath or ())]
        try:
            b"/".join(segments).decode("utf-8")
        except UnicodeDecodeError:
            return write_error(request, NotFound("no such path"))  # Klein would log a traceback
        request.prepath, request.postpath = [], segments
        # No route depends on the host, and some that a client can name are an exception to Klein.
        request.requestHeaders.setRawHeaders(b"host", [b"callnet"])
        rendered: bytes | int = self._klein.render(request)
        return rendered
