"""Waking devices by the operator's gateway: real HTTP over a wire in memory, and a database in memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.signing_keys import Key, KeyRing
from callnet.accounts.tokens import Tokens
from callnet.calls.ports import DeliveryResult
from callnet.calls.waking import WakeMessage
from callnet.errors import Unavailable
from callnet.model import DeviceAddress, Reason, RoomId
from callnet.ops.webhooks import AGAIN_MAX, ANSWER_TIME, SignedPosts
from callnet.push.waking import AT_ONCE, PAUSES, Gateway, Tickets, Waker, topic_of
from callnet.storage.push import PushKind, PushRegistration, SqlPushRegistrations
from tests.support import migrated
from tests.support.immediate import run_at_once
from tests.unit.test_webhooks import SECRET, URL, Receiver

TV, PAD = DeviceAddress("13651884967", "tv"), DeviceAddress("13651884967", "pad")
ALL = DeviceAddress("13651884967", "*")
ANN = "13651884968"
TARGET = "box-7-of-the-fleet"
ROOM, ANOTHER = RoomId("ab" * 16), RoomId("cd" * 16)
LATER = 60.0
"""Seconds after which nothing is tried again."""


class WakerTests(SynchronousTestCase):
    """A television that a gateway can wake, and a browser that nobody can here."""

    def setUp(self) -> None:
        """Both have registered."""
        self.clock, self.receiver = Clock(), Receiver()
        self.clock.advance(1_600_000_000.5)
        self.agent: Any = RequestTraversalAgent(self.receiver)  # type: ignore[no-untyped-call]
        database = migrated.in_memory()
        self.addCleanup(database.close)
        self.is_away = False
        self.registrations = SqlPushRegistrations(database, self.run_)
        posts = SignedPosts(URL, SECRET, self.agent, self.clock, self.clock.seconds)
        ways = {PushKind.WEBHOOK: Gateway(posts, self.clock, PAUSES)}
        tickets = Tickets(Tokens(KeyRing.of(Key.of(b"k" * 32)), 3600, self.clock.seconds))
        self.waker = Waker(self.registrations, ways, tickets, self.clock, self.clock.seconds)
        self.register(TV)
        self.register(PAD, PushKind.WEBPUSH)
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))

    def run_(self, function: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Deferred[Any]:
        """Ask the database, unless it is away."""
        if self.is_away:
            return run_at_once(self.fail_)
        return run_at_once(function, *args, **kwargs)

    def fail_(self) -> None:
        """Fail as a database that is away."""
        raise Unavailable("the database cannot be reached")

    def register(self, device: DeviceAddress, kind: PushKind = PushKind.WEBHOOK, target: str = TARGET) -> None:
        """Let a device say how it is woken."""
        self.successResultOf(self.registrations.put(PushRegistration(device, kind, target, 1.0), lambda _: False))

    def wake(
        self,
        *answers: int | None,
        device: DeviceAddress = TV,
        lasts: float = 45.0,
        room: RoomId = ROOM,
        ended: Reason | None = None,
    ) -> Deferred[DeliveryResult]:
        """Wake a device, or tell it that a call rings no more; the gateway answers like this."""
        self.receiver.answers.extend(answers)
        waking = self.waker.tell(device, WakeMessage(room, ANN, "安 Ann", lasts, ended))
        self.wait(0)
        return waking

    def told(self) -> list[tuple[str, str]]:
        """The events that the gateway was told, each with its call."""
        taken = [json.loads(body) for _, body in self.receiver.taken]
        return [(event["event"], event["call"]) for event in taken]

    def wait(self, seconds: float) -> None:
        """Let time go by."""
        self.clock.advance(seconds)
        for _ in range(10):
            self.agent.flush()

    def target(self) -> list[str]:
        """The targets that the television has registered."""
        return [one.target for one in self.successResultOf(self.registrations.of(TV))]

    def test_what_the_gateway_gets(self) -> None:
        """The gateway is told the device to wake, as the device named itself, the calling phone, and the time limit."""
        self.assertIs(DeliveryResult.TAKEN, self.successResultOf(self.wake(202)))
        ((request, body),) = self.receiver.taken
        self.assertEqual(
            {
                "event": "wake",
                "id": request.getHeader("callnet-event"),
                "phone": TV.phone,
                "device_id": TV.device_id,
                "target": TARGET,
                "call": topic_of(ROOM),
                "from_phone": ANN,
                "from_name": "安 Ann",
                "expires_at": 1_600_000_045,
            },
            json.loads(body),
        )
        self.assertIsNotNone(request.getHeader("callnet-signature"))

    def test_ring_ended(self) -> None:
        """It is told the reason why a call rings no more, by the same name of the call; a room id is in neither."""
        self.wake(200)
        self.wake(200, ended=Reason.CANCELLED, lasts=0.0)
        self.assertEqual([("wake", topic_of(ROOM)), ("ring_ended", topic_of(ROOM))], self.told())
        bodies = [body.decode() for _, body in self.receiver.taken]
        self.assertEqual("cancelled", json.loads(bodies[1])["reason"])
        self.assertNotIn("expires_at", bodies[1])
        for body in bodies:
            self.assertNotIn(ROOM, body)
            self.assertNotIn("ticket", body)

    def test_in_order(self) -> None:
        """When the ringing ends, the message that it rings is not sent again, nor waited for, however slow that is."""
        for answer in (503, None):
            waking = self.wake(answer)
            self.assertNoResult(waking)
            ending = self.wake(200, ended=Reason.ANSWERED_ELSEWHERE)
            self.assertIs(DeliveryResult.FAILED, self.successResultOf(waking))
            self.assertIs(DeliveryResult.TAKEN, self.successResultOf(ending))
            self.wait(LATER)
        self.assertEqual(["wake", "ring_ended"] * 2, [event for event, _ in self.told()])

    def test_woken_again(self) -> None:
        """A device that is to be woken a second time for the call is sent the newer message, once."""
        first, second = self.wake(503), self.wake(200)
        self.assertIs(DeliveryResult.FAILED, self.successResultOf(first))
        self.assertIs(DeliveryResult.TAKEN, self.successResultOf(second))
        self.wait(LATER)
        self.assertEqual(["wake"] * 2, [event for event, _ in self.told()])
        third, fourth = self.wake(503), self.wake(503, 200)
        self.wait(1)
        self.assertEqual(
            [DeliveryResult.FAILED, DeliveryResult.TAKEN], [self.successResultOf(one) for one in (third, fourth)]
        )

    def test_another_call(self) -> None:
        """Of another call a device is told at once, however soon it comes."""
        self.wake(200)
        self.wake(200, room=ANOTHER)
        self.assertEqual([("wake", topic_of(ROOM)), ("wake", topic_of(ANOTHER))], self.told())

    def test_nobody_to_wake(self) -> None:
        """A device that has not registered, or not for a service that is there, is not woken."""
        for device in (PAD, DeviceAddress(ANN, "tv")):
            self.assertIs(DeliveryResult.GONE, self.successResultOf(self.wake(device=device)))
        self.assertEqual([], self.receiver.taken)

    def test_gone(self) -> None:
        """A target that the gateway does not know is dropped; a device that registers again is woken at once."""
        for status in (404, 410):
            self.assertIs(DeliveryResult.GONE, self.successResultOf(self.wake(status)))
            self.assertEqual([], self.target())
            self.register(TV)
            self.assertIs(DeliveryResult.TAKEN, self.successResultOf(self.wake(200)))

    def test_gone_and_back(self) -> None:
        """A registration that was made while the old one was tried stays."""
        waking = self.wake(503, 410)
        self.register(TV, target="newer")
        self.wait(1)
        self.assertIs(DeliveryResult.GONE, self.successResultOf(waking))
        self.assertEqual(["newer"], self.target())

    def test_failed(self) -> None:
        """Any other refusal of a gateway drops nothing."""
        for status in (400, 401, 403, 302):
            self.assertIs(DeliveryResult.FAILED, self.successResultOf(self.wake(status)))
            self.assertEqual([TARGET], self.target())
            self.wait(LATER)

    def test_again(self) -> None:
        """As long as it rings it is tried again, after longer and longer pauses."""
        waking = self.wake(503, None, 429, 503, 200)
        for pause in (1, ANSWER_TIME, 3, 6):
            self.assertNoResult(waking)
            self.wait(pause)
        self.assertNoResult(waking)
        self.wait(12)
        self.assertIs(DeliveryResult.TAKEN, self.successResultOf(waking))

    def test_too_late(self) -> None:
        """When nothing rings any more it is not tried any more, nor waited for."""
        self.assertIs(DeliveryResult.FAILED, self.successResultOf(self.wake(503, lasts=1.0)))
        self.wait(LATER)
        waiting = self.wake(None, lasts=3.0)
        self.assertNoResult(waiting)
        self.wait(3.0)
        self.assertIs(DeliveryResult.FAILED, self.successResultOf(waiting))

    def test_each_for_itself(self) -> None:
        """Others are woken meanwhile."""
        self.register(PAD)
        waiting = self.wake(None)
        self.assertIs(DeliveryResult.TAKEN, self.successResultOf(self.wake(200, device=PAD)))
        self.waker.stop()
        self.assertIs(DeliveryResult.FAILED, self.successResultOf(waiting))

    def test_many_at_once(self) -> None:
        """The number of concurrent requests is limited."""
        devices = [DeviceAddress("13651884967", str(number)) for number in range(AT_ONCE + 1)]
        for device in devices:
            self.register(device)
        waiting = [self.wake(None, device=device, lasts=3.0) for device in devices]
        for one in waiting[:-1]:
            self.assertNoResult(one)
        self.assertIs(DeliveryResult.FAILED, self.successResultOf(waiting[-1]))
        self.assertEqual(AT_ONCE, len(self.receiver.taken))
        self.wait(3.0)
        self.receiver.answers.clear()
        self.assertEqual([DeliveryResult.FAILED] * AT_ONCE, [self.successResultOf(one) for one in waiting[:-1]])
        self.assertIs(DeliveryResult.TAKEN, self.successResultOf(self.wake(device=devices[-1])))

    def many(self, number: int, status: int) -> list[Deferred[DeliveryResult]]:
        """Wake many devices; the gateway answers with this."""
        devices = [DeviceAddress("13651884967", str(each)) for each in range(number)]
        for device in devices:
            self.register(device)
        return [self.wake(status, device=device) for device in devices]

    def test_many_pause(self) -> None:
        """Messages that are to be sent again keep no other from being sent."""
        waiting = self.many(AT_ONCE, 503)
        for one in waiting:
            self.assertNoResult(one)
        self.assertIs(DeliveryResult.TAKEN, self.successResultOf(self.wake(200)))
        self.waker.stop()
        self.assertEqual({DeliveryResult.FAILED}, {self.successResultOf(one) for one in waiting})

    def test_too_many_pause(self) -> None:
        """Their number is limited, too: one more is not sent again."""
        waiting = self.many(AGAIN_MAX + 1, 503)
        self.assertNoResult(waiting[-2])
        self.assertIs(DeliveryResult.FAILED, self.successResultOf(waiting[-1]))
        self.receiver.answers.extend([200] * AGAIN_MAX)
        self.wait(1)
        self.assertEqual({DeliveryResult.TAKEN}, {self.successResultOf(one) for one in waiting[:-1]})
        self.assertIs(DeliveryResult.TAKEN, self.successResultOf(self.wake(200)))

    def test_database_away(self) -> None:
        """While the database is away nobody is woken, and nothing fails."""
        self.is_away = True
        with capturedLogs() as events:
            self.assertIs(DeliveryResult.FAILED, self.successResultOf(self.wake()))
        self.assert_quiet(events)
        self.is_away = False
        self.wait(LATER)
        waking = self.wake(503, 410)
        self.is_away = True
        self.wait(1)
        self.assertIs(DeliveryResult.GONE, self.successResultOf(waking))

    def test_stop(self) -> None:
        """When the daemon stops nothing is waited for any more."""
        self.register(PAD)
        waiting, pausing = self.wake(None), self.wake(503, device=PAD)
        self.waker.stop()
        self.assertIs(DeliveryResult.FAILED, self.successResultOf(waiting))
        self.assertIs(DeliveryResult.FAILED, self.successResultOf(pausing))

    def test_counts(self) -> None:
        """The results are counted, once for each message."""
        self.wake(200)
        self.wake(400)
        self.wait(LATER)
        self.wake(410)
        self.assertEqual({DeliveryResult.TAKEN: 1, DeliveryResult.FAILED: 1, DeliveryResult.GONE: 1}, self.waker.counts)

    def assert_quiet(self, events: Sequence[Any]) -> None:
        """Nothing that was logged names anybody."""
        for event in events:
            for secret in (TV.phone, ANN, TARGET, "hooks.test", "passw0rd", SECRET, "Ann"):
                self.assertNotIn(secret, formatEvent(event))

    def test_log(self) -> None:
        """The log has the error, and neither device nor phone."""
        with capturedLogs() as events:
            self.wake(400)
            self.wait(LATER)
            self.wake(410)
        lines = [formatEvent(event) for event in events if event["log_namespace"].startswith("callnet")]
        self.assertEqual("failed to deliver event wake: status 400", lines[0])
        self.assertIn("dropped", lines[1])
        self.assert_quiet(events)

    def test_memory(self) -> None:
        """Nothing is remembered of devices that were told."""
        self.wake(503, 200)
        self.assertEqual(1, len(self.waker._waking))
        self.wait(1)
        self.assertEqual(0, len(self.waker._waking))
