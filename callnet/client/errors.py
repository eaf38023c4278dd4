"""What can go wrong for a client, in classes of its own. ``str`` of each is one line for a person."""

from __future__ import annotations

from callnet.client.frames import CloseReason
from callnet.errors import CallnetError


class ClientError(CallnetError):
    """The server refused, went away, or answered with something that is not the protocol."""


class AccountError(ClientError):
    """The account service answered with an error (protocol §1).

    ``code`` is the ``errorCode``, or ``None`` if the answer was not in the protocol's envelope.
    """

    def __init__(self, status: int, code: int | None, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}" if name else f"HTTP {status}: {message}")
        self.status = status
        self.code = code
        self.name = name


class UpgradeRefused(ClientError):
    """The server did not open the WebSocket. ``status`` is that of its HTTP answer, ``None`` without one."""

    def __init__(self, status: int | None, text: str) -> None:
        super().__init__(f"the signaling service refused the connection: {text}")
        self.status = status


class ConnectionClosed(ClientError):
    """The WebSocket is closed."""

    def __init__(self, close: CloseReason) -> None:
        super().__init__(f"the connection is closed ({close.code} {close.reason})".replace(" )", ")"))
        self.close = close


class CallWithdrawn(ClientError):
    """The caller itself ended its ringing, or called someone else: the server sends no answer (protocol §2.1)."""
