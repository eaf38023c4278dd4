"""Sockets of devices without anything between the system and the clock."""

from __future__ import annotations

import json
import socket
import time
from typing import Final, Self

from acceptance.timing.callees import DEVICE
from harness import base_protocol
from harness.base_protocol import socket_path
from harness.websocket import PONG, TEXT, FrameReader, client_frame
from harness.wire import HOST, PATIENCE, upgrade

_ALIVE: Final = client_frame(PONG)


class Line:
    """The socket of one device."""

    def __init__(self, raw: socket.socket) -> None:
        self._raw = raw

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
        """Show that the device lives, so that it need not be asked; forget what came."""
        self.say(_ALIVE)
        try:
            while self._raw.recv(65536):
                pass
        except BlockingIOError:
            return
        raise ConnectionError("the server has closed the socket of a callee")

    def hears(self, word: bytes) -> bool:
        """Tell whether something with ``word`` in it comes."""
        until, heard = time.monotonic() + PATIENCE / 10, b""
        while word not in heard:
            try:
                heard += self._raw.recv(65536)
            except BlockingIOError:
                if time.monotonic() > until:
                    return False
        return True

    def ask(self, asked: bytes) -> int:
        """Place a call; after how many nanoseconds the answer was there that the callee is offline.

        This does not sleep, so that waking is not measured.

        :raises ValueError: there was another answer.
        :raises TimeoutError: there was none.
        """
        receive, now = self._raw.recv, time.perf_counter_ns
        began = now()
        self._raw.send(asked)
        while True:
            try:
                answer = receive(4096)
                break
            except BlockingIOError:
                if now() - began > PATIENCE * 1e9:
                    raise TimeoutError("no answer to a call") from None
        took = now() - began
        check(answer)
        return took

    def close(self) -> None:
        """Be gone."""
        self._raw.close()


def call(phone: str) -> bytes:
    """A call of a phone's only device."""
    return client_frame(TEXT, json.dumps(base_protocol.call((phone, DEVICE))).encode())


def check(answer: bytes) -> None:
    """See to it that an answer is one whole frame that says ``offline``.

    :raises ValueError: it is something else.
    """
    frames = FrameReader().feed(answer)
    fields = json.loads(frames[0].payload) if [frame.opcode for frame in frames] == [TEXT] else {}
    if (fields.get("type"), fields.get("reason")) != ("call_failed", "offline"):
        raise ValueError(f"a call was answered by {answer[:200]!r}")
