"""The whole story: two devices log in, one rings, the other answers, both open the page, one hangs up.

It is played on one node, and then with one device and its page on each of two.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, DeferredQueue

from callnet.client import Account, CallAnswer, Device, Frame
from callnet.model import DeviceAddress
from tests.browser.camera import Camera
from tests.browser.case import BrowserCase, in_reactor
from tests.browser.stage import Stage
from tests.checked_client import connect
from tests.daemon import Daemon
from tests.redis_server import new_prefix, shared

TELEVISION: Final = DeviceAddress("13651884967", "tv888")
TELEPHONE: Final = DeviceAddress("13651884968", "phone1")

reactor: Any = installed


class StoryTests(BrowserCase):
    """A call between two devices that meet in the page."""

    def setUp(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        """Start the node of both devices."""
        started = super().setUp()
        self.other = self.daemon
        return started

    async def connect(
        self, daemon: Daemon, address: DeviceAddress, on_frame: Callable[[Frame], object] | None = None
    ) -> Device:
        """Log a device in and connect it."""
        token = await Account(daemon.account_url, reactor).login(*address)
        device = await connect(daemon.signaling_url, token, reactor, on_frame=on_frame)
        self.addCleanup(device.close)
        return device

    async def ring(self) -> tuple[Frame, Deferred[CallAnswer]]:
        """Let the television call the telephone; what the telephone hears, and the answer to come."""
        self.heard: DeferredQueue[Frame] = DeferredQueue()
        self.television = await self.connect(self.daemon, TELEVISION)
        self.telephone = await self.connect(self.other, TELEPHONE, on_frame=self.heard.put)
        answer = self.television.call(*TELEPHONE)
        return await self.heard.get(), answer

    def test_call(self) -> Deferred[None]:
        """Two devices that know only the seed's protocol meet in the page until one hangs up by signaling."""

        def story(stage: Stage) -> None:
            called, answer = in_reactor(lambda: Deferred.fromCoroutine(self.ring()))
            self.assertEqual((called.type, called.sender), ("called", TELEVISION))
            red, blue = stage.pair(self.other.site_url)
            blue.enter(called.room_id)
            blue.await_state("waiting")
            in_reactor(lambda: self.telephone.accept(called))
            self.assertEqual(in_reactor(lambda: answer).room_id, called.room_id)
            red.enter(called.room_id)
            for visitor, other in ((red, Camera.BLUE), (blue, Camera.RED)):
                visitor.await_state("connected")
                visitor.await_colour(other)
            in_reactor(lambda: self.telephone.hang_up(TELEVISION, called.room_id))
            for visitor in (red, blue):
                visitor.await_state("ended")
                self.assertIn("It was hung up.", visitor.text("hint"))
            red.page.reload()
            red.await_state("ended")

        return self.play(story)

    def test_hang_up_on_the_page(self) -> Deferred[None]:
        """Who hangs up on the page ends the call, and the devices are told."""

        def story(stage: Stage) -> None:
            called, answer = in_reactor(lambda: Deferred.fromCoroutine(self.ring()))
            in_reactor(lambda: self.telephone.accept(called))
            in_reactor(lambda: answer)
            visitor = stage.visitor(stage.browser(None))
            visitor.enter(called.room_id)
            visitor.await_state("waiting")
            visitor.press("hangup")
            visitor.await_state("ended")
            frame = in_reactor(self.heard.get)
            self.assertEqual((frame.type, frame.room_id), ("calling_be_hangup", called.room_id))

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
