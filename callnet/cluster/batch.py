"""Many small questions in one command: what is asked in one turn of the reactor goes to Redis together.

What is asked while a command is on its way waits for its answer, and goes together then. So the more there is to ask,
the more goes in one command, whose price is mostly its own; and where there is little, nothing waits.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, Protocol, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

_MOST: Final = 64
"""Questions in one command: Redis does nothing else while it answers one."""


class Link(Protocol):
    """What is needed of the connection over which this node gives commands."""

    @property
    def up(self) -> bool:
        """Whether there is a connection."""

    def start(self) -> None:
        """Begin to connect."""

    def stop(self) -> Deferred[None]:
        """End."""

    def run(self, script: str, *args: bytes) -> Deferred[Any]:
        """Run a script. Fails with :class:`callnet.errors.Unavailable`; then it is not known whether it ran."""

    def drop(self) -> None:
        """Make the connection anew: something is wrong with it."""


_Waiting: TypeAlias = list[tuple[bytes, "Deferred[bytes]"]]


class Batch:
    """Collects questions for one script, and hands out its answers.

    :param head: the arguments that come before the questions.
    """

    def __init__(self, link: Link, script: str, head: Callable[[], tuple[bytes, ...]], clock: IReactorTime) -> None:
        self._link = link
        self._script = script
        self._head = head
        self._clock = clock
        self._waiting: _Waiting = []
        self._is_asking = False
        self.unanswered = 0
        """How many questions are on their way, or about to be."""

    def ask(self, question: bytes) -> Deferred[bytes]:
        """Ask. Fires with the script's answer; ``b""`` if it has none for any question.

        :raises callnet.errors.Unavailable: there was no answer; whether the question was looked at is not known.
        """
        answer: Deferred[bytes] = Deferred()
        if not self._is_asking:
            self._is_asking = True
            self._clock.callLater(0, self._send)
        self._waiting.append((question, answer))
        self.unanswered += 1
        return answer

    def _send(self) -> None:
        asked, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        answers = self._link.run(self._script, *self._head(), *[question for question, _ in asked])
        answers.addCallbacks(self._answered, self._failed, callbackArgs=(asked,), errbackArgs=(asked,))

    def _answered(self, answers: list[bytes], asked: _Waiting) -> None:
        self.unanswered -= len(asked)
        for index, (_, waiting) in enumerate(asked):
            waiting.callback(answers[index] if answers else b"")
        self._go_on()

    def _failed(self, failure: Failure, asked: _Waiting) -> None:
        self.unanswered -= len(asked)
        for _, waiting in asked:
            waiting.errback(failure)
        self._go_on()

    def _go_on(self) -> None:
        if self._waiting:
            self._send()
        else:
            self._is_asking = False
