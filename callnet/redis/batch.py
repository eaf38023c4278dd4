"""Many small queries in one command: queries of one turn of the reactor go to Redis together.

Queries made while a command is under way wait for its answer, and go together then. So the more queries there are, the
more go in one command, which costs little more than one query; and with few queries nothing waits. Equal waiting
queries are sent once.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, Generic, Protocol, TypeAlias, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

_MOST: Final = 64
"""The maximum number of queries in one command: Redis does nothing else while it runs one."""
SIZE_MAX: Final = 128
"""The maximum total size of the queries in one command, if there are several."""


class Link(Protocol):
    """The connection for commands, as a batch needs it."""

    @property
    def up(self) -> bool:
        """True while there is a connection."""

    def start(self) -> None:
        """Begin to connect."""

    def stop(self) -> Deferred[None]:
        """End the connection."""

    def run(self, script: str, *args: bytes) -> Deferred[Any]:
        """Run a script. Fails with :class:`callnet.errors.Unavailable` if it is unknown whether it ran."""

    def drop(self) -> None:
        """Replace the connection after a failure."""


A = TypeVar("A")
_Question: TypeAlias = tuple[Sequence[bytes], int, "list[Deferred[A | None]]"]
"""The words of the query, its size, and the Deferreds that wait for its answer."""


class Batch(Generic[A]):
    """Collects queries for one script, and distributes its answers.

    :param head: the arguments before the queries.
    :param decode: decodes the answer to one query. If the script has no answers all queries get ``None``.
    :param merges: true to send equal waiting queries once; a query is one word then.
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
        """The Deferreds that wait for each query, if equal ones are merged."""
        self._is_asking = False
        self.unanswered = 0
        """The number of queries without an answer."""

    def ask(self, words: Sequence[bytes], size: int = 1) -> Deferred[A | None]:
        """Send a query. Fires with the script's answer.

        :param words: the arguments of the script for this query.
        :param size: its size: :data:`SIZE_MAX` limits the sum in one command.
        :raises callnet.errors.Unavailable: there was no answer; it is unknown whether the query was processed.
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
                except Exception:  # noqa: BLE001  an undecodable answer must not affect the others
                    answer = Failure()
            for waiting in all_waiting:
                waiting.callback(answer)
        if self._waiting:
            self._send()
        else:
            self._is_asking = False
