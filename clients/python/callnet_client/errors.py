"""The errors of the client, one class each. ``str`` of each is one line for the user."""

from __future__ import annotations

import re
from typing import Final, TypeVar

from OpenSSL.SSL import Error as TlsError
from service_identity import VerificationError
from twisted.internet import defer, error
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure
from twisted.web.client import PartialDownloadError, RequestTransmissionFailed, ResponseFailed

from callnet_client.frames import CloseReason


class ClientError(Exception):
    """The server refused, went away, or broke the protocol."""


class AccountError(ClientError):
    """The account service answered with an error (protocol §1).

    ``code`` is the ``errorCode``, or ``None`` if the answer was not in the protocol's envelope. ``retry_after``:
    seconds after which to try again, or ``None`` if the server named none.
    """

    def __init__(
        self, status: int, code: int | None, name: str, message: str, retry_after: float | None = None
    ) -> None:
        super().__init__(f"{name}: {message}" if name else f"HTTP {status}: {message}")
        self.status = status
        self.code = code
        self.name = name
        self.retry_after = retry_after


class UpgradeRefused(ClientError):
    """The server did not open the WebSocket. ``status`` is the HTTP status; ``retry_after`` as above."""

    def __init__(self, status: int, text: str, retry_after: float | None = None) -> None:
        super().__init__(f"the signaling service refused the connection: {text}")
        self.status = status
        self.retry_after = retry_after


class Unreachable(ClientError):
    """The server cannot be reached: its name, its port, its certificate, or its silence.

    ``is_untrusted``: the cause is the certificate.
    """

    def __init__(self, cause: BaseException | None) -> None:
        self.is_untrusted = isinstance(cause, (TlsError, VerificationError))
        why = "untrusted certificate" if self.is_untrusted else str(cause) or type(cause).__name__
        super().__init__(f"the server cannot be reached: {why}")


class ConnectionClosed(ClientError):
    """The WebSocket is closed."""

    def __init__(self, close: CloseReason) -> None:
        super().__init__(f"the connection is closed ({close.code} {close.reason})".replace(" )", ")"))
        self.close = close


T = TypeVar("T")

_NETWORK: Final = (
    error.ConnectError,
    error.ConnectionClosed,
    error.DNSLookupError,
    PartialDownloadError,
    RequestTransmissionFailed,
    ResponseFailed,
    TlsError,
    VerificationError,
)


def retry_after(header: str | None) -> float | None:
    """The seconds that a header ``Retry-After`` names; a date, which our servers never send, is ignored."""
    return float(header) if header is not None and re.fullmatch("[0-9]{1,6}", header.strip()) else None


def unreachable(failure: Failure) -> Failure:
    """Convert the various errors of the network to :class:`Unreachable`; an errback.

    A cancellation is not converted.
    """
    failure.trap(*_NETWORK)
    cause = failure.value
    while reasons := getattr(cause, "reasons", None):
        cause = reasons[0].value
    return Failure(cause if isinstance(cause, defer.CancelledError) else Unreachable(cause))


def in_time(answer: Deferred[T], seconds: float, reactor: IReactorTime) -> Deferred[T]:
    """Let ``answer`` fail with :class:`Unreachable` after ``seconds``."""
    late = Unreachable(defer.TimeoutError(f"no answer within {seconds:g} s"))
    return answer.addTimeout(seconds, reactor, lambda _result, _seconds: Failure(late))
