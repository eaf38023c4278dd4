"""The sites that browsers open: the TLS site, with the pages and their files, the call page's room socket, and the two
services of devices; and the site on port 80.

Every answer of the TLS site carries the headers that keep a page to its own site: it may load and reach nothing else,
no page of another site may show it in a frame (the phone shows the page in one), load its files or keep a handle to its
window, and only it may ask for the camera and the microphone. From the parts of a page that browsers keep for ever,
:class:`StaticFiles` takes those away that mean nothing there.

Static files are compressed on the way, and kept by browsers for ever under a path that changes with them. A page names
its scripts and sheets as they lie in the folder. What is sent names them under a *version*, such as
``/static/v-0123456789abcdef/demo/bundle.js``, a hash of the whole folder: what a script loads later it finds by
relative paths, so that is of the same version. A browser may keep these for ever (RFC 8246), and asks for nothing
but the page when it comes again. Under another version, of a page from before an upgrade, the present files are served.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from hashlib import sha256
from http import HTTPStatus
from typing import Final
from urllib.parse import urljoin

from msgspec import Struct
from twisted.internet.interfaces import IReactorTime
from twisted.python.filepath import FilePath, InsecurePath
from twisted.web import http
from twisted.web.resource import IResource, Resource
from twisted.web.server import Request

from callnet.acme.renewal import AcmeFolder
from callnet.config.schema import HttpSettings, LimitSettings
from callnet.util.turn_budget import TurnBudget
from callnet.web.api import AccountApi
from callnet.web.http import NO_LIMITS, NO_SETTINGS, CappedSite, header_of

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


_TYPES: Final = {
    ".css": "text/css; charset=utf-8",
    ".html": "text/html; charset=utf-8",
    ".ico": "image/x-icon",
    ".jpg": "image/jpeg",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".mp3": "audio/mpeg",
    ".ogg": "audio/ogg",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
    ".webmanifest": "application/manifest+json",
    ".woff2": "font/woff2",
}
"""Ours alone: what the machine's own table says differs from one to the next."""
_COMPRESSED: Final = frozenset({".css", ".html", ".js", ".json", ".svg", ".txt", ".webmanifest"})
_VERSIONED: Final = frozenset({".css", ".js", ".svg"})
"""Files that a page loads under a version. Browsers know others, such as the manifest of an app, by their path."""
_REFERENCE: Final = re.compile(rb'\b(href|src)="([^"]+)"')
_VERSION: Final = re.compile(rb"v-[0-9a-f]{16}")
_REFUSED: Final = re.compile(r"\s*q=0(\.0*)?\s*")
_LOOK_EVERY: Final = 1.0
"""Seconds between two looks for files that have changed: who edits a page loads it again."""
_PARTS: Final = frozenset({".css", ".js", ".json"})
_OF_PAGES: Final = ("Content-Security-Policy", "Cross-Origin-Opener-Policy", "Permissions-Policy")
"""Headers that browsers heed in pages alone. They are longer than many a script."""
_FOR_EVER: Final = "public, max-age=31536000, immutable"


class Missing(Resource):
    """A missing file."""

    def getChild(self, path: bytes, request: Request) -> Resource:  # noqa: ARG002
        """Return the same: nothing is below it either."""
        return self

    def render(self, request: Request) -> bytes:
        """Answer 404."""
        request.setResponseCode(http.NOT_FOUND)
        request.setHeader("Content-Type", "text/plain; charset=utf-8")
        return b"There is nothing here.\n"


class _File(Struct, frozen=True):
    """A file as it is sent."""

    read_at: tuple[int, int, bytes]
    """When it was changed and its size, as it was read, and the version of the files that it names. Its date may be set
    to anything, such as that of a release; the time of its change may not."""
    content: bytes
    packed: bytes | None
    """Compressed, if that is worth it."""
    digest: bytes


