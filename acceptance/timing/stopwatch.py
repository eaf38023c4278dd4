"""Sockets of devices without anything between the system and the clock."""

from __future__ import annotations

import json
import socket
import time
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Self

from acceptance.timing.callees import DEVICE
from harness import base_protocol
from harness.base_protocol import socket_path
from harness.websocket import PING, PONG, TEXT, Frame, FrameReader, client_frame
from harness.wire import HOST, PATIENCE, upgrade

APART: Final = 10_000_000
"""Nanoseconds between two calls."""
_ALIVE: Final = client_frame(PONG)


class Line:
    """The socket of one device."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw
        self._reader = FrameReader()
        self.called = ""
        """The phone whose answer is awaited; empty: none is."""
        self.called_at = 0

    @classmethod
    def open(cls, port: int, token: str) -> Self:
        """Connect a device.

        :raises Refused: the server does not let it.
        """
        raw = socket.create_connection((HOST, port), PATIENCE)
        raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        upgrade(raw, socket_path(token), f"{HOST}:{port}")
        raw.setblocking(False)
        return cls(raw)

    def say(self, data: bytes) -> None:
        """Send some frames."""
        self._raw.sendall(data)

    def live(self) -> None:
        """Show that the device lives, so that it need not be asked; forget earlier messages."""
        self.say(_ALIVE)
        try:
            while self._raw.recv(65536):
                pass
        except BlockingIOError:
            return
        raise ConnectionError("the server has closed the socket of a callee")

    def hears(self, word: bytes) -> bool:
        """Tell whether something with ``word`` in it comes."""
        until, heard = time.monotonic() + PATIENCE, b""
        while word not in heard:
            is_late = time.monotonic() > until
            try:
                heard += self._raw.recv(65536)
            except BlockingIOError:
                if is_late:
                    return False
        return True

    def call(self, phone: str) -> None:
        """Call a phone's only device."""
        self.called, self.called_at = phone, time.perf_counter_ns()
        self._raw.send(call(phone))

    def took(self) -> float | None:
        """After how many milliseconds it was told that the callee is offline; ``None``: it was not told yet.

        :raises ValueError: there was another answer.
        """
        try:
            data, now = self._raw.recv(4096), time.perf_counter_ns()
        except BlockingIOError:
            return None
        answers = [phone_told(frame) for frame in self._reader.feed(data) if frame.opcode != PING]
        if not answers:
            return None  # the server asks whether it lives: its next call says so
        if answers != [self.called]:
            raise ValueError("a call was answered by something else")
        self.called = ""
        return (now - self.called_at) / 1e6

    def close(self) -> None:
        """Be gone."""
        self._raw.close()


def ask(lines: Sequence[Line], phones: Iterable[str]) -> Iterator[tuple[str, float]]:
    """Have the lines call these in turn, a few milliseconds apart, however long the answers take: each phone, and after
    how many milliseconds it was said to be offline.

    This does not sleep, so that waking is not measured.

    :raises ValueError: there was another answer.
    :raises TimeoutError: there was none.
    """
    waiting, next_at = deque(phones), time.perf_counter_ns()
    free, calling = deque(lines), list[Line]()
    while waiting or calling:
        now = time.perf_counter_ns()
        for line in list(calling):
            phone, took = line.called, line.took()
            if took is not None:
                calling.remove(line)
                free.append(line)
                yield phone, took
            elif now - line.called_at > PATIENCE * 1e9:
                raise TimeoutError("no answer to a call")
        if waiting and free and now >= next_at:
            line = free.popleft()
            line.call(waiting.popleft())
            calling.append(line)
            next_at = now + APART


def call(phone: str) -> bytes:
    """A call of a phone's only device."""
    return client_frame(TEXT, json.dumps(base_protocol.call((phone, DEVICE))).encode())


def phone_told(answer: Frame) -> str:
    """The phone that an answer says to be offline.

    :raises ValueError: it is another answer.
    """
    fields = json.loads(answer.payload) if answer.opcode == TEXT else {}
    if (fields.get("type"), fields.get("reason")) != ("call_failed", "offline"):
        raise ValueError(f"a call was answered by {answer.payload[:200]!r}")
    return str(fields["to_phone"])
