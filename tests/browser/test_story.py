"""The whole story: two devices log in, one rings, the other answers, both open the page, one hangs up.

It is played on one node, and then with one device and its page on each of two.
"""

from __future__ import annotations

from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred

from callnet.model import DeviceAddress
from callnet_client import Call
from harness.redis_server import new_prefix, shared
from tests.browser.camera import Camera
from tests.browser.case import OwnDaemonCase, in_reactor
from tests.browser.stage import Stage
from tests.support.daemon import Daemon
from tests.support.devices import NodeLifecycle, member, service_of

TELEVISION: Final = DeviceAddress("13651884967", "tv888")
TELEPHONE: Final = DeviceAddress("13651884968", "phone1")

reactor: Any = installed


class StoryTests(OwnDaemonCase):
    """A call between two devices that meet in the page."""

    def setUp(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        """Start the node of both devices."""
        started = super().setUp()
        self.other = self.daemon
        return started

    def connected(self, daemon: Daemon, address: DeviceAddress) -> Deferred[NodeLifecycle]:
        """Log a device in and connect it."""
        return Deferred.fromCoroutine(member(self, service_of(daemon), *address))

    async def ring(self) -> tuple[Call, Call]:
        """Let the television call the telephone; the call as each has it."""
        self.television = await self.connected(self.daemon, TELEVISION)
        self.telephone = await self.connected(self.other, TELEPHONE)
        called = await self.television.reaches(self.telephone)
        call = self.television.device.call
        assert call is not None
        return called, call

    def test_call(self) -> Deferred[None]:
        """Two devices that know only the seed's protocol meet in the page until one hangs up by signaling."""

        def story(stage: Stage) -> None:
            called, call = in_reactor(lambda: Deferred.fromCoroutine(self.ring()))
            self.assertEqual((called.is_incoming, called.peer), (True, TELEVISION))
            red, blue = stage.pair(self.other.site_url)
            blue.enter(called.room_id)
            blue.await_state("waiting")
            in_reactor(called.accept)
            in_reactor(lambda: call.until("active"))
            self.assertEqual(call.room_id, called.room_id)
            red.enter(called.room_id)
            for visitor, other in ((red, Camera.BLUE), (blue, Camera.RED)):
                visitor.await_state("connected")
                visitor.await_colour(other)
            in_reactor(called.hang_up)
            for visitor in (red, blue):
                visitor.await_state("ended")
                self.assertIn("One of you hung up.", visitor.text("hint"))
            red.page.reload()
            red.await_state("ended")

        return self.play(story)

    def test_hang_up_on_the_page(self) -> Deferred[None]:
        """Hanging up on a page in which both parties are ends the call, and the devices are told."""

        def story(stage: Stage) -> None:
            called, call = in_reactor(lambda: Deferred.fromCoroutine(self.ring()))
            in_reactor(called.accept)
            in_reactor(lambda: call.until("active"))
            red, blue = stage.pair(self.other.site_url)
            for visitor in (red, blue):
                visitor.enter(called.room_id)
            for visitor in (red, blue):
                visitor.await_state("connected")
            red.press("hangup")
            for visitor in (red, blue):
                visitor.await_state("ended")
            self.assertEqual("over", in_reactor(lambda: called.until("over")))
            self.assertEqual(("hangup", False), (called.reason, called.is_own_end))

        return self.play(story)


class TwoNodesTests(StoryTests):
    """The same with the television and the red page on one node, the telephone and the blue page on another."""

    def setUp(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        """Start two nodes that meet over Redis."""
        self.settings = (
            f'redis.url = "{shared("redis").socket_url()}"\n'
            f'redis.prefix = "{new_prefix()}"\n'
            'tokens.signing_key = "the key of these two nodes and of no other one"\n'
        )
        started = super().setUp()
        self.other = Daemon(self.mktemp(), self.settings)
        self.addCleanup(self.other.stop)
        return started.addCallback(lambda _: self.other.start())
