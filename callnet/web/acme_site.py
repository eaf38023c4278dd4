"""The site on port 80: it answers ``http-01`` (RFC 8555 §8.3), and sends browsers to https."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus
from typing import Final

from twisted.web.resource import Resource
from twisted.web.server import Request

from callnet.acme.folder import AcmeFolder
from callnet.web.http import header_of

_CHALLENGES: Final = b"/.well-known/acme-challenge/"


class AcmeAnswers(Resource):
    """The root of that site.

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
