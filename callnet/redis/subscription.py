"""The reconnecting connection for messages to a node."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from callnet.redis.connection import REPLY_TIME, Conversation, way_to
from callnet.redis.line import Reactor, ReconnectingConnection, greet, pack
from callnet.redis.url import RedisTarget

PING_EVERY: Final = 1.0
"""Seconds."""
_PING: Final = pack((b"PING",))


class Messages(Conversation):
    """The connection for published messages."""

    def __init__(
        self,
        reactor: Reactor,
        received: Callable[[bytes], None],
        subscribed: Callable[[], None],
        everyone: bytes,
    ) -> None:
        super().__init__(reactor)
        self._everyone = everyone
        self._received = received
        self._subscribed = subscribed
        self._channel = b""
        self._heard = False
        self._pinged = 0.0
        self._unanswered_since: float | None = None

    def follow(self, channel: bytes) -> None:
        """Change to another channel."""
        left, self._channel = self._channel, channel
        commands = pack((b"SUBSCRIBE", channel, self._everyone))
        if left and left != channel:
            commands += pack((b"UNSUBSCRIBE", left))
        self.transport.write(commands)

    def look(self, now: float) -> None:
        """Ping, and abort the connection if nothing has come for too long."""
        if self._heard or self._unanswered_since is None:
            self._heard, self._unanswered_since = False, None
        elif now - self._unanswered_since >= REPLY_TIME:
            self.abort(f"no answer in {REPLY_TIME:g} s")
            return
        if now - self._pinged >= PING_EVERY:
            self._pinged = now
            self.transport.write(_PING)
            if self._unanswered_since is None:
                self._unanswered_since = now

    def replyReceived(self, reply: Any) -> None:
        """Deliver a message."""
        self._heard = True
        if not isinstance(reply, list):
            super().replyReceived(reply)
        elif reply[0] == b"message":
            if reply[1] in (self._channel, self._everyone):
                self._received(reply[2])
        elif reply[0] == b"subscribe" and reply[1] == self._channel:
            self._subscribed()


class RedisSubscription(ReconnectingConnection[Messages]):
    """A reconnecting connection that receives the messages on this node's channel and on the channel of all nodes.

    :param everyone: the channel of all nodes.
    :param received: called with each message. It must not raise.
    :param subscribed: called each time when Redis has confirmed the subscription: earlier messages may be lost.
    :param lost: called when the subscription is lost.
    """

    def __init__(
        self,
        target: RedisTarget,
        reactor: Reactor,
        received: Callable[[bytes], None],
        subscribed: Callable[[], None],
        lost: Callable[[], None],
        everyone: str,
    ) -> None:
        self._target = target
        self._channel = b""
        super().__init__(
            "subscription",
            reactor,
            way_to(target, reactor),
            lambda: Messages(reactor, received, subscribed, everyone.encode()),
            lambda line: line.follow(self._channel),
            lost,
        )

    def follow(self, channel: str) -> None:
        """Subscribe to this channel alone; ``subscribed`` is called when that has happened."""
        self._channel = channel.encode()
        if self.line is not None:
            self.line.follow(self._channel)

    async def greet(self, line: Messages) -> None:
        """Log in."""
        await greet(line, self._target)
