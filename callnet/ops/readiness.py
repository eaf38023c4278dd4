"""Readiness: each dependency is asked, with a time limit, and says what is wrong."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, cast

from msgspec import Struct
from twisted.internet import defer
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from callnet.errors import Unavailable, root_cause
from callnet.util.deferreds import as_deferred
from callnet.util.logger import Logger

ASK_LIMIT: Final = 0.8
"""Seconds that an answer may take: whoever asks for the readiness may have a limit of one second."""
REMEMBERED: Final = 1.0
"""Seconds for which an answer is good."""

LISTENERS: Final = "listeners"
"""The name of the check for listeners."""
DRAINING: Final = "draining"
"""Why nothing more should come here."""

Question = Callable[[], Deferred[str | None] | str | None]
"""Answers with ``None`` if all is well, else with a few words that say what is wrong, without any secret."""

_log = Logger()


class Check(Struct, frozen=True, omit_defaults=True):
    """The state of one dependency."""

    ok: bool
    why: str = ""
    """The fault."""


class Report(Struct, frozen=True, omit_defaults=True):
    """The state of all dependencies."""

    ready: bool
    checks: dict[str, Check]
    workers: dict[str, Report] = {}
    """The same of each worker that answered, by its number."""

    @property
    def is_draining(self) -> bool:
        """True if it was told to stop."""
        return self.checks[LISTENERS].why == DRAINING

    @property
    def wrong(self) -> str:
        """The faults, in one line."""
        return ", ".join(f"{name}: {check.why}" for name, check in self.checks.items() if not check.ok)


def report_of(checks: dict[str, Check], workers: dict[str, Report] | None = None) -> Report:
    """Sum up: ready only if everything is."""
    return Report(all(check.ok for check in checks.values()), checks, workers or {})


class Readiness:
    """Everything that must be well here, and whether connections are taken.

    :param questions: what to ask, by the name of what is needed.
    """

    def __init__(self, questions: Mapping[str, Question], clock: IReactorTime) -> None:
        self._questions: Mapping[str, Question] = {LISTENERS: lambda: self._closed, **questions}
        self._clock = clock
        self._closed: str | None = "starting"

    def open(self) -> None:
        """Connections are taken from now on."""
        self._closed = None

    def drain(self) -> None:
        """Connections are taken no more."""
        self._closed = DRAINING

    @as_deferred
    async def report(self) -> Report:
        """Ask; fires within :data:`ASK_LIMIT`, and never fails."""
        answers = await gatherResults([self._ask(question) for question in self._questions.values()])
        checks = (Check(why is None, why or "") for why in answers)
        return report_of(dict(zip(self._questions, checks, strict=True)))

    def _ask(self, question: Question) -> Deferred[str | None]:
        return _asked(question).addTimeout(ASK_LIMIT, self._clock).addErrback(_why)


class Remembered:
    """A question that is not asked again within a second, nor while it is being asked."""

    def __init__(self, question: Question, clock: IReactorTime) -> None:
        self._question = question
        self._clock = clock
        self._answer: str | None = None
        self._good_until = clock.seconds()
        self._waiting: list[Deferred[str | None]] = []
        self._asking = False

    def __call__(self) -> Deferred[str | None]:
        """Answer with what is known, or as soon as it is. Whoever gives up does so for itself alone."""
        if self._clock.seconds() < self._good_until:
            return succeed(self._answer)
        waiting: Deferred[str | None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        if not self._asking:
            self._asking = True
            _asked(self._question).addErrback(_why).addCallback(self._answered)
        return waiting

    def _answered(self, answer: str | None) -> None:
        self._asking = False
        self._answer = answer
        self._good_until = self._clock.seconds() + REMEMBERED
        waiting, self._waiting[:] = list(self._waiting), []
        for each in waiting:
            each.callback(answer)


def _asked(question: Question) -> Deferred[str | None]:
    answer: Deferred[str | None] = maybeDeferred(cast(Any, question))
    return answer


def _why(failure: Failure) -> str:
    """The words for a question that could not be answered."""
    error = failure.value
    if isinstance(error, (defer.TimeoutError, defer.CancelledError)):  # whoever asked gave up
        return f"no answer within {ASK_LIMIT} s"
    if isinstance(error, Unavailable):
        return root_cause(error)
    _log.failure("failed to check readiness", failure)
    return "internal error"
