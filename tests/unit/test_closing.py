"""The end of sockets: close codes, keep-alive, stopping, and clients that do not do their part (protocol §2)."""

from __future__ import annotations

from OpenSSL import SSL
from twisted.internet.error import ConnectionLost

from callnet.model import DeviceAddress
from callnet.ws import factory
from harness.websocket import BINARY, CLOSE, CONTINUATION, PING, TEXT, client_frame
from tests.support.quiet import QuietTestCase
from tests.support.wires import Device

TV = DeviceAddress("13651884967", "tv888")
PHONE = DeviceAddress("13651884968", "phone1")


class ClosingCase(QuietTestCase):
    """A television in a call with a phone."""

    def setUp(self) -> None:
        """Connect the two."""
        super().setUp()
        self.tv = self.world.device(*TV)
        self.phone = self.world.device(*PHONE)

    def talk(self) -> str:
        """Let the television call the phone, which accepts; answer the room."""
        self.tv.say("call", to_phone=PHONE.phone, to_device_id=PHONE.device_id)
        room = self.phone.hears()["room_id"]
        self.phone.say("called_success", from_phone=TV.phone, from_device_id=TV.device_id, room_id=room)
        self.tv.hears()
        assert isinstance(room, str)
        return room

    def online(self) -> frozenset[DeviceAddress]:
        """The connected devices."""
        return self.successResultOf(self.world.store.online([TV, PHONE]))

    def assert_closed(self, device: Device, code: int, rest: int = 1) -> None:
        """The server closed that socket with this code and forgot it; ``rest`` others are left."""
        self.assertEqual(device.close_code, code)
        self.assertTrue(device.wire.lost)
        self.assertEqual(len(self.world.signaling.sockets), rest)


