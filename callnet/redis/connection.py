"""The two reconnecting connections of a node to Redis: for its commands, and for messages of other nodes.

This is the only module that imports txredisapi. Its protocol objects are used; its pools are not, since they give up
for ever on some errors and let commands wait without limit. The cost of a command was measured, hence: replies are
neither decoded nor converted, a reply is taken from one deque, and no command has a timer of its own.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from msgspec import Struct
from twisted.internet.defer import Deferred, fail
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from txredisapi import HiredisProtocol, InvalidData, RedisError

from callnet.errors import CallnetError, Unavailable
from callnet.redis.reconnecting import (
    BySentinels,
    Direct,
    Locator,
    NotUsable,
    Reactor,
    ReconnectingConnection,
    Refused,
    answers,
    cause_of,
    code_of,
    greet,
    pack,
)
from callnet.redis.url import RedisTarget
from callnet.util.histogram import Histogram
from callnet.util.short_path import write

READ_AT_ONCE: Final = 16 * 1024
"""Bytes read at once: when thousands of devices come or go together the answers are processed in parts."""
REPLY_TIME: Final = 1.5
"""Seconds after which a Redis that has not answered is considered dead."""
PING_EVERY: Final = 1.0
"""Seconds between two pings of the connection for messages."""
_PING: Final = pack((b"PING",))

_NOT_THE_ONE: Final = frozenset({"READONLY", "LOADING", "MASTERDOWN", "NOAUTH"})
"""Redis' error codes for a wrong server: another server or connection may work."""
_NOT_NOW: Final = frozenset({"OOM", "MISCONF", "NOREPLICAS", "BUSY"})
"""Redis' error codes for a temporary refusal; nothing was done."""


class ScriptFailed(CallnetError):
    """A script failed: it has a bug, or runs a forbidden command."""


class _Asked(Struct, frozen=True):
    """A command without an answer yet."""

    answer: Deferred[Any]
    at: float
    script: bytes = b""
    """The command that runs a script, to be sent again if Redis has forgotten the script."""
    is_last_try: bool = False


class Conversation(HiredisProtocol):  # type: ignore[misc]  # txredisapi has no types
    """One connection: answers come in the order of the commands. See :class:`callnet.redis.reconnecting.Connection`."""

    def __init__(self, reactor: Reactor) -> None:
        super().__init__(charset=None, convertNumbers=False)
        self.gone: Deferred[None] = Deferred()
        self.closed: Callable[[str], None] = lambda _: None
        self._seconds = reactor.seconds
        self._asked: deque[_Asked] = deque()
        self._ended = False
        self._cause = ""

    def ask(self, *words: bytes) -> Deferred[Any]:
        """Send a command; see :class:`callnet.redis.reconnecting.Connection`."""
        return self._send(pack(words))

    def abort(self, cause: str) -> None:
        """Abort the connection: open commands fail with :class:`Unavailable`."""
        if self.transport is not None and not self._ended:
            self.transport.abortConnection()
        self._end(cause)

    def look(self, now: float) -> None:
        """Abort the connection if it has not answered for too long."""
        if self._asked and now - self._asked[0].at >= REPLY_TIME:
            self.abort(f"no answer in {REPLY_TIME:g} s")

    def connectionMade(self) -> None:
        """Do not log in, as the base class would; :func:`greet` does."""
        self.transport.bufferSize = READ_AT_ONCE
        if hasattr(self.transport, "setTcpNoDelay"):
            self.transport.setTcpNoDelay(True)

    def connectionLost(self, reason: Failure) -> None:
        """Handle the end of the connection."""
        self._end("closed by Redis" if reason.check(ConnectionDone) else cause_of(reason.value or reason))
        self.gone.callback(None)

    def dataReceived(self, data: bytes, unpause: bool = False) -> None:
        """Process received data."""
        try:
            super().dataReceived(data, unpause)
        except InvalidData:
            self.abort("not a Redis server")

    def tryConvertData(self, data: Any) -> Any:
        """Leave the data unconverted."""
        return data

    def replyReceived(self, reply: Any) -> None:
        """Give one reply to its command."""
        if not self._asked:
            self.abort(str(reply) if isinstance(reply, RedisError) else "unexpected reply")
            return
        asked = self._asked.popleft()
        if isinstance(reply, Exception):
            self._refused(asked, Refused(str(reply)))
        else:
            asked.answer.callback(reply)

    def _send(self, command: bytes) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        if self._ended:
            answer.errback(_away(self._cause))
        else:
            self._asked.append(_Asked(answer, self._seconds()))
            # Not written at once: a Redis without free clients says so and closes, which must be read first.
            self.transport.write(command)
        return answer

    def _refused(self, asked: _Asked, error: Refused) -> None:
        asked.answer.errback(error)

    def _end(self, cause: str) -> None:
        if self._ended:
            return
        self._ended, self._cause = True, cause
        asked, self._asked = self._asked, deque()
        self.closed(cause)
        for one in asked:
            one.answer.errback(_away(cause))


