"""Links to real servers whose news can be waited for."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase
from zope.interface import implementer

from callnet.config.schema import RedisSettings
from callnet.ops.certificates import sign
from callnet.redis.connection import RedisLink, RedisSubscription
from callnet.redis.url import RedisTarget, parse
from callnet.util.histogram import Histogram
from harness.redis_server import Certificate, Flavour, RedisServer

SCRIPTS: Final = {
    "echo": "return ARGV",
    "append": "return redis.call('RPUSH', ARGV[1], ARGV[2])",
    "list": "return redis.call('LRANGE', ARGV[1], 0, -1)",
    "kinds": "return {7, -1, false, 'text', {1, {'deep'}}, {}}",
    "publish": "return redis.call('PUBLISH', ARGV[1], ARGV[2])",
    "wrong": "return redis.call('LPUSH', ARGV[1])",
}


class RedisCase(TestCase):
    """Tests against real servers. The started servers are stopped, and nothing of them is left in the reactor."""

    timeout = 180
    flavour: Flavour = "redis"

    def server(self, **options: Any) -> RedisServer:
        """A server of this test's own; see :class:`RedisServer`."""
        server = RedisServer(self.flavour, **options)
        self.addCleanup(server.close)
        return server

    def link(self, url: str, ca: str = "") -> Link:
        """A link, which has been started."""
        link = Link(target(url, ca))
        self.addCleanup(link.stop)
        link.start()
        return link

    def subscription(self, url: str, channel: str, ca: str = "") -> Subscription:
        """A subscription, which has been started."""
        subscription = Subscription(target(url, ca))
        self.addCleanup(subscription.stop)
        subscription.follow(channel)
        subscription.start()
        return subscription

    def certificate(self, *hosts: str) -> Certificate:
        """A certificate that signs itself, for these names and addresses."""
        names = [host for host in hosts if host[-1].isalpha()]
        addresses = [ip_address(host) for host in hosts if host not in names]
        pair = sign(names, addresses, datetime.now(UTC))
        files = Path(self.mktemp()).absolute(), Path(self.mktemp()).absolute()
        files[0].write_bytes(pair.chain[0].public_bytes(Encoding.PEM))
        files[1].write_bytes(pair.key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return str(files[0]), str(files[1])

    def said(self, text: str) -> Deferred[str]:
        """Fires with the next line of the log that has ``text`` in it."""
        found: Deferred[str] = Deferred()

        @implementer(ILogObserver)
        def look(event: LogEvent) -> None:
            line = formatEvent(event)
            if text in line and not found.called:
                globalLogPublisher.removeObserver(look)
                found.callback(line)

        globalLogPublisher.addObserver(look)
        self.addCleanup(globalLogPublisher.removeObserver, look)
        return found


class Link(RedisLink):
    """A link that keeps its news."""

    def __init__(self, where: RedisTarget, scripts: Mapping[str, str] = SCRIPTS) -> None:
        self.runs: DeferredQueue[str] = DeferredQueue()
        """The ``run_id`` of each connection."""
        self.losses: DeferredQueue[bool] = DeferredQueue()
        """For each lost connection, whether the link was still up when it said so."""
        self.took = Histogram()
        super().__init__(where, reactor, scripts, self.runs.put, lambda: self.losses.put(self.up), self.took)


class Subscription(RedisSubscription):
    """A subscription that keeps its news."""

    def __init__(self, where: RedisTarget) -> None:
        self.messages: DeferredQueue[bytes] = DeferredQueue()
        self.confirmed: DeferredQueue[None] = DeferredQueue()
        self.losses: DeferredQueue[None] = DeferredQueue()
        super().__init__(
            where,
            reactor,
            self.messages.put,
            lambda: self.confirmed.put(None),
            lambda: self.losses.put(None),
            "everyone",
        )


def target(url: str, ca: str = "") -> RedisTarget:
    """The target that the settings name."""
    return parse(RedisSettings(url=url, ca=ca))
