"""A store that takes its time, fails, and lets others be faster: a real store behind a slow wire."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection, Iterable
from typing import Final, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred
from zope.interface import implementer

from callnet.calls.events import Event
from callnet.calls.ports import Commit, IBus, ICallStore
from callnet.calls.records import CallRecord, Changes, DeviceRecord, Over, Records, SeatsRecord
from callnet.errors import Unavailable
from callnet.model import RoomId

T = TypeVar("T")


@implementer(ICallStore)
class LateCallStore:
    """Hands each command to a store of this process on the next turn, and answers it on the one after.

    ``next_turn`` takes what is to be done then. So what a commit publishes is there before the commit is
    answered, as with a store on another machine.
    """

    def __init__(self, store: ICallStore, bus: IBus, next_turn: Callable[[Callable[[], object]], object]) -> None:
        self._store: Final = store
        self._bus = bus
        self._next_turn = next_turn
        self.before_commit: deque[Callable[[], object]] = deque()
        """Actions just before the next commits, one for each."""
        self.lost_commands: deque[bool] = deque()
        """For each of the next commands, whether it is lost on its way."""
        self.lost_answers: deque[bool] = deque()
        """For each of the next commands that came through, whether its answer is lost."""
        self.is_away = False
        """True if every command is lost."""

    @property
    def node(self) -> str:
        """See :attr:`callnet.calls.ports.ICallStore.node`."""
        return self._store.node

    def now(self) -> float:
        """See :meth:`callnet.calls.ports.ICallStore.now`."""
        return self._store.now()

    def date_of(self, moment: float) -> float:
        """See :meth:`callnet.calls.ports.ICallStore.date_of`."""
        return self._store.date_of(moment)

    def view(self, event: Event, again: bool = False) -> None:
        """Nothing is here."""

    def read(self, phones: Collection[str], rooms: Collection[RoomId], fresh: bool = False) -> Deferred[Records]:
        """See :meth:`callnet.calls.ports.ICallStore.read`."""

        async def read() -> Records:
            records = await self._store.read(phones, rooms, fresh)
            devices = {phone: dict(of_phone) for phone, of_phone in records.devices.items()}
            calls, seats, aliases = dict(records.calls), dict(records.seats), dict(records.aliases)
            return Records(devices, calls, seats, records.complete, records.policies, aliases)

        return self._late(lambda: Deferred.fromCoroutine(read()))

    def known(self) -> Records:
        """See :meth:`callnet.calls.ports.ICallStore.known`."""
        return self._store.known()

    def try_commit(self, changes: Changes) -> None:
        """Nothing is done here."""

    def commit(self, changes: Changes) -> Deferred[Commit]:
        """See :meth:`callnet.calls.ports.ICallStore.commit`."""

        async def commit() -> Commit:
            if self.before_commit:
                self.before_commit.popleft()()
            commit = await self._store.commit(changes)
            for message in commit.here:
                self._bus.publish(self.node, message)
            return Commit(commit.held, unreached=commit.unreached)

        return self._late(lambda: Deferred.fromCoroutine(commit()))

    def failed(self, call: CallRecord[Over]) -> None:
        """See :meth:`callnet.calls.ports.ICallStore.failed`."""
        self._store.failed(call)

    def due(self, now: float) -> Deferred[Iterable[DeviceRecord | CallRecord | SeatsRecord]]:
        """See :meth:`callnet.calls.ports.ICallStore.due`."""
        return self._late(lambda: self._store.due(now))

    def _late(self, command: Callable[[], Deferred[T]]) -> Deferred[T]:
        answer: Deferred[T] = Deferred()
        self._next_turn(lambda: self._do(command, answer))
        return answer

    def _do(self, command: Callable[[], Deferred[T]], answer: Deferred[T]) -> None:
        if self.is_away or (self.lost_commands and self.lost_commands.popleft()):
            self._next_turn(lambda: answer.errback(Unavailable("the store is away")))
            return
        done = maybeDeferred(command)
        if self.lost_answers and self.lost_answers.popleft():
            self._next_turn(lambda: answer.errback(Unavailable("the store did not answer")))
            return
        done.addCallbacks(
            lambda result: self._next_turn(lambda: answer.callback(result)),
            lambda failure: self._next_turn(lambda: answer.errback(failure)),
        )
