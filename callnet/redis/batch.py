"""Batches: the requests of one turn of the reactor go to Redis in one command.

What is asked while a command is on its way waits for its answer, and goes together then. So the more there is to ask,
the more goes in one command, whose price is mostly its own; and where there is little, nothing waits. Equal questions
that wait are asked once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

_MOST: Final = 64
"""Questions in one command: Redis does nothing else while it answers one."""
SIZE_MAX: Final = 128
"""The sizes of the questions in one command, if there is more than one question."""


class Link(Protocol):
    """The connection over which this node sends commands."""

    @property
    def up(self) -> bool:
        """True if there is a connection."""

    def start(self) -> None:
        """Begin to connect."""

    def stop(self) -> Deferred[None]:
        """End."""

    def run(self, script: str, *args: bytes) -> Deferred[Any]:
        """Run a script. Fails with :class:`callnet.errors.Unavailable`; then it is not known whether it ran."""

    def drop(self) -> None:
        """Reopen the connection: something is wrong with it."""


A = TypeVar("A")
_Question: TypeAlias = tuple[Sequence[bytes], int, "list[Deferred[A | None]]"]
"""The words of the question, its size, and who wait for its answer."""


class Batch(Generic[A]):
    """Collects questions for one script, and hands out its answers.

    :param head: the arguments that come before the questions.
    :param decode: makes an answer of what the script says. If it has none for any question all are answered ``None``.
    :param merges: whether a question that waits already is asked once for all who ask it; then it is one word.
    """

    def __init__(
        self,
        link: Link,
        script: str,
        head: Callable[[], tuple[bytes, ...]],
        clock: IReactorTime,
        decode: Callable[[bytes], A],
        merges: bool = False,
    ) -> None:
        self._link = link
        self._script = script
        self._head = head
        self._clock = clock
        self._decode = decode
        self._merges = merges
        self._waiting: list[_Question[A]] = []
        self._same: dict[bytes, list[Deferred[A | None]]] = {}
        """The callers that wait for the answer to each question, if this merges."""
        self._is_asking = False
        self.unanswered = 0
        """The number of askers that wait for an answer."""

    def ask(self, words: Sequence[bytes], size: int = 1) -> Deferred[A | None]:
        """Ask. Fires with the script's answer.

        :param words: the arguments of the script that are the question.
        :param size: how much it asks for: :data:`SIZE_MAX` limits what one command asks for.
        :raises callnet.errors.Unavailable: there was no answer; whether the question was looked at is not known.
        """
        answer: Deferred[A | None] = Deferred()
        if self._merges and words[0] in self._same:
            self._same[words[0]].append(answer)
        else:
            waiting = [answer]
            self._waiting.append((words, size, waiting))
            if self._merges:
                self._same[words[0]] = waiting
        self.unanswered += 1
        if not self._is_asking:
            self._is_asking = True
            self._clock.callLater(0, self._send)
        return answer

    def _send(self) -> None:
        count = sizes = 0
        for _, size, _ in self._waiting[:_MOST]:
            sizes += size
            if count and sizes > SIZE_MAX:
                break
            count += 1
        asked, self._waiting = self._waiting[:count], self._waiting[count:]
        command = [*self._head()]
        for words, _, _ in asked:
            self._same.pop(words[0], None)
            command += words
        self._link.run(self._script, *command).addBoth(self._answered, asked)

    def _answered(self, answers: list[bytes] | Failure, asked: list[_Question[A]]) -> None:
        for index, (_, _, all_waiting) in enumerate(asked):
            self.unanswered -= len(all_waiting)
            answer: A | Failure | None = None
            if isinstance(answers, Failure):
                answer = answers
            elif answers:
                try:
                    answer = self._decode(answers[index])
                except Exception:  # noqa: BLE001  one answer that cannot be read must not cost the others theirs
                    answer = Failure()
            for waiting in all_waiting:
                waiting.callback(answer)
        if self._waiting:
            self._send()
        else:
            self._is_asking = False
