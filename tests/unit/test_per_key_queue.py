"""Taking turns."""

from __future__ import annotations

from collections.abc import Awaitable

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase

from callnet.calls.switchboard import PerKeyQueue


class PerKeyQueueTests(SynchronousTestCase):
    """The tasks of one owner are done in order; the tasks of others do not wait for them."""

    def setUp(self) -> None:
        """Nobody waits."""
        self.turns = PerKeyQueue()
        self.log: list[str] = []

    def submit(self, name: str, until: Awaitable[object], owner: str = "owner") -> Deferred[str]:
        """Do work that waits for something; the log says when it begins and when its end is known outside."""

        async def work() -> str:
            self.log.append(f"{name} begins")
            await until
            return name

        def ended(result: str) -> str:
            self.log.append(f"{name} ended")
            return result

        return self.turns.submit(owner, work).addCallback(ended)

    def test_without_waiting(self) -> None:
        """Work that never waits is done when it is asked for."""
        self.assertEqual("a", self.successResultOf(self.submit("a", succeed(None))))
        self.assertEqual({}, self.turns._waiting)

    def test_order(self) -> None:
        """The end of each is known before the next begins, however many need not wait when their turn comes."""
        first: Deferred[None] = Deferred()
        third: Deferred[None] = Deferred()
        self.submit("a", first)
        self.submit("b", succeed(None))
        self.submit("c", third)
        self.submit("d", succeed(None))
        self.assertEqual(["a begins"], self.log)
        first.callback(None)
        self.assertEqual(["a begins", "a ended", "b begins", "b ended", "c begins"], self.log)
        third.callback(None)
        self.assertEqual(["c ended", "d begins", "d ended"], self.log[5:])
        self.assertEqual({}, self.turns._waiting)

    def test_owners_are_strangers(self) -> None:
        """Another owner's work does not wait."""
        self.submit("a", Deferred(), owner="one")
        self.assertEqual("b", self.successResultOf(self.submit("b", succeed(None), owner="another")))

    def test_failure(self) -> None:
        """Failing work reports that to its requester, and the next goes on."""
        first: Deferred[None] = Deferred()
        failed = self.submit("a", first)
        after = self.submit("b", succeed(None))
        first.errback(ValueError("gone"))
        self.failureResultOf(failed, ValueError)
        self.assertEqual("b", self.successResultOf(after))

    def test_nobody_waits(self) -> None:
        """Work goes on although whoever asked has gone; if it fails then, that is logged."""
        first, second = Deferred[None](), Deferred[None]()
        for until in (first, second):
            asked = self.submit("a", until)
            asked.cancel()
            self.failureResultOf(asked, CancelledError)
        first.callback(None)
        second.errback(ValueError("gone"))
        self.assertEqual(["a begins", "a begins"], self.log)
        self.assertEqual(1, len(self.flushLoggedErrors(ValueError)))

    def test_work_brings_work(self) -> None:
        """Work that is submitted when another's end is known comes after the waiting work."""
        first: Deferred[None] = Deferred()
        self.submit("a", first).addCallback(lambda _: self.submit("c", succeed(None)))
        self.submit("b", succeed(None))
        first.callback(None)
        self.assertEqual(["a begins", "a ended", "b begins", "b ended", "c begins", "c ended"], self.log)

    def test_long_line(self) -> None:
        """However long the line, it is worked off."""
        first: Deferred[None] = Deferred()
        self.submit("a", first)
        last = [self.submit("b", succeed(None)) for _ in range(5000)][-1]
        first.callback(None)
        self.assertEqual("b", self.successResultOf(last))


class RunTests(SynchronousTestCase):
    """Work that goes on by itself takes its turn like all other."""

    def setUp(self) -> None:
        """Nobody waits."""
        self.turns = PerKeyQueue()
        self.log: list[str] = []

    def run_one(self, name: str, waits: Deferred[None] | None) -> None:
        """Ask for work, which notes that it begins."""

        def work(name: str) -> Deferred[None] | None:
            self.log.append(name)
            return waits

        self.turns.run("owner", work, name)

    def test_without_waiting(self) -> None:
        """A task that need not wait is done at once, and leaves nothing behind."""
        self.run_one("a", None)
        self.run_one("b", succeed(None))
        self.assertEqual((["a", "b"], {}), (self.log, self.turns._waiting))

    def test_order(self) -> None:
        """It is done after the waiting work, in turn with work that answers."""
        first, second = Deferred[None](), Deferred[None]()
        self.run_one("a", first)
        self.run_one("b", second)

        async def work() -> str:
            return "c"

        answer = self.turns.submit("owner", work)
        self.run_one("d", None)
        self.assertTrue(self.turns.is_awaited("owner"))
        first.callback(None)
        self.assertNoResult(answer)
        self.assertEqual(["a", "b"], self.log)
        second.callback(None)
        self.assertEqual("c", self.successResultOf(answer))
        self.assertEqual((["a", "b", "d"], {}), (self.log, self.turns._waiting))

    def test_patient(self) -> None:
        """Patient work takes its turn, and nothing is awaited for it."""
        first: Deferred[None] = Deferred()
        self.run_one("a", first)
        self.turns.run("owner", self.log.append, "b", is_patient=True)
        self.assertFalse(self.turns.is_awaited("owner"))
        self.turns.run("owner", self.log.append, "c")
        self.assertTrue(self.turns.is_awaited("owner"))
        first.callback(None)
        self.assertEqual((["a", "b", "c"], {}), (self.log, self.turns._waiting))

    def test_fault(self) -> None:
        """A fault is logged, and those that follow have their turn."""
        first, second = Deferred[None](), Deferred[None]()

        def fail() -> None:
            raise ZeroDivisionError

        self.run_one("a", first)
        self.run_one("b", second)
        self.turns.run("owner", fail)
        self.run_one("c", None)
        first.errback(ZeroDivisionError())
        second.errback(ZeroDivisionError())
        self.assertEqual((["a", "b", "c"], {}), (self.log, self.turns._waiting))
        self.assertEqual(3, len(self.flushLoggedErrors(ZeroDivisionError)))
