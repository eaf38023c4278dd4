"""Values that are there already, or come later."""

from __future__ import annotations

from collections.abc import Awaitable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from callnet.util.deferreds import Ready, Soon, begin


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


def later(soon: Soon[int]) -> Deferred[int]:
    """Make a Deferred of it, which trial's assertions know."""
    return succeed(soon.value) if isinstance(soon, Ready) else soon


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
