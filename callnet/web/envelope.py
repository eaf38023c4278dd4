"""The JSON envelope of every answer of the account service (protocol §1), errors included."""

from __future__ import annotations

from typing import Final

from msgspec import Struct
from msgspec.json import Encoder
from twisted.web.iweb import IRequest

from callnet.errors import ServiceError

_encode = Encoder().encode


class Envelope(Struct, frozen=True, rename="camel"):
    """The fields of every answer."""

    error_code: int
    error_code_name: str
    message: str


SUCCESS: Final = Envelope(0, "ERROR_CODE_NONE", "ok")
"""The fields of the answer to a successful call, before the call's own."""

_SUCCESS: Final = _encode(SUCCESS)[:-1]


def write_success(request: IRequest, fields: Struct) -> bytes:
    """The body of an answer to a call that succeeded; status and headers are set on ``request``."""
    own = _encode(fields)
    return _write(request, 200, b"%b%b%b" % (_SUCCESS, b"" if own == b"{}" else b",", own[1:]))


def write_error(request: IRequest, error: ServiceError) -> bytes:
    """The body of an answer that is an error; status and headers are set on ``request``."""
    if error.retry_after is not None:
        request.setHeader(b"retry-after", b"%d" % error.retry_after)
    return _write(request, error.status, _encode(Envelope(error.error_code, error.error_name, str(error))))


def _write(request: IRequest, status: int, body: bytes) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"x-content-type-options", b"nosniff")
    request.setHeader(b"content-length", b"%d" % len(body))
    return body
