"""The subscription of a node, at a real Redis and a real Valkey: received messages, and the cases for a fresh look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from twisted.internet import reactor
from twisted.internet.task import deferLater

from callnet.redis.connection import PING_EVERY, REPLY_TIME
from harness.redis_server import new_prefix, shared
from tests.support.redis_case import RedisCase, Subscription, target

if TYPE_CHECKING:
    _Base = RedisCase
else:
    _Base = object

LATEST: Final = PING_EVERY + REPLY_TIME + 20
"""Seconds after which a silent Redis has been noticed, on a machine that is busy with other tests."""


class Messages(_Base):
    """Delivery of published messages; a class below says at which server."""

    def setUp(self) -> None:
        """Names of channels that no other test has."""
        prefix = new_prefix()
        self.channel, self.other = f"{prefix}channel", f"{prefix}other"
        self.url = shared(self.flavour).url()

    def publish(self, channel: str, message: str) -> str:
        """Publish as another node would; answers with how many received it."""
        return shared(self.flavour).cli("PUBLISH", channel, message)

    async def test_what_a_script_publishes_comes_in_as_bytes(self) -> None:
        """In order, each message as it is; once the subscription is confirmed none is missing."""
        subscription, link = self.subscription(self.url, self.channel), self.link(self.url)
        await link.runs.get()
        await subscription.confirmed.get()
        messages = [b"+8613651884967", b"007", b"", b"\xff\x00", b"x" * 99999]
        for message in messages:
            self.assertEqual(await link.run("publish", self.channel.encode(), message), 1)
        self.assertEqual([await subscription.messages.get() for _ in messages], messages)

    async def test_a_killed_connection_subscribes_again(self) -> None:
        """It is told that messages may be missing (lost), and from when on they are not (confirmed)."""
        subscription = self.subscription(self.url, self.channel)
        await subscription.confirmed.get()
        for number in range(3):
            shared(self.flavour).cli("CLIENT", "KILL", "TYPE", "pubsub")
            await subscription.losses.get()
            await subscription.confirmed.get()
            self.assertEqual(self.publish(self.channel, f"message {number}"), "1")
            self.assertEqual(await subscription.messages.get(), b"message %d" % number)

    async def test_it_goes_over_to_another_channel(self) -> None:
        """After the confirmation only the new channel is subscribed to, also after a reconnect."""
        subscription = self.subscription(self.url, self.channel)
        await subscription.confirmed.get()
        subscription.follow(self.other)
        await subscription.confirmed.get()
        for _ in range(2):
            self.publish(self.channel, "for the old channel")
            self.publish(self.other, "for the new channel")
            self.assertEqual(await subscription.messages.get(), b"for the new channel")
            self.assertEqual(subscription.messages.pending, [])
            shared(self.flavour).cli("CLIENT", "KILL", "TYPE", "pubsub")
            await subscription.losses.get()
            await subscription.confirmed.get()

    async def test_it_goes_over_before_it_is_connected(self) -> None:
        """The present channel counts."""
        subscription = self.subscription(self.url, self.channel)
        subscription.follow(self.other)
        await subscription.confirmed.get()
        self.assertEqual([self.publish(name, "x") for name in (self.channel, self.other)], ["0", "1"])

    async def test_following_the_same_channel_is_confirmed_again(self) -> None:
        """Subscribing again to the present channel loses nothing."""
        subscription = self.subscription(self.url, self.channel)
        await subscription.confirmed.get()
        subscription.follow(self.channel)
        await subscription.confirmed.get()
        self.assertEqual(self.publish(self.channel, "x"), "1")

    async def test_a_redis_that_stands_still_is_noticed(self) -> None:
        """It is asked every second whether it is there, whether or not messages come."""
        server = self.server()
        subscription = self.subscription(server.url(), self.channel)
        await subscription.confirmed.get()
        server.stop()
        stopped = reactor.seconds()
        await subscription.losses.get()
        self.assertTrue(REPLY_TIME <= reactor.seconds() - stopped < LATEST, reactor.seconds() - stopped)
        server.resume()
        await subscription.confirmed.get()
        server.cli("PUBLISH", self.channel, "x")
        self.assertEqual(await subscription.messages.get(), b"x")

    async def test_a_user_who_may_not_listen_is_told(self) -> None:
        """The subscription is refused; it is tried again, and works when the right is given."""
        server = self.server(acl=True)
        server.cli("ACL", "SETUSER", "callnet", "resetchannels")
        subscription = Subscription(target(server.url()))
        self.addCleanup(subscription.stop)
        refused = self.said("Redis subscription: lost: NOPERM")
        subscription.follow(self.channel)
        subscription.start()
        await refused
        server.cli("ACL", "SETUSER", "callnet", "&*")
        await subscription.confirmed.get()

    async def test_stopping_leaves_nothing(self) -> None:
        """A wanted loss is not reported."""
        subscription = self.subscription(self.url, self.channel)
        await subscription.confirmed.get()
        await subscription.stop()
        self.assertEqual(subscription.losses.pending, [])
        self.assertEqual(self.publish(self.channel, "x"), "0")


class RedisMessagesTests(Messages, RedisCase):
    """Messages from Redis."""

    flavour = "redis"

    async def test_a_quiet_connection_is_kept(self) -> None:
        """Pings are answered: longer than a silent Redis is given, nothing is lost."""
        server = self.server()
        subscription = self.subscription(server.url(), self.channel)
        await subscription.confirmed.get()
        await deferLater(reactor, PING_EVERY + REPLY_TIME + 0.5)  # nothing is to happen for so long
        self.assertEqual(subscription.losses.pending, [])


class ValkeyMessagesTests(Messages, RedisCase):
    """Messages from Valkey."""

    flavour = "valkey"
