"""One WebSocket of callnet, of any kind: limits, refusals, close codes, keep-alive, and a short path for short frames.

Autobahn speaks the protocol; this tells it what callnet allows and keeps it quiet about what clients do.
"""

from __future__ import annotations

import socket
from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from http import HTTPStatus
from math import inf
from typing import TYPE_CHECKING, Any, Final, Protocol

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.types import ConnectionDeny, ConnectionRequest
from autobahn.websocket.utf8validator import Utf8Validator
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.protocol import connectionDone
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure

from callnet.config.schema import PONG_TIME, SocketSettings
from callnet.model import CloseCode
from callnet.util.logger import Logger
from callnet.util.short_path import write
from callnet.ws.handshake import Opening, Refused, read_plain, refusal

if TYPE_CHECKING:
    from callnet.ws.factory import ServerSocketFactory

PASSED_OVER: Final = 128 * 1024
"""Bytes that are still read of a socket that is closing: twice the longest frame."""
PASSED_OVER_OF_MANY: Final = 16 * 1024
"""The same of one that is closed since it sends too many frames: they may be short, and thousands."""
CLOSE_TIME: Final = 5.0
"""Seconds that a closing handshake may take."""

_GOODBYES: Final = (None, 1000, 1001)
"""The close codes of a client that goes of its own accord (RFC 6455 §7.4.1); it may give none."""

_LONG_GONE: Final = (
    "http_request_data",
    "http_response_data",
    "http_status_line",
    "http_headers",
    "http_request_uri",
    "http_request_params",
    "http_request_host",
)
"""Attributes that Autobahn keeps of a handshake and nobody needs after it."""

log = Logger()


IN_THE_SYSTEM: Final = 8 * 1024
"""Bytes; Linux keeps twice as many with all that belongs to them (socket(7), ``SO_SNDBUF``)."""
IN_TWISTED: Final = 8 * 1024
"""Bytes; no more is read at a time either."""


def keep_little(transport: Any, in_the_system: int = IN_THE_SYSTEM) -> None:
    """Limit what is kept for a connection to a client that does not read, whatever is spoken on it.

    The system keeps as much as fits into it, which it lets grow to megabytes, and Twisted another 64 KiB. For frames of
    a few hundred bytes that is of no use, and five thousand clients that do not read would have it all.

    :param in_the_system: bytes.
    """
    while isinstance(transport, ProtocolWrapper):
        transport = transport.transport
    with suppress(AttributeError, OSError):  # it is no socket, or gone
        transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, in_the_system)
        transport.bufferSize = IN_TWISTED


# Short frames: whole messages of text, read in a few lines. Autobahn reads all others.

SHORT: Final = 4096
"""Bytes in a message. Longer ones are unmasked so much faster by Autobahn that its other work does not matter."""

CLOSE: Final = 8
"""The opcode of a close frame (RFC 6455 §5.2)."""
OPCODE_OF_DATA: Final = 7
"""The greatest opcode of a frame that carries data; the others control the connection."""
OPCODE_BITS: Final = 0x0F
"""Those of the first byte of a frame that are its opcode."""

_TEXT: Final = 0x81
_MASKED: Final = 0x80


