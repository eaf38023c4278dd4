"""The JSON object that every answer of the account service is (protocol §1), errors included."""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.web.iweb import IRequest

from callnet.errors import ServiceError


def write_success(request: IRequest, fields: dict[str, Any]) -> bytes:
    """The body of an answer to a call that succeeded; status and headers are set on ``request``."""
    return _write(request, 200, 0, "ERROR_CODE_NONE", "ok", fields)


def write_error(request: IRequest, error: ServiceError) -> bytes:
    """The body of an answer that is an error; status and headers are set on ``request``."""
    if error.retry_after is not None:
        request.setHeader(b"retry-after", b"%d" % error.retry_after)
    return _write(request, error.status, error.error_code, error.error_name, str(error), {})


def _write(request: IRequest, status: int, code: int, name: str, message: str, fields: dict[str, Any]) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-type", b"application/json")
    request.setHeader(b"cache-control", b"no-store")
    request.setHeader(b"x-content-type-options", b"nosniff")
    body = msgspec.json.encode({"errorCode": code, "errorCodeName": name, "message": message, **fields})
    request.setHeader(b"content-length", b"%d" % len(body))
    return body
