"""Events are sent until they are accepted, over real HTTP and a wire in memory."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from sqlalchemy import select
from treq.testing import RequestTraversalAgent
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from callnet.errors import Unavailable
from callnet.ops import webhooks
from callnet.ops.metrics import of_events
from callnet.ops.webhooks import ANSWER_TIME, AT_ONCE, LEASE, LOOK_EVERY, TAKEN, TRIES, Deliveries, SignedPosts
from callnet.storage.outbox import OutboxEvent, SqlOutbox, letters
from callnet.storage.schema import outbox
from tests.support import migrated
from tests.support.immediate import run_at_once
from tests.unit.test_webhooks import SECRET, URL, Receiver

DAY = 86400.0


class DeliveriesTests(SynchronousTestCase):
    """A database, a receiver, and a node."""

    def setUp(self) -> None:
        """All of it, on a clock."""
        self.clock, self.receiver = Clock(), Receiver()
        self.clock.advance(1_600_000_000.0)
        self.database = migrated.in_memory()
        self.addCleanup(self.database.close)
        self.is_away = False
        self.outbox = SqlOutbox(self.database, self.run_unless_away, contacts_only=False)
        self.agent: Any = RequestTraversalAgent(self.receiver)  # type: ignore[no-untyped-call]
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))
        self.node = self.start()
        self.addCleanup(self.stop)

    def run_unless_away(self, *arguments: Any, **named: Any) -> Deferred[Any]:
        """Runs a function of the database, unless it is away."""
        return fail(Unavailable("away")) if self.is_away else run_at_once(*arguments, **named)

    def start(self, outbox: SqlOutbox | None = None) -> Deliveries:
        """Start a node."""
        posts = SignedPosts(URL, SECRET, self.agent, self.clock, self.clock.seconds)
        node = Deliveries(outbox or self.outbox, posts, self.clock, self.clock.seconds, kept=DAY, chance=lambda: 0.5)
        node.start()
        return node

    def stop(self) -> None:
        """Stop it."""
        stopped = self.node.stop()
        self.flush()
        self.successResultOf(stopped)

    def flush(self) -> None:
        """Let the pending bytes arrive."""
        for _ in range(20):
            self.agent.flush()

    def wait(self, seconds: float = LOOK_EVERY) -> None:
        """Let time go by."""
        self.clock.advance(seconds)
        self.flush()

    def write(self, *numbers: int) -> None:
        """Let something happen."""
        now = self.clock.seconds()
        events = [OutboxEvent(f"{n:032x}", "call_ended", now, b'{"n":%d}' % n, "13651884967") for n in numbers]
        self.successResultOf(self.outbox.write(events, now))

    def taken(self) -> list[int]:
        """The events that came, since this was asked."""
        requests = [request for request, _ in self.receiver.taken]
        self.receiver.taken.clear()
        return [int(request.getHeader("callnet-event") or "", 16) for request in requests]

    def waiting(self) -> int:
        """The number of events that were not accepted yet."""
        return len([letter for letter in letters(self.database, with_waiting=True) if not letter.is_dead])

    def dead(self) -> list[tuple[int, int, str]]:
        """The dead letters: which, how often tried, why given up."""
        found = letters(self.database, with_waiting=False)
        return [(int(letter.id, 16), letter.tries, letter.failure) for letter in found]

    def test_told(self) -> None:
        """An event is sent within a second or two, once, as it was recorded."""
        self.write(1, 2)
        self.wait()
        self.assertEqual({b'{"n":1}', b'{"n":2}'}, {body for _, body in self.receiver.taken})
        self.assertEqual([1, 2], self.taken())
        for _ in range(100):
            self.wait()
        self.assertEqual(([], 0, []), (self.taken(), self.waiting(), self.dead()))

    def test_again(self) -> None:
        """An event that is not accepted is sent again after pauses from a second to an hour, for about a day."""
        self.receiver.answers[:] = [500] * 1000
        self.write(1)
        sent: list[float] = []
        begun = self.clock.seconds()
        with capturedLogs() as events:
            while len(sent) < TRIES:
                self.wait(LOOK_EVERY if len(sent) < 5 else 60)
                sent += [self.clock.seconds() - begun] * len(self.taken())
        pauses = [after - before for before, after in pairwise(sent)]
        self.assertEqual([1, 2, 4, 8], [round(pause) for pause in pauses[:4]])
        self.assertAlmostEqual(3600, max(pauses), delta=60)
        self.assertTrue(0.9 * DAY < sent[-1] < 1.3 * DAY, sent[-1])
        self.assertEqual([(1, TRIES, "status 500")], self.dead())
        lines = [formatEvent(event) for event in events]
        self.assertEqual(2, len(lines))
        self.assertIn("status 500", lines[0])
        self.assertIn("callnet webhook list", lines[1])
        for secret in ("1365188", "passw0rd", "hooks.test", SECRET):
            self.assertNotIn(secret, "".join(lines))

    def test_jitter(self) -> None:
        """A pause is a little shorter or longer, so that not all come back at once."""
        for chance, shortest in ((0.0, 0.8), (1.0, 1.2)):
            posts = SignedPosts(URL, SECRET, self.agent, self.clock, self.clock.seconds)
            chances = iter([chance, chance])
            node = Deliveries(self.outbox, posts, self.clock, self.clock.seconds, DAY, chances.__next__)
            self.assertAlmostEqual(shortest, node._pause(1))
            self.assertAlmostEqual(shortest * 3600, node._pause(30))

    def test_taken_later(self) -> None:
        """An event accepted at last is not sent again, and the log says that delivery goes on."""
        self.receiver.answers[:] = [500, 429, None]
        self.write(1)
        with capturedLogs() as events:
            for _ in range(30):
                self.wait()
        self.assertEqual([1, 1, 1, 1], self.taken())
        self.assertEqual(0, self.waiting())
        self.assertIn("accepts events again", formatEvent(events[-1]))

    def test_refused(self) -> None:
        """An event that is refused for good is a dead letter at once."""
        for number, status in enumerate((400, 401, 404, 410, 302)):
            self.receiver.answers[:] = [status]
            self.write(number)
            self.wait()
        self.assertEqual(
            [
                (0, 1, "status 400"),
                (1, 1, "status 401"),
                (2, 1, "status 404"),
                (3, 1, "status 410"),
                (4, 1, "status 302"),
            ],
            self.dead(),
        )

    def test_many(self) -> None:
        """The number of concurrent deliveries is limited, the oldest first; the rest follows at once."""
        self.receiver.answers[:] = [None] * AT_ONCE
        self.write(*range(10))
        self.wait()
        self.write(*range(10, 40))
        self.assertEqual(list(range(AT_ONCE)), self.taken())
        self.wait(ANSWER_TIME)
        self.assertEqual(list(range(AT_ONCE, 10)), self.taken())
        self.wait()
        self.assertEqual([*range(10, 40), *range(AT_ONCE)], sorted(self.taken(), key=lambda n: (n < AT_ONCE, n)))

    def test_two_nodes(self) -> None:
        """An event that one node sends no other sends at the same time; when the one dies another sends it later."""
        self.receiver.answers[:] = [None] * 2
        self.write(1, 2)
        self.wait()
        other_node = self.start(SqlOutbox(self.database, run_at_once, contacts_only=False))
        self.addCleanup(other_node.stop)
        self.assertEqual([1, 2], self.taken())
        self.is_away = True  # for the first node, for ever
        for _ in range(int(LEASE) - 1):
            self.wait()
        self.assertEqual([], self.taken())
        self.wait()
        self.wait()
        self.assertEqual(([1, 2], 0), (self.taken(), self.waiting()))

    def test_stop(self) -> None:
        """The deliveries of a node that stops, and the events that it has leased, are sent by the next, at once."""
        self.receiver.answers[:] = [None] * AT_ONCE
        self.write(*range(TAKEN))
        self.wait()
        self.taken()
        self.stop()
        self.assertEqual((TAKEN, []), (self.waiting(), self.dead()))
        self.node = self.start()
        self.flush()
        self.assertEqual(list(range(TAKEN)), self.taken())

    def test_away(self) -> None:
        """While the database is away nothing is sent twice, and nothing is lost."""
        self.receiver.answers[:] = [None]
        self.write(1)
        self.wait()
        self.assertEqual([1], self.taken())
        self.is_away = True
        self.wait(ANSWER_TIME)
        for _ in range(10):
            self.wait()
        self.is_away = False
        self.wait()
        self.wait()
        self.assertEqual(([1], 0), (self.taken(), self.waiting()))

    def test_a_fault(self) -> None:
        """An internal error is logged, and delivery continues."""
        self.patch(self.outbox, "settle", lambda *_: fail(KeyError("ours")))
        self.write(1)
        self.wait()
        self.assertEqual(1, len(self.flushLoggedErrors(KeyError)))
        del self.outbox.settle
        self.write(2)
        self.wait()
        self.assertEqual([1, 2], self.taken())

    def test_counted(self) -> None:
        """Events that were not accepted are counted now and then."""
        self.receiver.answers[:] = [404, *[500] * 3]
        self.write(1, 2, 3)
        for _ in range(16):
            self.wait(0.95)
        self.assertEqual(of_events(0, 1), self.node.counted())

    def test_forget(self) -> None:
        """The ids of delivered events are kept for as long as they are needed."""
        self.write(1)
        self.wait()
        self.wait(DAY - 10)
        self.assertEqual(1, len(self.ids()))
        self.wait(3600)
        self.assertEqual(0, len(self.ids()))

    def test_forget_dead_letters(self) -> None:
        """Dead letters are removed after a month."""
        self.receiver.answers[:] = [404]
        self.write(1)
        self.wait()
        self.wait(29 * DAY)
        self.assertEqual(1, len(self.dead()))
        self.wait(1.1 * DAY)
        self.assertEqual([], self.dead())

    def ids(self) -> list[str]:
        """The ids in the table."""
        with self.database.read() as connection:
            return list(connection.scalars(select(outbox.c.id)))

    def test_lease(self) -> None:
        """Leased events are back before others take them, even if every answer is late."""
        self.assertGreater(webhooks.LEASE, ANSWER_TIME * TAKEN / AT_ONCE)