class StaticFiles(Resource):
    """The files of a directory. They are small, and all of them are kept in memory. Directories are not listed.

    :param path: where on the site they are, such as ``/static/``.
    """

    isLeaf = True

    def __init__(self, directory: str, path: str, clock: IReactorTime) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._directory = FilePath(directory)
        self._path = path
        self._clock = clock
        self._files: dict[str, _File] = {}
        self._seen: Sequence[tuple[str, int, int]] = ()
        self._version = b""
        self._looked_at = -_LOOK_EVERY

    def render_GET(self, request: Request) -> bytes:
        """Answer with the file."""
        return self.send(request, request.postpath or [])

    def send(self, request: Request, segments: Sequence[bytes]) -> bytes:
        """Answer with the file of that path, or say that the one that the browser has is still right."""
        version = segments[0] if segments and _VERSION.fullmatch(segments[0]) else b""
        try:
            name, file = self._file(segments[1:] if version else segments)
        except (OSError, ValueError, InsecurePath):
            return Missing().render(request)
        suffix = os.path.splitext(name)[1]
        is_fixed = bool(version) and version == self._version
        request.setHeader("Content-Type", _TYPES.get(suffix, "application/octet-stream"))
        request.setHeader("Cache-Control", _FOR_EVER if is_fixed else "no-cache")
        if is_fixed and suffix in _PARTS:
            for header in _OF_PAGES:
                request.responseHeaders.removeHeader(header)
        content, tag = file.content, file.digest
        if file.packed is not None:
            request.setHeader("Vary", "Accept-Encoding")
            if _takes_gzip(header_of(request, b"accept-encoding") or ""):
                request.setHeader("Content-Encoding", "gzip")
                content, tag = file.packed, file.digest + b"-gzip"
        # No browser asks whether a fixed file is still the same.
        if not is_fixed and request.setETag(b'"%s"' % tag) is http.CACHED:
            return b""
        return content

    def _file(self, segments: Sequence[bytes]) -> tuple[str, _File]:
        """The name of a file and the file.

        :raises OSError, ValueError, InsecurePath: there is none.
        """
        if b"" in segments:
            raise ValueError("no file has an empty name")
        found = self._directory.descendant([segment.decode("utf-8") for segment in segments])
        name, suffix = found.path, os.path.splitext(found.path)[1]
        self._look()
        status = os.stat(name)
        read_at = (status.st_ctime_ns, status.st_size, self._version if suffix == ".html" else b"")
        file = self._files.get(name)
        if file is None or file.read_at != read_at:
            content = found.getContent()
            if suffix == ".html":
                content = self._with_versions(content, "/".join(found.segmentsFrom(self._directory)))
            file = self._files[name] = _prepared(read_at, content, suffix)
        return name, file

    def _with_versions(self, page: bytes, path: str) -> bytes:
        """Have a page name its files under the present version."""
        base = self._path + path

        def versioned(found: re.Match[bytes]) -> bytes:
            target = urljoin(base, found[2].decode("utf-8"))
            if not target.startswith(self._path) or os.path.splitext(target)[1] not in _VERSIONED:
                return found[0]
            return b'%s="%s%s/%s"' % (
                found[1],
                self._path.encode("ascii"),
                self._version,
                target[len(self._path) :].encode("ascii"),
            )

        return _REFERENCE.sub(versioned, page)

    def _look(self) -> None:
        """Give the files another version if any of them has changed."""
        now = self._clock.seconds()
        if now - self._looked_at < _LOOK_EVERY:
            return
        self._looked_at = now
        seen = sorted(_all_files(self._directory.path))
        if seen == self._seen:
            return
        version = sha256()  # of the contents, so that all nodes of a release have the same
        for name, _, size in seen:
            version.update(f"{name}\0{size}\0".encode())
            with suppress(OSError):  # replaced or removed since, which the next look shows
                version.update(self._directory.preauthChild(name).getContent())
        self._seen = seen
        self._version = b"v-%s" % version.hexdigest()[:16].encode("ascii")


def _all_files(directory: str) -> Iterator[tuple[str, int, int]]:
    """The path of each file in a directory, when it was changed, and its size. A link that leads nowhere is no file."""
    for folder, _, names in os.walk(directory, followlinks=True):
        for name in names:
            path = os.path.join(folder, name)
            with suppress(OSError):
                status = os.stat(path)
                yield os.path.relpath(path, directory), status.st_ctime_ns, status.st_size


def _prepared(read_at: tuple[int, int, bytes], content: bytes, suffix: str) -> _File:
    packed = gzip.compress(content, mtime=0) if suffix in _COMPRESSED else content
    digest = sha256(content).hexdigest()[:32].encode("ascii")
    return _File(read_at, content, packed if len(packed) < len(content) else None, digest)


def _takes_gzip(accepted: str) -> bool:
    """Tell whether ``Accept-Encoding`` has gzip (RFC 9110 §12.5.3)."""
    for coding in accepted.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() in ("gzip", "*") and not _REFUSED.fullmatch(weight):
            return True
    return False


class StaticFile(Resource):
    """One of the files, in another place."""

    isLeaf = True

    def __init__(self, files: StaticFiles, name: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._files = files
        self._path = name.encode("ascii").split(b"/")

    def render_GET(self, request: Request) -> bytes:
        """Answer with the file."""
        return self._files.send(request, self._path)
