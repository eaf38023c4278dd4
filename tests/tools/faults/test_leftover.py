"""The keys that Redis may hold when all have gone, while the ended calls are still remembered."""

from __future__ import annotations

import asyncio

from twisted.trial.unittest import SynchronousTestCase

from acceptance.faults.leftover import is_left
from harness import redis_server


class InRedisTests(SynchronousTestCase):
    """Ended calls, and the keys that lead to them."""

    def setUp(self) -> None:
        """A call that is over and is remembered for ten minutes yet."""
        self.server = redis_server.shared("redis")
        self.prefix = redis_server.new_prefix()
        self.keep("c:room", "600000")

    def keep(self, key: str, milliseconds: str | None, value: str = "call") -> None:
        """Let Redis hold a key, for ever or for so long."""
        self.server.cli("SET", self.prefix + key, value, *(() if milliseconds is None else ("PX", milliseconds)))

    def left(self, key: str, brief: bool = True) -> str | None:
        """Describe the fault of a key."""
        return asyncio.run(is_left(self.server, self.prefix + key, self.prefix, 0, brief))

    def test_alias(self) -> None:
        """An alias of a call that is over may be there for as long as the call."""
        self.keep("r:alias", "59000", "room")
        self.assertIsNone(self.left("c:room"))
        self.assertIsNone(self.left("r:alias"))
        self.assertEqual("r:alias", self.left("r:alias", brief=False))

    def test_alias_that_outlasts_its_call(self) -> None:
        """One that is there longer is left, as is one that leads to no call, or to one that is not over."""
        self.keep("c:on", None)
        for kept, room in ((None, "room"), ("700000", "room"), ("59000", "nowhere"), ("59000", "on")):
            self.keep("r:alias", kept, room)
            self.assertEqual("r:alias", self.left("r:alias"))
