"""Values that are there already, or come later."""

from __future__ import annotations

from collections.abc import Awaitable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from callnet.util.deferreds import Ready, Soon, begin, or_else
from tests.support.later import later


async def sum_of(*numbers: Awaitable[int]) -> int:
    """Wait for one after the other."""
    total = 0
    for number in numbers:
        total += await number
    return total


async def first_that_comes(*numbers: Awaitable[int]) -> int:
    """The first number that there is."""
    for number in numbers:
        try:
            return await number
        except ZeroDivisionError:
            pass
    raise LookupError


class BeginTests(SynchronousTestCase):
    """Running a coroutine."""

    def value_of(self, soon: Soon[int]) -> int:
        """The value that is there at once."""
        assert isinstance(soon, Ready)
        return soon.value

    def test_ready(self) -> None:
        """A coroutine that waits for nothing has its value at once, without a Deferred."""
        self.assertEqual(0, self.value_of(begin(sum_of())))
        self.assertEqual(3, self.value_of(begin(sum_of(Ready(1), Ready(2)))))

    def test_later(self) -> None:
        """A waiting coroutine goes on when its awaited values are there, one after the other."""
        first, second = Deferred[int](), Deferred[int]()
        soon = later(begin(sum_of(Ready(1), first, Ready(2), second)))
        second.callback(30)
        self.assertNoResult(soon)
        first.callback(400)
        self.assertEqual(433, self.successResultOf(soon))

    def test_fired(self) -> None:
        """A Deferred that has fired is as good as one that fires at once."""
        self.assertEqual(3, self.successResultOf(later(begin(sum_of(succeed(1), succeed(2))))))

    def test_failure(self) -> None:
        """A Deferred's failure is raised where it is awaited, and an exception of a coroutine is a failure."""
        late = Deferred[int]()
        soon = later(begin(first_that_comes(fail(ZeroDivisionError()), late, Ready(5))))
        late.errback(ZeroDivisionError())
        self.assertEqual(5, self.successResultOf(soon))
        self.failureResultOf(later(begin(first_that_comes())), LookupError)
        self.failureResultOf(later(begin(first_that_comes(fail(ZeroDivisionError())))), LookupError)

    def test_or_else(self) -> None:
        """A failure is handed over, now or later; a success is not."""
        failures: list[Failure] = []
        or_else(begin(sum_of(Ready(1))), failures.append)
        or_else(begin(sum_of(succeed(1))), failures.append)
        self.assertEqual([], failures)
        late = Deferred[int]()
        or_else(begin(sum_of(late)), failures.append)
        or_else(begin(first_that_comes()), failures.append)
        late.errback(ZeroDivisionError())
        self.assertEqual([LookupError, ZeroDivisionError], [failure.type for failure in failures])
