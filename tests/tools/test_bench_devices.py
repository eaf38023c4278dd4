"""The generator's devices: they do their part of a call, and take no frame that should not have come."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase
from websockets.frames import Frame
from websockets.http11 import Request
from websockets.server import ServerProtocol

from bench.devices import Callee, Caller, Client, Device, LoadError, address_of
from bench.pages import Page
from harness.websocket import CLOSE, PING, PONG, TEXT, Refused, server_frame

ROOM = "0123456789abcdef0123456789abcdef"
CALLER, CALLEE = address_of(0), address_of(1)
CALLED = {"type": "called", "from_phone": CALLER.phone, "from_device_id": CALLER.device_id, "room_id": ROOM}
SUCCESS = {"type": "call_success", "to_phone": CALLEE.phone, "to_device_id": CALLEE.device_id, "room_id": ROOM}
HANG_UP = {
    "type": "calling_be_hangup",
    "fire_phone": CALLER.phone,
    "fire_device_id": CALLER.device_id,
    "room_id": ROOM,
}


class Line(asyncio.Transport):
    """The server's end of a connection of one device, or one page."""

    def __init__(self, device: Client) -> None:
        super().__init__()
        self.written: list[bytes] = []
        self.aborted = False
        self._device = device
        self._server = ServerProtocol()
        device.connection_made(self)
        self._server.receive_data(b"".join(self.written))
        (request,) = self._server.events_received()
        assert isinstance(request, Request)
        self._server.send_response(self._server.accept(request))
        self.written.clear()
        device.data_received(b"".join(self._server.data_to_send()))

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes of the device."""
        self.written.append(bytes(data))

    def abort(self) -> None:
        """Note that the device has given up."""
        self.aborted = True

    def say(self, message: dict[str, Any]) -> None:
        """Send a text frame of the server's."""
        self.frame(TEXT, json.dumps(message).encode())

    def frame(self, opcode: int, payload: bytes) -> None:
        """Send any frame of the server's."""
        self._device.data_received(server_frame(opcode, payload))

    def frames(self) -> list[tuple[int, bytes]]:
        """The frames that the device has sent since this was last asked."""
        self._server.receive_data(b"".join(self.written))
        self.written.clear()
        return [
            (frame.opcode, bytes(frame.data)) for frame in self._server.events_received() if isinstance(frame, Frame)
        ]

    def heard(self) -> list[dict[str, Any]]:
        """The frames that the device has sent since the last call."""
        return [json.loads(payload) for _, payload in self.frames()]


class PairCase(SynchronousTestCase):
    """A caller and a callee that are connected."""

    def with_pair(self, test: Callable[[Caller, Line, Line], None]) -> list[Exception | None]:
        """Run a test; returns the outcome of each call."""
        ends: list[Exception | None] = []

        async def run() -> None:
            caller = Caller(0, 8082, ends.append)
            caller.callee = Callee(1, 8082, caller, ends.append)
            test(caller, Line(caller), Line(caller.callee))

        asyncio.run(run())
        return ends

    def assert_error(self, test: Callable[[Caller, Line, Line], None]) -> None:
        """The test is the end of the measurement."""
        (error,) = self.with_pair(test)
        self.assertIsInstance(error, LoadError)


class CallTests(PairCase):
    """One call."""

    def test_whole_call(self) -> None:
        """Three frames go out and three come in, then the call is over and its waiting known."""

        def call(caller: Caller, at_caller: Line, at_callee: Line) -> None:
            caller.call(0.5)
            to = {"to_phone": CALLEE.phone, "to_device_id": CALLEE.device_id}
            self.assertEqual([{"type": "call", **to}], at_caller.heard())
            at_callee.say(CALLED)
            self.assertEqual([{**CALLED, "type": "called_success"}], at_callee.heard())
            at_caller.say(SUCCESS)
            notified = {"notified_phone": CALLEE.phone, "notified_device_id": CALLEE.device_id, "room_id": ROOM}
            self.assertEqual([{"type": "calling_hangup", **notified}], at_caller.heard())
            at_callee.say(HANG_UP)
            self.assertGreater(caller.waited.called, 0)
            self.assertGreater(caller.waited.success, caller.waited.called)

        self.assertEqual([None], self.with_pair(call))

    def test_extra_fields_are_allowed(self) -> None:
        """Base clients are sent fields that they do not know."""

        def call(_caller: Caller, _at_caller: Line, at_callee: Line) -> None:
            at_callee.say({**CALLED, "from_name": "Mum", "expires_in": 45})

        self.assertEqual([], self.with_pair(call))

    def test_wrong_fields(self) -> None:
        """The wrong caller, callee or room is an error, wherever it appears."""

        def in_called(change: dict[str, str]) -> None:
            self.assert_error(lambda _caller, _at_caller, at_callee: at_callee.say({**CALLED, **change}))

        def in_success(change: dict[str, str]) -> None:
            def call(caller: Caller, at_caller: Line, at_callee: Line) -> None:
                caller.call(0.5)
                at_callee.say(CALLED)
                at_caller.say({**SUCCESS, **change})

            self.assert_error(call)

        def in_hang_up(change: dict[str, str]) -> None:
            def call(_caller: Caller, _at_caller: Line, at_callee: Line) -> None:
                at_callee.say(CALLED)
                at_callee.say({**HANG_UP, **change})

            self.assert_error(call)

        in_called({"from_phone": CALLEE.phone})
        in_called({"from_device_id": CALLEE.device_id})
        in_called({"room_id": "room"})
        in_success({"to_phone": CALLER.phone})
        in_success({"room_id": ROOM[::-1]})
        in_hang_up({"fire_device_id": CALLEE.device_id})
        in_hang_up({"room_id": ROOM[::-1]})

    def test_frames_that_should_not_come(self) -> None:
        """A failure, a second ring, an answer to nobody's call: each is an error."""
        self.assert_error(lambda _caller, at_caller, _at_callee: at_caller.say({**SUCCESS, "type": "call_failed"}))
        self.assert_error(lambda _caller, at_caller, _at_callee: at_caller.say(SUCCESS))
        self.assert_error(lambda _caller, at_caller, _at_callee: at_caller.say(CALLED))

        def ring_twice(_caller: Caller, _at_caller: Line, at_callee: Line) -> None:
            at_callee.say(CALLED)
            at_callee.say(CALLED)

        self.assert_error(ring_twice)