class CloseCodeTests(ClosingCase):
    """Which code closes a socket when."""

    def test_binary(self) -> None:
        """A binary frame closes the socket with 1003, whatever it holds."""
        for payload in (b"", b'{"type":"call"}', b"\xff" * 1000):
            self.tv.say_raw(payload, BINARY)
            self.assert_closed(self.tv, 1003)
            self.assertEqual(self.tv.heard(), [])
            self.tv = self.world.device(*TV)

    def test_too_large(self) -> None:
        """A frame, or a message in several, of more than 16 KiB closes the socket with 1009."""
        self.tv.say_raw(b" " * 16384)
        self.assertEqual(self.tv.hears()["type"], "error")
        self.tv.say_raw(b" " * 16385)
        self.assert_closed(self.tv, 1009)
        self.phone.wire.frame(TEXT, b" " * 16000, fin=False)
        self.phone.wire.frame(CONTINUATION, b" " * 385)
        self.world.settle()
        self.assert_closed(self.phone, 1009, rest=0)

    def back(self, pause: float) -> list[str]:
        """Connect the television again; the first messages to it, within this number of seconds."""
        tv = self.world.device(*TV)
        self.world.advance(pause)
        return [message["type"] for message in tv.heard()]

    def test_goodbye(self) -> None:
        """A device that closes the socket with 1000, 1001 or no code knows the messages just before; with another
        code, for an error, or without a close frame it is told again.
        """
        for code in (1000, 1001, None, 1011, 4000, 0):
            room = self.talk()
            self.phone.say("calling_hangup", notified_phone="", notified_device_id="", room_id=room)
            self.tv.hears()
            if code != 0:
                self.tv.say_raw(b"" if code is None else code.to_bytes(2, "big"), CLOSE)
            self.tv.leave()
            told = [] if code in (1000, 1001, None) else ["calling_be_hangup"]
            self.assertEqual(told, self.back(1.0), code)
            self.tv = self.world.device(*TV)
            self.world.advance(130)
            self.tv.heard()

    def test_answer_is_no_goodbye(self) -> None:
        """A device that only answers the server's close frame has not said goodbye, and that answer shows nothing."""
        room = self.talk()
        self.tv.wire.answers_close = False
        self.phone.say("calling_hangup", notified_phone="", notified_device_id="", room_id=room)
        self.tv.say_raw(b"", BINARY)
        self.world.advance(3.0)
        self.tv.say_raw((1000).to_bytes(2, "big"), CLOSE)
        self.assertEqual(["calling_be_hangup"], self.back(1.0))

    def test_ten_megabytes(self) -> None:
        """Nothing of a frame of 10 MB is kept, and the socket is closed at its beginning."""
        data = client_frame(TEXT, b"x" * 10_000_000)
        self.tv.wire.send(data[:100])
        self.world.settle()
        self.assertEqual(self.tv.close_code, 1009)
        socket = self.tv.wire.transport.protocol
        self.tv.wire.answers_close = False
        self.tv.wire.send(data[100:5_000_000])
        self.world.settle()
        self.assertEqual(socket.data, b"")
        self.assertFalse(socket.frame_data)

    def test_bad_utf8(self) -> None:
        """A text frame that is no UTF-8 closes the socket with 1007."""
        for payload in (b"\xff", b'{"type":"call\xc3', b'{"type":"call","to_phone":"\xed\xa0\x80"}', b"\xf8" * 9000):
            self.tv.say_raw(payload)
            self.assert_closed(self.tv, 1007)
            self.tv = self.world.device(*TV)

    def test_no_frames(self) -> None:
        """Bytes that are no frame of RFC 6455 close the socket with 1002; the bytes that follow end it."""
        for data in (
            b"\x81\x02{}",  # not masked
            b"\xc1\x80" + bytes(4),  # a reserved bit
            b"\x83\x80" + bytes(4),  # a reserved opcode
            b"\x8b\x80" + bytes(4),  # a reserved control opcode
            b"\x80\x80" + bytes(4),  # a continuation of nothing
            b"\x09\x80" + bytes(4),  # a ping in fragments
            b"\x89\xfe\x00\x7e" + bytes(4),  # a ping of 126 bytes
            b"\x88\x81" + bytes(5),  # a close of one byte
            client_frame(CLOSE, b"\x03\xed"),  # a close code that may not be sent
            b"\x81\xfe\x00\x7d" + bytes(4),  # a length that could be shorter
            b"\x81\xff" + b"\xff" * 8 + bytes(4),  # a length of more than 63 bits
        ):
            self.tv.wire.send(data)
            self.world.settle()
            self.assert_closed(self.tv, 1002)
            self.tv = self.world.device(*TV)

    def test_bad_close_frame(self) -> None:
        """After a close frame that is wrong the client sends no other, which is not waited for (RFC 6455 §7.1.1)."""
        for data in (b"\x88\x81" + bytes(5), client_frame(CLOSE, b"\x03\xe7"), client_frame(CLOSE, b"\x03\xe8" * 63)):
            self.tv.wire.answers_close = False
            self.tv.wire.send(data)
            self.world.settle()
            self.assert_closed(self.tv, 1002)
            self.tv = self.world.device(*TV)

    def test_newest_wins(self) -> None:
        """A newer connection of a device closes the older one with 4409, and the call lives on in the newer one."""
        room = self.talk()
        newer = self.world.device(*TV)
        self.assertEqual(newer.hears()["type"], "call_success")  # the older one has said nothing since it was told so
        self.assert_closed(self.tv, 4409, rest=2)
        self.world.advance(60)
        self.assertEqual(self.phone.heard(), [])
        self.phone.say("calling_hangup", notified_phone="", notified_device_id="", room_id=room)
        self.assertEqual(newer.hears()["type"], "calling_be_hangup")
        self.assertEqual(self.online(), {TV, PHONE})

    def test_older_one_never_leaves(self) -> None:
        """A displaced socket that does not answer its close is cut, and its later messages have no effect."""
        self.tv.wire.answers_close = False
        newer = self.world.device(*TV)
        self.assertEqual(self.tv.close_code, 4409)
        self.tv.say("call", to_phone=PHONE.phone, to_device_id=PHONE.device_id)
        self.assertEqual(self.phone.heard(), [])
        self.world.advance(11)
        self.assertTrue(self.tv.wire.lost)
        self.assertEqual(self.online(), {TV, PHONE})
        newer.say("call", to_phone=PHONE.phone, to_device_id=PHONE.device_id)
        self.assertEqual(self.phone.hears()["type"], "called")

    def test_many_displacements(self) -> None:
        """Only the newest of any number of connections of one device stays."""
        devices = [self.world.device(*TV) for _ in range(20)]
        self.assertEqual([device.close_code for device in devices], [4409] * 19 + [None])
        self.assertEqual(len(self.world.signaling.sockets), 2)

    def test_ping(self) -> None:
        """A silent socket is pinged, and lives for ever if it answers."""
        self.world.advance(3600)
        self.assertTrue(self.tv.wire.open)
        pings = [frame for frame in self.tv.wire.frames if frame.opcode == PING]
        self.assertGreaterEqual(len(pings), 3600 / 20)
        self.assertLessEqual(len(pings), 3600 / 15)

    def test_no_ping_for_who_speaks(self) -> None:
        """A client that sends is not pinged."""
        for _ in range(60):
            self.world.advance(5)
            self.tv.say("heartbeat")
        self.assertEqual([frame for frame in self.tv.wire.frames if frame.opcode == PING], [])

    def test_no_pong(self) -> None:
        """A socket on which nothing comes for 25 s is closed with 4408."""
        self.tv.wire.answers_ping = False
        self.world.advance(24)
        self.assertTrue(self.tv.wire.open)
        self.world.advance(6)
        self.assert_closed(self.tv, 4408)
        self.assertEqual(self.online(), {PHONE})

    def test_server_that_stood_still(self) -> None:
        """A client that could not be heard since the server stood still is not taken for silent, whenever that was."""
        for ping_answered in (True, False):
            for before in range(0, 40, 2):
                self.setUp()
                self.world.advance(before / 2)
                if not ping_answered:
                    for _ in range(20):
                        self.world.clock.advance(0.25)  # bytes sent now come when the server goes on
                self.world.clock.advance(27)
                self.world.advance(120)
                self.assertTrue(self.tv.wire.open, (ping_answered, before))

    def test_many(self) -> None:
        """Only some of thousands of sockets are looked at in one go, and yet each is pinged and closed in time."""
        self.patch(factory, "SWEPT_AT_ONCE", 7)
        devices = [self.world.device(f"136{number:08d}", "tv") for number in range(50)]
        for device in devices[::2]:
            device.wire.answers_ping = False
        most = 0
        for _ in range(4 * 40):
            before = sum(device.close_code is not None for device in devices)
            self.world.advance(0.25)
            most = max(most, sum(device.close_code is not None for device in devices) - before)
        self.assertEqual([4408, None] * 25, [device.close_code for device in devices])
        self.assertLessEqual(most, 7)

    def test_dead_path(self) -> None:
        """A socket behind a dead path is cut soon after it was closed without an answer."""
        self.tv.wire.answers_ping = self.tv.wire.answers_close = False
        self.world.advance(41)
        self.assertTrue(self.tv.wire.lost)
        self.assertEqual(len(self.world.signaling.sockets), 1)