def take_text(data: bytes, start: int, longest: int) -> tuple[bytes, int] | None:
    """Read the frame that begins at ``start``, if it is a whole message of text and nothing is wrong with it.

    :param longest: the most bytes that the message may have.
    :return: the message and where the frame ends; ``None``: it is something else, or not all of it is there.
    """
    body, size = start + 6, len(data)
    if body > size or data[start] != _TEXT:
        return None
    length = data[start + 1] - _MASKED
    if length > 125:
        body += 2
        length = int.from_bytes(data[start + 2 : start + 4], "big") if length == 126 else -1
        if length < 126:
            return None
    end = body + length
    if not 0 <= length <= longest or end > size:
        return None
    key = int.from_bytes((data[body - 4 : body] * (length // 4 + 1))[:length], "little")
    payload = (int.from_bytes(data[body:end], "little") ^ key).to_bytes(length, "little")
    return (payload, end) if payload.isascii() or _is_utf8(payload) else None


def text_header(length: int) -> bytes:
    """Begin the frame of a whole message of text from a server (RFC 6455 §5.2)."""
    if length < 126:
        return bytes((_TEXT, length))
    return b"\x81\x7e" + length.to_bytes(2, "big") if length < 65536 else b"\x81\x7f" + length.to_bytes(8, "big")


HEADERS: Final = tuple(map(text_header, range(512)))
"""Those of all messages that base clients are sent (protocol §2), by their lengths."""


def _is_utf8(payload: bytes) -> bool:
    try:
        payload.decode()
    except UnicodeDecodeError:
        return False
    return True


class Session(Protocol):
    """Whoever speaks with the client of a socket."""

    def received(self, payload: bytes) -> None:
        """Take a text frame, which is UTF-8."""


class NullLogger:
    """A log that nothing is written to."""

    def debug(self, *_: object, **__: object) -> None:
        """Say nothing."""

    trace = info = warn = error = critical = debug


class ServerSocket(WebSocketServerProtocol):
    """One socket. A subclass says who may open it, and has it get a session.

    The state that all sockets of a kind share is in a subclass which their factory makes (:mod:`callnet.ws.factory`).
    """

    CONFIG_ATTRS: list[str] = []  # noqa: RUF012  the factory's options are attributes of that subclass
    log = NullLogger()
    factory: ServerSocketFactory
    session: Session
    transport: Any
    message_data: Any
    longest_short = SHORT
    """The most bytes of a text that need not go Autobahn's way."""
    limits: SocketSettings
    """Its limits; the factory sets them on the class."""
    unread_max: int
    """Bytes that may wait while it does not read; see :class:`callnet.config.schema.SocketSettings`."""
    reads_plain = True
    """True if a valid handshake may bypass Autobahn."""
    has_opened = False
    subprotocol: str | None = None
    """The subprotocol: one of those that the client offers (RFC 6455 §1.9)."""
    site: str | None = None
    """Its site, if that is counted."""
    pinged_at = -inf
    """The time of the last ping."""
    is_broken = False
    """The client does not speak the protocol, so that nothing that follows can be understood."""
    is_stuck = False
    """The client does not read, and is not read from."""
    said_goodbye = False
    """The client closed the socket itself, with a close frame, and not for an error."""
    is_waiting = False
    """Frames that have come wait for a later turn of the reactor, and no more are read."""
    frames_until = 0.0
    """The answer of :meth:`callnet.ws.factory.Pace.next` for the last frame."""
    passed_over = 0
    """Bytes that have come since the socket began to close."""

    def __init__(self) -> None:
        pass

    @cached_property
    def is_open(self) -> Deferred[None]:
        """Nobody waits for it."""
        return Deferred()

    @cached_property
    def is_closed(self) -> Deferred[object]:
        """Nobody waits for it."""
        return Deferred()

    @cached_property
    def utf8validator(self) -> Utf8Validator:  # type: ignore[override]
        """Reads the texts that go Autobahn's way."""
        return Utf8Validator()

    def admit(self, opening: Opening) -> None:
        """Look at a handshake.

        :raises Refused: the socket may not be opened.
        """
        raise NotImplementedError

    def opened(self) -> None:
        """Begin: the socket is open."""
        raise NotImplementedError

    def gone(self) -> None:
        """Come to an end: an open socket is closed. This is called once."""
        raise NotImplementedError

    def is_needed(self) -> bool:
        """Tell whether somebody is in a call by it, so that a process that stops closes it last."""
        raise NotImplementedError

    def send(self, payload: bytes) -> None:
        """Send one text frame. Nothing happens if the socket is closing."""
        if self.state == self.STATE_OPEN:
            factory, size = self.factory, len(payload)
            factory.frames_sent += 1
            factory.bytes_sent += size
            write(self.transport, (HEADERS[size] if size < len(HEADERS) else text_header(size)) + payload)
            if self.is_stuck:
                self._count_unread(size)

    def close(self, code: int, reason: str) -> None:
        """Close the socket with a code of RFC 6455 or of protocol §2 and a few ASCII words."""
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code, reason.encode("ascii"))

    def will_go_away(self, deadline: float) -> None:
        """Tell the client that the process stops, and closes the socket in ``deadline`` seconds at the latest."""

    def go_away(self) -> None:
        """Close the socket: the process stops."""
        if self.state == self.STATE_OPEN:
            self.close(CloseCode.GOING_AWAY, "server going away")
        elif self.state == self.STATE_CONNECTING:
            self.transport.loseConnection()

    def heard_at(self) -> float:
        """The time when anything was last received, in seconds on the factory's clock. Data after a close frame does
        not count: nothing is sent any more.
        """
        return self.last_heard

    @property
    def host(self) -> str:
        """The address that it comes from; empty if that is not known."""
        return str(getattr(self.transport.getPeer(), "host", ""))

    # What the transport calls

    def pauseProducing(self) -> None:
        """Read no more from a client that does not read: it might be pinging without end."""
        self.is_stuck, self.unread = True, 0
        self.transport.pauseProducing()

    def resumeProducing(self) -> None:
        """Read again."""
        self.is_stuck = False
        if not self.is_waiting:
            self.transport.resumeProducing()

    def stopProducing(self) -> None:
        """Do nothing: the connection is gone, which is said in another way too."""

    def _count_unread(self, size: int) -> None:
        self.unread += size
        if self.unread > self.unread_max:
            self.close(CloseCode.TOO_SLOW, "reading too slowly")

    # What Autobahn calls

    def connectionMade(self) -> None:
        """Begin to count the time of the handshake. Autobahn's own method gives each what the class has."""
        transport = self.transport
        transport.unregisterProducer()  # the HTTP channel, if there was one before us
        transport.registerProducer(self, True)
        keep_little(transport)
        with suppress(AttributeError, OSError):  # it is no TCP
            transport.setTcpNoDelay(True)
        self.last_heard = self.changed_at = self.factory.clock.seconds()
        site = self.factory.crowds.join(transport)
        if site is not None:
            self.site = site
        self.factory.sockets[self] = None
        status = self._crowding()
        if status is not None and ISSLTransport.providedBy(transport):
            # A refusal is not worth a handshake of TLS.
            self.factory.refused[status.value] += 1
            self.state = self.STATE_CLOSED
            transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        """Note the time; drop what may not be kept: a handshake that is too long, what comes after the end.

        The short texts that ``data`` begins with are handed over at once, all but the first if there is time for them
        in this turn; the rest is for Autobahn.
        """
        if self.state != self.STATE_CLOSING:
            self.last_heard = self.factory.clock.seconds()
        if self.is_waiting:  # it had been read before, within TLS
            self.data += data
            return
        if self.state == self.STATE_OPEN:
            start, longest = 0, self.longest_short
            if self.current_frame is None and not self.data and not self.inside_message:
                while self.state == self.STATE_OPEN and (found := take_text(data, start, longest)) is not None:
                    payload, start = found
                    self.onMessage(payload, False)
                    if start == len(data):
                        return
                    if not self.factory.budget.has_time():
                        self._wait(data[start:])
                        return
            data = data[start:]
        elif not self._is_to_be_taken(data) or (self.reads_plain and self._opens(data)):
            return
        self._dataReceived(data)  # what Autobahn's own method does after it has worked out what to log

    def consumeData(self) -> None:
        """Read frames in Autobahn's way. All but the first may have to wait for a later turn."""
        if self.state == self.STATE_CONNECTING:
            super().consumeData()
            return
        while self.state != self.STATE_CLOSED and self.processData():
            if self.current_frame is None and not self.factory.budget.has_time():
                self._wait(self.data)
                return

    def _wait(self, rest: bytes) -> None:
        """Read no more, and go on with the rest in a later turn."""
        self.data = rest
        self.is_waiting = True
        self.transport.pauseProducing()
        self.factory.budget.wait(self)

    def go_on(self) -> None:
        """Go on with what has come: it is this socket's turn."""
        self.is_waiting = False
        if self.state == self.STATE_CLOSED:
            return
        heard, data, self.data = self.last_heard, self.data, b""
        self.dataReceived(data)
        self.last_heard = heard
        if not (self.is_waiting or self.is_stuck):
            self.transport.resumeProducing()

    def _is_to_be_taken(self, data: bytes) -> bool:
        if self.state == self.STATE_CONNECTING and len(self.data) + len(data) > self.limits.handshake_bytes:
            self.failHandshake("", HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        elif self.state != self.STATE_CONNECTING:
            self.passed_over += len(data)
            if self.passed_over > PASSED_OVER:
                self.transport.abortConnection()
                return False
            if self.is_broken:
                self.dropConnection()
        return self.state != self.STATE_CLOSED

    def _opens(self, data: bytes) -> bool:
        """Answer the handshake that ``data`` begins with; tell whether that was done."""
        plain = None if self.data or self.state != self.STATE_CONNECTING else read_plain(data)
        if plain is None:
            return False
        status = self._refusal(plain.opening)
        if status is not None:
            self.failHandshake("", status)
            return True
        write(self.transport, plain.answer(self.subprotocol))
        self.state = self.STATE_OPEN
        self._onOpen()
        if len(data) > plain.length:
            self.dataReceived(data[plain.length :])
        return True

    def _parseExtensionsHeader(self, header: str, removeQuotes: bool = True) -> list[object]:  # noqa: ARG002
        """Look at no offer of an extension: none is accepted, whatever is wrong with it (RFC 6455 §9.1)."""
        return []

    def onConnect(self, request: ConnectionRequest) -> str | None:
        """Answer a handshake that Autobahn has read with the subprotocol."""
        status = self._refusal(Opening(request.path, request.params, request.headers))
        if status is not None:
            raise ConnectionDeny(status.value)
        return self.subprotocol

    def _refusal(self, opening: Opening) -> HTTPStatus | None:
        """Why a socket may not be opened. Nothing that goes wrong here may be told to the client."""
        if self.factory.draining:
            return HTTPStatus.SERVICE_UNAVAILABLE
        status = self._crowding()
        if status is not None:
            return status
        if opening.has_body:
            return HTTPStatus.BAD_REQUEST
        try:
            self.admit(opening)
        except Refused as refused:
            return refused.status
        except Exception:  # noqa: BLE001
            log.failure("failed to admit a socket")
            return HTTPStatus.INTERNAL_SERVER_ERROR
        return None

    def _crowding(self) -> HTTPStatus | None:
        """Why this is one socket too many, if it is."""
        if self.factory.is_full:
            return HTTPStatus.SERVICE_UNAVAILABLE
        if self.site is not None and self.factory.crowds.is_too_large(self.site):
            return HTTPStatus.TOO_MANY_REQUESTS
        return None

    def failHandshake(
        self,
        reason: str,  # noqa: ARG002
        code: int = 400,
        responseHeaders: Sequence[tuple[str, str]] | None = None,
    ) -> None:
        """Refuse the upgrade, with the words of HTTP: Autobahn's quote what the client sent.

        :param responseHeaders: Autobahn gives the version that is spoken, if the client's is another.
        """
        self.factory.refused[int(code)] += 1
        self.transport.write(refusal(code, responseHeaders or ()))
        self.data = b""
        self.dropConnection()

    def _onOpen(self) -> None:
        """Forget the handshake, which held a token, and begin. Autobahn's own method looks for certificates."""
        for name in _LONG_GONE:
            self.__dict__.pop(name, None)
        self.has_opened = True
        try:
            self.opened()
        except Exception:  # noqa: BLE001
            log.failure("failed to open a socket")
            self.close(CloseCode.INTERNAL_ERROR, "internal error")

    def onMessageFrame(self, payload: Any) -> None:
        """Keep a part of a message. Of empty ones there could be any number."""
        if not self.failedByMe:
            self.message_data.extend(filter(None, payload))

    def onMessageEnd(self) -> None:
        """Hand over a whole message."""
        payload = b"".join(self.message_data)
        self.message_data = None
        if not self.failedByMe and self.state == self.STATE_OPEN:
            self.onMessage(payload, self.message_is_binary)

    def onFrameEnd(self) -> bool | None:
        """Count a frame that is no whole message, or the end of one, too: a ping, a pong, a part."""
        frame = self.current_frame
        if (frame.opcode > OPCODE_OF_DATA or not frame.fin) and self.state == self.STATE_OPEN:
            self.frames_until = self.factory.pace.next(self.frames_until, self.last_heard)
            if self.frames_until == inf:
                self._too_many()
        return super().onFrameEnd()

    def _too_many(self) -> None:
        self.close(CloseCode.TOO_MANY_FRAMES, "too many messages")
        self.passed_over = PASSED_OVER - PASSED_OVER_OF_MANY

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """Take a message."""
        if isBinary:
            self.close(CloseCode.UNSUPPORTED_DATA, "frames are text")
            return
        factory = self.factory
        factory.frames_received += 1
        factory.bytes_received += len(payload)
        self.frames_until = factory.pace.next(self.frames_until, self.last_heard)
        if self.frames_until == inf:
            self._too_many()
            return
        try:
            self.session.received(payload)
        except Exception:  # noqa: BLE001
            log.failure("failed to handle a frame")
            self.close(CloseCode.INTERNAL_ERROR, "internal error")

    def sendCloseFrame(self, code: int | None = None, reasonUtf8: bytes | None = None, isReply: bool = False) -> None:
        """Note when the closing handshake began, and count it if it began here."""
        if code is not None and not isReply:
            self.factory.closed[int(code)] += 1
        self.changed_at = self.factory.clock.seconds()
        super().sendCloseFrame(code, reasonUtf8, isReply)

    def onCloseFrame(self, code: int, reasonRaw: bytes) -> bool | None:
        """Note whether the client says goodbye, and did not only answer a close frame."""
        self.said_goodbye = self.state == self.STATE_OPEN and code in _GOODBYES
        return super().onCloseFrame(code, reasonRaw)

    def _protocol_violation(self, reason: str) -> bool:
        """Give up on a client that breaks RFC 6455. Autobahn would go on reading its bytes as frames."""
        opcode = self.current_frame.opcode if self.current_frame else (self.data or b"\0")[0] & OPCODE_BITS
        super()._protocol_violation(reason)
        self.is_broken = True
        self.data = b""
        if opcode == CLOSE:  # nothing follows it that could be waited for
            self.dropConnection()
        return True

    def onPong(self, payload: bytes) -> None:
        """Do nothing: that something was received has been noted."""

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:  # noqa: ARG002
        """Write what Autobahn has made: it would count and log it, too."""
        write(self.transport, data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        """Come to an end. Autobahn's own method looks for timers that it does not have, and for words to log."""
        self.factory.remove(self)
        self.state = self.STATE_CLOSED
        if self.has_opened:
            self.has_opened = False
            self.gone()
        # Neither is freed by itself while it knows the other, nor while a Deferred has fired with it.
        self.__dict__.pop("is_closed", None)
        del self.transport

    # What the factory's sweep asks

    def look(self, now: float) -> None:
        """Ping a silent socket; drop one that is silent for too long or never gets done."""
        if self.state == self.STATE_OPEN:
            silent = now - self.last_heard
            if silent < self.limits.ping_after:
                return
            if self.pinged_at <= self.last_heard:
                self.pinged_at = now
                self.sendPing()
            elif silent >= self.limits.silence and now - self.pinged_at >= PONG_TIME:
                self.close(CloseCode.NO_PONG, "no pong")
        elif self.state == self.STATE_CONNECTING:
            if now - self.changed_at >= self.limits.handshake_time:
                self.factory.refused[HTTPStatus.REQUEST_TIMEOUT.value] += 1
                self.transport.abortConnection()
        elif now - self.changed_at >= CLOSE_TIME:
            self.transport.abortConnection()
