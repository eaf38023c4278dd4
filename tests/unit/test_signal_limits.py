"""Rate limits of devices and pages on their sockets (protocol §2, §2.1)."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.trial.unittest import SynchronousTestCase

from callnet.config.schema import LimitSettings
from callnet.model import DeviceAddress, Reason
from callnet.ops.limits import LimitedConnections, PerAddress
from callnet.web.http import CappedSite
from callnet.ws.factory import Pace
from harness.websocket import CONTINUATION, PING, PONG, TEXT, client_frame
from tests.support.quiet import QuietTestCase
from tests.support.tls_wire import TlsWire
from tests.support.unlimited import UNLIMITED
from tests.support.wires import Device, Wire, World

ANN = DeviceAddress("13651884968", "phone")
TV = DeviceAddress("13651884967", "tv")
PAD = DeviceAddress("13651884967", "pad")


class LimitedCase(QuietTestCase):
    """A server with few of everything."""

    limits = UNLIMITED

    def make_world(self) -> World:
        """Such a server."""
        return World(limits=self.limits)

    def handshake(self, address: DeviceAddress = ANN) -> Wire:
        """The answer to a device that connects."""
        return self.world.ask(f"/socket.io?token={self.world.tokens.issue(address)}")

    def assert_refused(self, wire: Wire) -> None:
        """It was too many; the answer says when to try again."""
        self.assertEqual((429, False), (wire.status, wire.open))
        self.assertIn("Retry-After: 15\r\n", wire.head)


class FramesTests(LimitedCase):
    """Frames on a connection."""

    limits = replace(UNLIMITED, frames_a_minute_of_a_device=10, frames_a_minute_of_a_page=5)

    def send(self, device: Device, count: int) -> None:
        """Send frames that are of no consequence."""
        for _ in range(count):
            device.say("calling_hangup", notified_phone=TV.phone, notified_device_id=TV.device_id, room_id="")

    def test_too_many(self) -> None:
        """A burst is allowed; one more closes the connection with 4429, and is not looked at."""
        ann = self.world.device(*ANN)
        tv = self.world.device(*TV)
        self.send(ann, 10)
        self.assertTrue(ann.wire.open)
        ann.say("call", to_phone=TV.phone, to_device_id=TV.device_id)
        self.assertEqual(4429, ann.close_code)
        self.assertEqual([], tv.heard())

    def test_steadily(self) -> None:
        """One every six seconds may come for ever, and after a minute as many at once as before."""
        ann = self.world.device(*ANN)
        for _ in range(30):
            self.world.clock.advance(6)
            self.send(ann, 1)
        self.world.clock.advance(60)
        self.send(ann, 10)
        self.assertTrue(ann.wire.open)
        self.send(ann, 1)
        self.assertEqual(4429, ann.close_code)

    def test_bad_frames(self) -> None:
        """Those of types that nobody knows count, too."""
        ann = self.world.device(*ANN)
        for _ in range(11):
            ann.say("what")
        self.assertEqual(4429, ann.close_code)

    def test_control_frames(self) -> None:
        """Pings and pongs count as texts do, a device's and a page's."""
        for opcode in (PING, PONG):
            for client, most in ((self.world.device(*ANN), 10), (self.world.page(), 5)):
                for _ in range(most):
                    client.say_raw(b"", opcode)
                self.assertTrue(client.wire.open)
                client.say_raw(b"x", opcode)
                self.assertEqual(4429, client.close_code)
                self.assertEqual(most if opcode == PING else 0, [f.opcode for f in client.wire.frames].count(PONG))
                client.leave()

    def test_fragments(self) -> None:
        """The parts of a message count as well, empty ones too, as there could be any number."""
        for client, most in ((self.world.device(*ANN), 10), (self.world.page(), 5)):
            client.wire.frame(TEXT, b"", fin=False)
            for _ in range(most - 1):
                client.wire.frame(CONTINUATION, b"", fin=False)
            self.world.settle()
            self.assertTrue(client.wire.open)
            client.say_raw(b"", CONTINUATION)
            self.assertEqual(4429, client.close_code)

    def test_whole_message_in_parts(self) -> None:
        """A message in two parts counts as two."""
        ann = self.world.device(*ANN)
        for _ in range(5):
            ann.wire.frame(TEXT, b'{"type":', fin=False)
            ann.wire.frame(CONTINUATION, b'"what"}')
        self.world.settle()
        self.assertTrue(ann.wire.open)
        ann.say("what")
        self.assertEqual(4429, ann.close_code)

    def test_goes_on(self) -> None:
        """A client that goes on sending after that is cut off when 16 KiB more have come."""
        ann = self.world.device(*ANN)
        ann.wire.answers_close = False
        self.send(ann, 11)
        self.assertEqual(4429, ann.close_code)
        sent = 0
        while not ann.wire.lost:
            ann.wire.send(client_frame(PING, b"x" * 120) * 60)
            self.world.settle()
            sent += 60 * 126
            self.assertLess(sent, 32 * 1024)
        self.assertGreater(sent, 16 * 1024)

    def test_page(self) -> None:
        """A page has a limit of its own."""
        page = self.world.page()
        page.say("join", room_id="red-house", key="a" * 32, session="0" * 32)
        for _ in range(5):
            page.say("ping")
        self.assertEqual(4429, page.close_code)


class CallsTests(LimitedCase):
    """Calls of a device."""

    limits = replace(UNLIMITED, calls_a_minute_of_a_device=6, calls_a_minute_between_phones=4)

    def setUp(self) -> None:
        """Ann and a television."""
        super().setUp()
        self.ann, self.tv = self.world.device(*ANN), self.world.device(*TV)

    def calls(self, device: Device, phone: str, device_id: str = "nobody") -> str | None:
        """Why a call fails, if it does."""
        device.say("call", to_phone=phone, to_device_id=device_id)
        return next((message["reason"] for message in device.heard()), None)

    def test_of_a_device(self) -> None:
        """More calls than it may place in a minute fail at once, and change nothing."""
        self.assertEqual(["offline"] * 5, [self.calls(self.ann, f"1365188490{n}") for n in range(5)])
        self.assertIsNone(self.calls(self.ann, *TV))
        self.assertEqual("called", self.tv.hears()["type"])
        self.assertEqual("rate_limited", self.calls(self.ann, "13651884901"))
        self.assertEqual([], self.tv.heard())
        self.assertEqual(1, self.world.rooms.counts.failed[Reason.RATE_LIMITED])
        self.world.clock.advance(10)
        self.assertEqual("offline", self.calls(self.ann, "13651884901"))

    def test_between_phones(self) -> None:
        """Calls from one phone to another are limited as well, for all their devices; others may call it."""
        other = self.world.device(ANN.phone, "other")
        made = [self.calls(device, TV.phone, name) for device, name in ((self.ann, "a"), (other, "b")) for _ in "12"]
        self.assertEqual(["offline"] * 4, made)
        self.assertEqual("rate_limited", self.calls(other, TV.phone, "c"))
        self.assertEqual("rate_limited", self.calls(self.ann, TV.phone, "*"))
        self.assertEqual("offline", self.calls(self.ann, "13651884901"))
        self.assertEqual("offline", self.calls(self.tv, TV.phone, "nobody"))
        self.assertEqual("offline", self.calls(self.tv, ANN.phone, "nobody"))

    def test_of_a_phone(self) -> None:
        """All devices of a phone together may place twice as many as one; other phones place theirs."""
        devices = [self.ann, self.world.device(ANN.phone, "other"), self.world.device(ANN.phone, "third")]
        made = [self.calls(devices[n % 3], f"1365188490{n % 10}") for n in range(12)]
        self.assertEqual(["offline"] * 12, made)
        for device in devices:
            self.assertEqual("rate_limited", self.calls(device, "13651884901"))
        self.assertEqual("offline", self.calls(self.tv, "13651884901"))
        self.world.clock.advance(10)
        self.assertEqual("offline", self.calls(devices[2], "13651884901"))

    def test_takeovers_and_exchanges(self) -> None:
        """Requests that change calls without placing one count as calls of the device, and of nobody else; one more
        changes nothing. However many there are, the socket stays.
        """
        ann = self.world.extended(*ANN, claimed=True)
        ann.heard()
        for kind in ("resume", "pull") * 3:
            ann.say(kind, room_id="a" * 32)
            self.assertEqual("expired", ann.hears()["reason"])
        for kind in ("resume", "pull") * 15:
            ann.say(kind, room_id="a" * 32, id="7")
            answer = ann.hears()
            self.assertEqual((f"{kind}: too many calls; try again in a minute", "7"), (answer["message"], answer["id"]))
        self.assertEqual(30, self.world.rooms.counts.failed[Reason.RATE_LIMITED])
        self.assertEqual("rate_limited", self.calls(ann, TV.phone))
        other = self.world.device(ANN.phone, "other")
        self.assertEqual("offline", self.calls(other, ANN.phone))
        self.assertTrue(ann.wire.open)

    def test_a_new_connection(self) -> None:
        """A reconnect does not help."""
        for number in range(6):
            self.calls(self.ann, f"1365188490{number}")
        self.ann = self.world.device(*ANN)
        self.assertEqual("rate_limited", self.calls(self.ann, "13651884901"))


class DisplacementTests(LimitedCase):
    """Two boxes with one id."""

    limits = replace(UNLIMITED, displacements_a_minute=5)

    def test_fight(self) -> None:
        """After too many displacements in a minute the next connection is refused, and the present one stays."""
        wires = [self.handshake() for _ in range(6)]
        self.assertEqual([4409] * 5, [wire.close_code for wire in wires[:5]])
        self.assert_refused(self.handshake())
        self.assertTrue(wires[5].open)
        self.assertTrue(self.handshake(TV).open)
        self.world.clock.advance(12)
        self.assertTrue(self.handshake().open)

    def test_reconnecting(self) -> None:
        """A device that disconnects before it comes again may do so any number of times."""
        for _ in range(20):
            self.handshake().leave()
            self.world.settle()
        self.assertTrue(self.handshake().open)


@dataclass
class From:
    """A transport of somebody."""

    address: object

    def getPeer(self) -> object:
        """The address."""
        return self.address


class CrowdsTests(SynchronousTestCase):
    """Connections from an address."""

    def setUp(self) -> None:
        """Two may there be."""
        self.crowds = PerAddress(2)

    def join(self, host: str) -> str | None:
        """Somebody connects."""
        kind: Any = IPv6Address if ":" in host else IPv4Address
        return self.crowds.join(From(kind("TCP", host, 7)))

    def test_too_large(self) -> None:
        """One more than may be is too many, until one is gone."""
        sites = [self.join("192.0.2.1") for _ in range(3)]
        self.assertTrue(self.crowds.is_too_large(sites[0]))
        self.assertFalse(self.crowds.is_too_large(self.join("192.0.2.2")))
        self.crowds.leave(sites[0])
        self.assertFalse(self.crowds.is_too_large(sites[1]))

    def test_networks(self) -> None:
        """The /64 of IPv6 counts; an IPv4 address in IPv6 is that address."""
        for hosts in (["2001:db8::1", "2001:db8::2:3", "2001:db8:0:0:ffff::"], ["192.0.2.9", "::ffff:192.0.2.9"] * 2):
            sites = {self.join(host) for host in hosts}
            self.assertEqual(1, len(sites))
            self.assertTrue(self.crowds.is_too_large(sites.pop()))

    def test_many_networks(self) -> None:
        """From an IPv6 /48, of which one customer may have all, there may be ten times as many."""
        sites = [self.join(f"2001:db8:1:{number:x}::1") for number in range(21)]
        self.assertTrue(all(map(self.crowds.is_too_large, sites)))
        self.assertFalse(self.crowds.is_too_large(self.join("2001:db8:2::1")))
        self.crowds.leave(sites.pop())
        self.assertFalse(any(map(self.crowds.is_too_large, sites)))

    def test_not_all_of_a_process(self) -> None:
        """No IPv6 /48 has half of the HTTP connections of a process."""
        connections = LimitedConnections(LimitSettings())
        held = 0
        for number in range(10_000):
            site = connections.join(From(IPv6Address("TCP", f"2001:db8:1:{number % 256:x}::1", 7)))
            if connections.too_many(site):
                connections.leave(site)
            else:
                held += 1
        self.assertEqual(4000, held)
        self.assertIsNone(connections.too_many(connections.join(From(IPv6Address("TCP", "2001:db8:2::1", 7)))))

    def test_nobody(self) -> None:
        """Loopback addresses and sockets in files do not identify a client; nor does any address where all may come."""
        for host in ("127.0.0.1", "127.8.8.8", "::1", "::ffff:127.0.0.1"):
            self.assertIsNone(self.join(host))
        self.assertIsNone(self.crowds.join(From(UNIXAddress("/run/x"))))
        self.assertIsNone(PerAddress(0).join(From(IPv4Address("TCP", "192.0.2.1", 7))))

    def test_nothing_is_left(self) -> None:
        """When all are gone nothing is remembered of them."""
        hosts = [f"{network}{number % 3}" for number in range(9) for network in ("192.0.2.", "2001:db8:1:1::")]
        for site in [self.join(host) for host in hosts]:
            self.crowds.leave(site)
        self.assertEqual(({}, {}), (self.crowds._counts, self.crowds.large))


class TlsTests(LimitedCase):
    """Sockets over TLS that do not get done with its handshake."""

    limits = replace(UNLIMITED, sockets_of_an_address=2)

    def test_half_made_handshakes(self) -> None:
        """They count, and one too many is dropped."""
        wires = [TlsWire(self.world.signaling, self.world.clock, shakes_hands=False) for _ in range(4)]
        self.assertEqual([wire.closed for wire in wires], [False, False, True, True])
        self.assertEqual(self.world.signaling.refused, {429: 2})
        for wire in wires:
            wire.leave()

    def test_on_the_site(self) -> None:
        """One too many that comes by the site is dropped, and counted once."""
        site = CappedSite(self.world.signaling.web_resource(), self.world.clock)
        handshake = Wire(self.world.signaling)
        handshake.handshake(f"/socket.io?token={self.world.tokens.issue(ANN)}")
        asked = handshake.take_unsent()
        handshake.leave()
        wires = [TlsWire(site, self.world.clock) for _ in range(3)]
        for wire in wires:
            wire.send(asked)
        self.assertEqual([wire.closed for wire in wires], [False, False, True])
        self.assertEqual(self.world.signaling.refused, {429: 1})
        for wire in wires:
            wire.leave()


class CrowdedTests(LimitedCase):
    """A server to which all connections come from one address."""

    limits = replace(UNLIMITED, sockets_of_an_address=2)

    def test_too_many(self) -> None:
        """One more than may be there is refused, before its token is looked at."""
        first, *_ = [self.handshake(), self.handshake(TV)]
        self.assert_refused(self.handshake(PAD))
        self.assert_refused(self.world.ask("/socket.io?token=none"))
        first.leave()
        self.world.settle()
        self.assertTrue(self.handshake(PAD).open)

    def test_pages(self) -> None:
        """Pages are counted by themselves."""
        for address in (ANN, TV):
            self.assertTrue(self.handshake(address).open)
        self.assertTrue(self.world.page().wire.open)


class PhoneSocketsTests(LimitedCase):
    """Connections of the devices of one phone."""

    limits = replace(UNLIMITED, sockets_of_a_phone=2)

    def test_too_many(self) -> None:
        """One more than a phone may have is refused; others are not, and when one has left there is room again."""
        first, *_ = [self.handshake(TV), self.handshake(PAD)]
        third = DeviceAddress(TV.phone, "third")
        self.assert_refused(self.handshake(third))
        self.assertTrue(self.handshake(ANN).open)
        first.leave()
        self.world.settle()
        self.assertTrue(self.handshake(third).open)

    def test_nothing_is_remembered(self) -> None:
        """Nothing is kept of a client that has left."""
        for wire in [self.handshake(TV), self.handshake(PAD), self.handshake(ANN)]:
            wire.leave()
        self.world.settle()
        self.assertEqual({}, self.world.signaling.phones._there)


class AllSocketsTests(LimitedCase):
    """Connections in all."""

    limits = replace(UNLIMITED, sockets_of_a_process=2)

    def test_too_many(self) -> None:
        """One more than there may be is answered 503, and when to come again; present ones are not disturbed."""
        first, second = self.handshake(TV), self.handshake(PAD)
        third = self.handshake(ANN)
        self.assertEqual((503, False), (third.status, third.open))
        self.assertIn("Retry-After: 5\r\n", third.head)
        self.assertTrue(first.open)
        self.assertTrue(second.open)
        first.leave()
        self.world.settle()
        self.assertTrue(self.handshake(ANN).open)

    def test_who_asks_for_something_else(self) -> None:
        """Connections that are not sockets yet count: they cost as much."""
        waiting = [Wire(self.world.signaling) for _ in range(2)]
        self.assertEqual(503, self.handshake(ANN).status)
        for wire in waiting:
            wire.leave()
        self.world.settle()
        self.assertTrue(self.handshake(ANN).open)


class PaceTests(SynchronousTestCase):
    """The limit of frames."""

    @given(st.integers(1, 100), st.lists(st.floats(0, 100), max_size=300))
    def test_any_pace(self, a_minute: int, pauses: list[float]) -> None:
        """The number allowed is never more than twice the limit in a minute, and never less than the limit."""
        pace, until, now = Pace(a_minute), 0.0, 1000.0
        allowed: list[float] = []
        for pause in pauses:
            now += pause
            following = pace.next(until, now)
            within = [moment for moment in allowed if moment > now - 60]
            if following == inf:
                self.assertGreaterEqual(len(within), 1)
                continue
            until = following
            allowed.append(now)
            self.assertLessEqual(len(within) + 1, 2 * a_minute)

    def test_any_number(self) -> None:
        """0: any number may come."""
        pace, until = Pace(0), 0.0
        for _ in range(10_000):
            until = pace.next(until, 5.0)
        self.assertLess(until, inf)


class SettingsTests(SynchronousTestCase):
    """The limits that are set if nobody sets any."""

    def test_each_is_set(self) -> None:
        """There is a limit to everything."""
        self.assertTrue(all(getattr(LimitSettings(), name) > 0 for name in LimitSettings.__struct_fields__))