class ConnectionTests(SynchronousTestCase):
    """One connection."""

    def test_refused_upgrade(self) -> None:
        """A device whose upgrade is refused reports that to its opener."""

        async def open_it() -> None:
            device = Device(0, 8082)
            Line(device)
            refused = Device(1, 8082)
            refused.connection_made(Line(device))
            refused.data_received(b"HTTP/1.1 401 Unauthorized\r\n\r\n")
            await refused.opened

        with self.assertRaises(Refused):
            asyncio.run(open_it())

    def test_pings_are_answered(self) -> None:
        """A ping is answered with its payload."""

        async def ping() -> list[tuple[int, bytes]]:
            line = Line(Device(0, 8082))
            line.frame(PING, b"abc")
            return line.frames()

        self.assertEqual([(PONG, b"abc")], asyncio.run(ping()))

    def test_closing_is_an_error(self) -> None:
        """A server that closes an idle socket, in form or not, spoils the measurement, and it is remembered."""

        async def close(in_form: bool) -> Exception | None:
            device = Device(0, 8082)
            line = Line(device)
            if in_form:
                line.frame(CLOSE, b"\x11\x39")
                self.assertTrue(line.aborted)
            device.connection_lost(None)
            return device.error

        self.assertEqual("the server closed with 4409", str(asyncio.run(close(True))))
        self.assertEqual("the server closed the connection", str(asyncio.run(close(False))))

    def test_idle_device_is_sent_nothing(self) -> None:
        """Whatever comes to an idle device is an error."""

        async def say() -> Exception | None:
            device = Device(0, 8082)
            Line(device).say(CALLED)
            return device.error

        self.assertIsInstance(asyncio.run(say()), LoadError)


class PageTests(SynchronousTestCase):
    """The two pages of a room."""

    def with_page(self, test: Callable[[Page, Line], None]) -> list[Exception | None]:
        """Run a test with a page that has met the other one; returns its messages."""
        heard: list[Exception | None] = []

        async def run() -> None:
            page = Page(8080, "bench", "a" * 32, "b" * 32, lambda _, error: heard.append(error))
            line = Line(page)
            page.join()
            join = {"type": "join", "room_id": "bench", "key": "a" * 32, "session": "a" * 32}
            self.assertEqual([join], line.heard())
            for state in ("waiting", "meeting", "meeting"):
                self.assertFalse(page.meets.done() and state == "waiting")
                line.say({"type": "room", "state": state, "reason": "", "peer": None})
            self.assertTrue(page.meets.done())
            test(page, line)

        asyncio.run(run())
        return heard

    def test_meeting(self) -> None:
        """A page speaks to the other by its name, and hears its messages."""

        def talk(page: Page, line: Line) -> None:
            page.speak()
            (said,) = line.heard()
            self.assertEqual(("relay", "b" * 32), (said["type"], said["to"]))
            line.say({"type": "relay", "from": "b" * 32, "data": said["data"]})

        self.assertEqual([None], self.with_page(talk))

    def test_frames_that_should_not_come(self) -> None:
        """A frame from a stranger, a room that has ended, and a refusal are errors."""
        for frame in (
            {"type": "relay", "from": "c" * 32, "data": {}},
            {"type": "room", "state": "ended", "reason": "expired", "peer": None},
            {"type": "refused", "reason": "full"},
        ):
            (error,) = self.with_page(lambda _page, line, frame=frame: line.say(frame))  # type: ignore[misc]
            self.assertIsInstance(error, LoadError)
