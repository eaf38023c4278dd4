"""One error tree. A class carries its wire code, its HTTP status and its WebSocket close code.

Two places read them: ``web.api`` answers with code and status, ``signaling`` refuses or closes.
``str(error)`` of a :class:`ServiceError` is written for the client; whatever else was wrong goes to the log.
"""

from __future__ import annotations

from typing import ClassVar


class CallnetError(Exception):
    """The root of everything that callnet raises on purpose."""


class StartError(CallnetError):
    """The daemon cannot start: one line that names the cause and the setting, exit status 1."""


class ServiceError(CallnetError):
    """A request that is answered with an error (protocol §1)."""

    error_code: ClassVar[int] = 1
    error_name: ClassVar[str] = "ERROR_CODE_INTERNAL_ERROR"
    status: ClassVar[int] = 500
    retry_after: int | None = None
    """Seconds after which a client may try again, for the ``Retry-After`` header."""


class Unavailable(ServiceError):
    """A dependency, such as the database, is away; it is worth trying again."""

    status = 503
    retry_after = 5


class DataInvalid(ServiceError):
    """Not JSON, not an object, a field missing or of the wrong type."""

    error_code = 2
    error_name = "ERROR_CODE_DATA_INVALID"
    status = 200


class OriginRefused(DataInvalid):
    """A web page of another host asks, which is not in ``signaling.allowed_origins``."""

    status = 403


class Misdirected(DataInvalid):
    """The request names a host by which the service may not be asked (RFC 9110 §15.5.20)."""

    status = 421


class BodyTooLarge(DataInvalid):
    """The body is longer than the limit."""

    status = 413


class NotFound(DataInvalid):
    """No such path."""

    status = 404


class MethodNotAllowed(DataInvalid):
    """The path exists, and does not take this method."""

    status = 405


class PhoneInvalid(ServiceError):
    """``phone`` is no acceptable number; ``message`` has the rule."""

    error_code = 3
    error_name = "ERROR_CODE_PHONE_INVALID"
    status = 200


class TokenInvalid(ServiceError):
    """The token is empty, malformed, forged, expired, or of another phone."""

    error_code = 4
    error_name = "ERROR_CODE_TOKEN_INVALID"
    status = 200


class DeviceInvalid(ServiceError):
    """``device_id`` is empty, too long, ``*``, or has control characters."""

    error_code = 5
    error_name = "ERROR_CODE_DEVICE_INVALID"
    status = 200


class RateLimited(ServiceError):
    """Too many tries.

    :param retry_after: seconds.
    """

    error_code = 6
    error_name = "ERROR_CODE_RATE_LIMITED"
    status = 429

    def __init__(self, message: str, retry_after: int) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class CodeInvalid(ServiceError):
    """The one-time code is missing, wrong or spent, no device waits with this pairing code, or the PIN is wrong."""

    error_code = 7
    error_name = "ERROR_CODE_CODE_INVALID"
    status = 200


class PhotosFull(ServiceError):
    """No further contact may have a photo in the caller's list; remove one first."""

    error_code = 8
    error_name = "ERROR_CODE_PHOTOS_FULL"
    status = 200


def root_cause(error: BaseException) -> str:
    """The first line of what was at the bottom of an error, for the log."""
    while error.__cause__ is not None:
        error = error.__cause__
    return next(iter(str(error).splitlines()), type(error).__name__)
