"""Many small questions go to Redis in one command, none too long."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.errors import Unavailable
from callnet.redis.commands import SIZE_MAX, Batch


class Commands:
    """A link that keeps the commands that were given, until the test answers them."""

    def __init__(self) -> None:
        self.up = True
        self.given: list[tuple[tuple[bytes, ...], Deferred[Any]]] = []

    def start(self) -> None:
        """There is nothing to begin."""

    def stop(self) -> Deferred[None]:
        """There is nothing to end."""
        raise NotImplementedError

    def give_up(self, cause: str) -> None:
        """There is nothing to drop."""

    def run(self, script: str, *args: bytes) -> Deferred[Any]:
        """Keep a command, or fail without a connection."""
        if not self.up:
            return fail(Unavailable("away"))
        answer: Deferred[Any] = Deferred()
        self.given.append(((script.encode(), *args), answer))
        return answer

    def questions(self) -> list[list[bytes]]:
        """The requests of each command."""
        return [list(args[2:]) for args, _ in self.given]


class BatchTests(SynchronousTestCase):
    """Questions that are asked in one turn."""

    def setUp(self) -> None:
        """Begin with nothing asked."""
        self.clock, self.link = Clock(), Commands()
        self.decoded: list[bytes] = []

    def batch(self, merges: bool = True) -> Batch[str]:
        """Make one, which records its decoding."""

        def decode(data: bytes) -> str:
            self.decoded.append(data)
            return data.decode("ascii")

        return Batch(self.link, "read", lambda: (b"head",), self.clock, decode, merges)

    def test_together(self) -> None:
        """They go in one command, and each gets its answer."""
        batch = self.batch()
        answers = [batch.ask((text,)) for text in (b"a", b"b")]
        self.clock.advance(0)
        self.assertEqual([[b"a", b"b"]], self.link.questions())
        self.link.given[0][1].callback([b"1", b"2"])
        self.assertEqual(["1", "2"], [self.successResultOf(answer) for answer in answers])
        self.assertEqual(0, batch.unanswered)

    def test_equal(self) -> None:
        """Equal ones are asked once, and their answer is decoded once."""
        batch = self.batch()
        answers = [batch.ask((b"a",)) for _ in range(64)]
        self.assertEqual(64, batch.unanswered)
        self.clock.advance(0)
        self.assertEqual([[b"a"]], self.link.questions())
        self.link.given[0][1].callback([b"1"])
        self.assertEqual({"1"}, {self.successResultOf(answer) for answer in answers})
        self.assertEqual(([b"1"], 0), (self.decoded, batch.unanswered))

    def test_on_its_way(self) -> None:
        """One that is on its way is asked again: its answer may be old by now."""
        batch = self.batch()
        batch.ask((b"a",))
        self.clock.advance(0)
        second = batch.ask((b"a",))
        self.link.given[0][1].callback([b"1"])
        self.assertNoResult(second)
        self.link.given[1][1].callback([b"2"])
        self.assertEqual("2", self.successResultOf(second))

    def test_orders(self) -> None:
        """Where each is to be done, equal ones are not one."""
        batch = self.batch(merges=False)
        for _ in range(2):
            batch.ask((b"a",))
        self.clock.advance(0)
        self.assertEqual([[b"a", b"a"]], self.link.questions())

    def test_size(self) -> None:
        """Large ones do not go together; one that is too large for any command goes alone."""
        batch = self.batch()
        half, more = SIZE_MAX // 2, SIZE_MAX * 10
        for text, size in ((b"a", half), (b"b", half), (b"c", 1), (b"d", more), (b"e", 1)):
            batch.ask((text,), size)
        self.clock.advance(0)
        for number in range(4):
            self.link.given[number][1].callback([b""] * 2)
        self.assertEqual([[b"a", b"b"], [b"c"], [b"d"], [b"e"]], self.link.questions())

    def test_number(self) -> None:
        """At most 64 go together."""
        batch = self.batch()
        for number in range(100):
            batch.ask((b"%d" % number,))
        self.clock.advance(0)
        self.link.given[0][1].callback([b""] * 64)
        self.assertEqual([64, 36], [*map(len, self.link.questions())])

    def test_no_answer(self) -> None:
        """Without an answer all who ask are told so; an undecodable one is nobody else's failure."""
        batch = self.batch()
        answers = [batch.ask((text,)) for text in (b"a", b"a", b"b")]
        self.clock.advance(0)
        self.link.given[0][1].errback(Unavailable("away"))
        for answer in answers:
            self.failureResultOf(answer, Unavailable)
        bad, good = batch.ask((b"a",)), batch.ask((b"b",))
        self.clock.advance(0)
        self.link.given[1][1].callback([b"\xff", b"2"])
        self.failureResultOf(bad, UnicodeDecodeError)
        self.assertEqual("2", self.successResultOf(good))
        self.assertEqual(0, batch.unanswered)

    def test_connection_lost(self) -> None:
        """If very many wait for an answer when the connection is lost, all are told so; the next one is sent."""
        batch = self.batch(merges=False)
        answers = [batch.ask((b"%d" % number,)) for number in range(30_000)]
        self.clock.advance(0)
        self.link.up = False
        self.link.given.pop()[1].errback(Unavailable("away"))
        for answer in answers:
            self.failureResultOf(answer, Unavailable)
        self.assertEqual(0, batch.unanswered)
        self.link.up = True
        after = batch.ask((b"after",))
        self.clock.advance(0)
        self.link.given[0][1].callback([b"1"])
        self.assertEqual("1", self.successResultOf(after))