class Commands(Conversation):
    """The connection for scripts."""

    run_id = ""

    def __init__(self, reactor: Reactor, scripts: Scripts, took: Histogram) -> None:
        super().__init__(reactor)
        self._took = took
        self._scripts = scripts
        self._forgotten: list[_Asked] = []
        """Commands whose script Redis has forgotten. They are run again when all others are answered,"""
        self._later: list[_Asked] = []
        """and then the commands given since."""

    def run(self, script: str, args: Sequence[bytes]) -> Deferred[Any]:
        """Run a script."""
        command = pack((b"EVALSHA", self._scripts.hashes[script], b"0", *args))
        answer: Deferred[Any] = Deferred()
        asked = _Asked(answer, self._seconds(), command)
        if self._forgotten:
            self._later.append(asked)
        else:
            self._asked.append(asked)
            write(self.transport, command)
        return answer

    def load(self) -> Deferred[Any]:
        """Load all scripts into Redis."""
        return Deferred.fromCoroutine(answers(*(self.ask(b"SCRIPT", b"LOAD", text) for text in self._scripts.texts)))

    def replyReceived(self, reply: Any) -> None:
        """Give one reply to its command; see also :attr:`_forgotten`."""
        if self._asked:
            self._took.count(self._seconds() - self._asked[0].at)
        super().replyReceived(reply)
        if self._forgotten and not self._asked:
            self._run_again()

    def _run_again(self) -> None:
        again = self._forgotten + self._later
        self._forgotten, self._later = [], []
        self.load().addErrback(lambda _: None)  # the following commands report a failure
        self._asked.extend(again)
        self.transport.writeSequence([asked.script for asked in again])

    def _refused(self, asked: _Asked, error: Refused) -> None:
        code = code_of(error)
        if not asked.script:
            super()._refused(asked, error)
        elif code == "NOSCRIPT" and not asked.is_last_try:
            self._forgotten.append(_Asked(asked.answer, asked.at, asked.script, is_last_try=True))
        elif code in _NOT_THE_ONE:
            self._asked.appendleft(asked)
            self.abort(code)
        elif code in _NOT_NOW:
            asked.answer.errback(Unavailable(f"Redis refused the command: {code}"))
        else:
            asked.answer.errback(ScriptFailed(str(error)))

    def _end(self, cause: str) -> None:
        self._asked.extend(self._forgotten + self._later)
        self._forgotten, self._later = [], []
        super()._end(cause)


class Scripts:
    """Lua scripts by name, with their hashes."""

    def __init__(self, scripts: Mapping[str, str]) -> None:
        self.texts: Final = tuple(text.encode() for text in scripts.values())
        self.hashes: Final = {name: _sha1(text.encode()) for name, text in scripts.items()}


class RedisLink(ReconnectingConnection[Commands]):
    """The single reconnecting connection for commands of this node.

    :param scripts: the scripts for :meth:`run`, by name. They take no keys.
    :param connected: called with Redis' ``run_id`` each time a new connection is ready; that changes when Redis
        was restarted.
    :param lost: called when that connection is lost, before the commands under way on it fail.
    :param took: counts the seconds from each command to its answer.
    """

    def __init__(
        self,
        target: RedisTarget,
        reactor: Reactor,
        scripts: Mapping[str, str],
        connected: Callable[[str], None],
        lost: Callable[[], None],
        took: Histogram,
    ) -> None:
        self._target = target
        texts = Scripts(scripts)
        super().__init__(
            "link",
            reactor,
            _way_to(target, reactor),
            lambda: Commands(reactor, texts, took),
            lambda line: connected(line.run_id),
            lost,
        )

    @property
    def up(self) -> bool:
        """True if commands can be sent."""
        return self.line is not None

    def run(self, script: str, *args: bytes) -> Deferred[Any]:
        """Run a script with ``ARGV = args``; the answer is bytes, an int, ``None`` or a list of these.

        Commands are run in the order in which they are given.

        :raises Unavailable: there is no connection; or it was lost before the answer, or gave none in
            :data:`REPLY_TIME`, and it is unknown whether the script has run or will.
        :raises ScriptFailed: the script failed.
        """
        line = self.line
        return fail(_away(self.cause)) if line is None else line.run(script, args)

    async def greet(self, line: Commands) -> None:
        """Log in, and load the scripts."""
        greeted = Deferred.fromCoroutine(greet(line, self._target))
        select = [line.ask(b"SELECT", b"%d" % self._target.database)] if self._target.database else []
        line.run_id, *_ = await answers(greeted, *select, line.load())


class _Messages(Conversation):
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


class RedisSubscription(ReconnectingConnection[_Messages]):
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
            _way_to(target, reactor),
            lambda: _Messages(reactor, received, subscribed, everyone.encode()),
            lambda line: line.follow(self._channel),
            lost,
        )

    def follow(self, channel: str) -> None:
        """Subscribe to this channel alone; ``subscribed`` is called when that has happened."""
        self._channel = channel.encode()
        if self.line is not None:
            self.line.follow(self._channel)

    async def greet(self, line: _Messages) -> None:
        """Log in."""
        await greet(line, self._target)


def _way_to(target: RedisTarget, reactor: Reactor) -> Locator:
    """The way to this Redis."""
    if target.sentinels:
        return BySentinels(target, reactor, lambda: Conversation(reactor))
    return Direct(target, reactor)


def _away(cause: str) -> Unavailable:
    """The failure of unsent or unanswered commands; the cause is for the log."""
    error = Unavailable("Redis cannot be reached")
    error.__cause__ = NotUsable(cause)
    return error


def _sha1(text: bytes) -> bytes:
    return hashlib.sha1(text, usedforsecurity=False).hexdigest().encode()