class StoppingTests(ClosingCase):
    """Stopping the server."""

    def test_stop(self) -> None:
        """Every device is told 1001 and nothing else, also in a call; the stop is done when all are gone."""
        self.talk()
        ringing, rung = self.world.device("13651884960", "a"), self.world.device("13651884961", "b")
        ringing.say("call", to_phone="13651884961", to_device_id="b")
        rung.heard()
        stopped = self.world.signaling.shut_down()
        self.assertNoResult(stopped)
        self.world.settle()
        self.successResultOf(stopped)
        for device in (self.tv, self.phone, ringing, rung):
            self.assertEqual(device.close_code, 1001)
            self.assertEqual(device.heard(), [])

    def test_nobody_there(self) -> None:
        """With nobody connected a stop is done at once."""
        self.tv.leave()
        self.phone.leave()
        self.successResultOf(self.world.signaling.shut_down())

    def test_every_state(self) -> None:
        """Sockets that have not opened yet, are closing already, or never answer do not keep a stop from ending."""
        self.world.connect()
        halfway = self.world.connect()
        halfway.send(b"GET /socket.io?token=")
        refused = self.world.connect()
        refused.reads = False
        refused.handshake("/")
        self.world.settle()
        self.tv.wire.answers_close = False
        displaced = self.tv
        newer = self.world.device(*TV)
        self.phone.wire.answers_close = False
        stopped = self.world.signaling.shut_down()
        self.world.settle()
        self.assertTrue(halfway.lost)
        self.assertEqual([d.close_code for d in (displaced, newer, self.phone)], [4409, 1001, 1001])
        self.assertNoResult(stopped)
        late = self.world.ask("/socket.io")
        self.assertEqual(late.status, 503)
        self.world.clock.advance(5)
        self.successResultOf(stopped)
        self.world.settle()
        self.assertEqual(self.world.signaling.sockets, {})

    def test_newcomers_do_not_hinder(self) -> None:
        """Connections that go on coming do not keep a stop from ending."""
        self.tv.wire.answers_close = self.phone.wire.answers_close = False
        stopped = self.world.signaling.shut_down()
        for _ in range(5):
            self.world.connect()
            self.world.clock.advance(1)
        self.successResultOf(stopped)


