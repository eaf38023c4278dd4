"""Refusals by a ticket: the tickets, and ``/calls/refuse`` over a real site with a world behind it."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.signing_keys import Key, KeyRing
from callnet.accounts.tokens import Tokens
from callnet.calls.ports import DeliveryResult
from callnet.calls.waking import WakeMessage
from callnet.config.schema import LimitSettings
from callnet.errors import TokenInvalid
from callnet.model import DeviceAddress, RoomId
from callnet.ops.limits import LimitsAlone, LoginLimits
from callnet.push.waking import Tickets
from tests.support.account_fixture import ServiceFixture
from tests.support.api_case import ApiTestCase
from tests.support.people_case import ANN, TV
from tests.support.wires import World
from tests.unit.test_waking_calls import Wakeful

REFUSE = "/calls/refuse"
ROOM, ANOTHER = RoomId("ab" * 16), RoomId("cd" * 16)
PAD = DeviceAddress(TV.phone, "pad")
OLD, NEW = Key.of(b"o" * 32), Key.of(b"n" * 32, 1000.0)


class TicketTests(SynchronousTestCase):
    """Tickets on nodes with the same keys."""

    def tickets(self, *keys: Key, now: float = 2000.0) -> Tickets:
        """Those of a node with these keys."""
        return Tickets(Tokens(KeyRing.of(None, keys), 3600, lambda: now))

    def test_one_call_of_one_device(self) -> None:
        """A ticket is good for one call of one device."""
        tickets = self.tickets(OLD)
        ticket = tickets.of(TV, ROOM)
        self.assertTrue(tickets.fits(ticket, TV, ROOM))
        self.assertFalse(tickets.fits(ticket, TV, ANOTHER))
        self.assertFalse(tickets.fits(ticket, PAD, ROOM))
        self.assertFalse(tickets.fits(ticket, DeviceAddress(ANN.phone, TV.device_id), ROOM))

    def test_any_key(self) -> None:
        """One of any key whose tokens are accepted is good, whichever signs now; one of another key is not."""
        for now in (500.0, 2000.0):
            ticket = self.tickets(OLD, NEW, now=now).of(TV, ROOM)
            self.assertTrue(self.tickets(OLD, NEW).fits(ticket, TV, ROOM))
        self.assertFalse(self.tickets(OLD).fits(self.tickets(NEW).of(TV, ROOM), TV, ROOM))

    def test_wrong(self) -> None:
        """Anything else is none, whatever its characters."""
        tickets = self.tickets(OLD)
        for wrong in ("", "x", "é" * 43, "\ud800", tickets.of(TV, ROOM) + "=", tickets.of(TV, ROOM)[:-1]):
            self.assertFalse(tickets.fits(wrong, TV, ROOM))

    def test_no_token(self) -> None:
        """It is no token, and says nothing of the call."""
        ticket = self.tickets(OLD).of(TV, ROOM)
        self.assertRaises(TokenInvalid, Tokens(KeyRing.of(OLD), 3600, lambda: 0.0).verify, ticket)
        for secret in (ROOM, TV.phone):
            self.assertNotIn(secret, ticket)


class RefuseTests(ApiTestCase):
    """Ann calls a television that sleeps, and is woken."""

    def setUp(self) -> None:
        """Let it fall asleep, and be called."""
        super().setUp()
        self.woken: list[WakeMessage] = []
        self.world = World(preferences=Wakeful(), wake=self.wake)
        self.addCleanup(self.world.stop)
        self.fixture = ServiceFixture(world=self.world)
        self.addCleanup(self.fixture.database.close)
        self.serve(self.fixture.logins, self.fixture.lists)
        self.world.device(*TV).leave()
        self.world.advance(100)
        self.ann = self.world.device(*ANN)
        self.call()
        ticket = Tickets(self.world.tokens).of(TV, self.woken[0].room)
        self.body: dict[str, Any] = {"phone": TV.phone, "device_id": TV.device_id, "ticket": ticket}

    def wake(self, device: DeviceAddress, message: WakeMessage) -> Deferred[DeliveryResult]:  # noqa: ARG002
        """Record the message of the television."""
        self.woken.append(message)
        return succeed(DeliveryResult.TAKEN)

    def call(self) -> None:
        """Let Ann call it."""
        self.ann.say("call", to_phone=TV.phone, to_device_id=TV.device_id)

    def refusal(self, **fields: object) -> tuple[int, str]:
        """The errorCode and the message of an answer."""
        answer = self.post(REFUSE, self.body | fields).json()
        self.world.settle()
        return answer["errorCode"], answer["message"]

    def test_refused(self) -> None:
        """The caller is told that it refused, and the ticket is good no more, nor for the next call."""
        self.assertEqual((0, "ok"), self.refusal())
        refused = self.ann.hears()
        self.assertEqual(("call_refuse", "refused"), (refused["type"], refused["reason"]))
        late = self.refusal()
        self.call()
        self.assertEqual(late, self.refusal())
        self.assertEqual([], self.ann.heard())

    def test_wrong(self) -> None:
        """Every wrong request is answered the same, whether the device is known, rings, or could be there at all."""
        wrong = (4, "the ticket is for no call that rings this device now")
        for fields in (
            {"ticket": "x" * 43},
            {"ticket": ""},
            {"device_id": "pad"},
            {"device_id": "*"},
            {"phone": ANN.phone, "device_id": ANN.device_id},
            {"phone": "13600000009"},
            {"phone": "\x00"},
        ):
            self.assertEqual(wrong, self.refusal(**fields), fields)
        self.assertEqual([], self.ann.heard())

    def test_fields(self) -> None:
        """A missing field is named."""
        for name in self.body:
            body = {other: value for other, value in self.body.items() if other != name}
            answer = self.post(REFUSE, body).json()
            self.assertEqual((2, f"{name} is missing"), (answer["errorCode"], answer["message"]))

    def test_limit(self) -> None:
        """As many are taken from an address as logins."""
        settings = LimitSettings(logins_a_minute_from_an_address=2)
        self.fixture.limits = LoginLimits(settings, LimitsAlone(self.world.clock.seconds))
        self.serve(self.fixture.logins, self.fixture.lists)
        codes = [self.refusal(ticket="")[0] for _ in range(3)]
        self.assertEqual([4, 4, 6], codes)