class ResourceTests(ClosingCase):
    """Clients that would use up shared resources."""

    def test_pings_that_nobody_reads(self) -> None:
        """A client that pings without reading is not read from any more, is counted, and closed for its silence."""
        self.assertEqual(0, self.world.signaling.not_reading)
        self.tv.wire.reads = False
        ping = client_frame(PING, b"x" * 125) * 500
        for _ in range(100):
            self.tv.wire.send(ping)
            self.world.settle()
        self.assertLess(len(self.tv.wire.transport.value()), 200_000)
        self.assertEqual(1, self.world.signaling.not_reading)
        self.world.advance(41)
        self.assertTrue(self.tv.wire.lost)

    def test_reading_again(self) -> None:
        """A client that reads again is served as before."""
        self.tv.wire.reads = False
        for _ in range(10):
            self.tv.wire.send(client_frame(PING, b"x" * 125) * 100)
            self.world.settle()
        self.tv.wire.reads = True
        self.world.settle()
        self.assertTrue(self.tv.wire.open)
        self.tv.say("call", to_phone=PHONE.phone, to_device_id=PHONE.device_id)
        self.assertEqual(self.phone.hears()["type"], "called")

    def test_empty_fragments(self) -> None:
        """Any number of empty fragments takes no memory."""
        self.tv.wire.frame(TEXT, b'{"type":', fin=False)
        empty = client_frame(CONTINUATION, b"", fin=False) * 1000
        for _ in range(10):
            self.tv.wire.send(empty)
            self.world.settle()
        socket = self.tv.wire.transport.protocol
        self.assertEqual(len(socket.message_data), 1)
        self.tv.wire.frame(CONTINUATION, b'"x"}')
        self.world.settle()
        self.assertEqual(self.tv.hears()["message"], "unknown type")

    def test_connection_that_breaks(self) -> None:
        """However a connection breaks, nothing of it is left."""
        for reason in (SSL.Error(), SSL.SysCallError(-1, "Unexpected EOF"), ConnectionLost(), OSError(9, "x")):
            self.tv.wire.leave(reason)
            self.assertEqual(self.online(), {PHONE})
            self.assertEqual(len(self.world.signaling.sockets), 1)
            self.tv = self.world.device(*TV)

    def test_refused_but_not_gone(self) -> None:
        """A refused client that goes on sending is ignored."""
        wire = self.world.ask("/")
        socket = wire.transport.protocol
        for _ in range(100):
            socket.dataReceived(b"x" * 1000)
        self.assertEqual(socket.data, b"")
