"""The shared store, the bus and the ended calls of several nodes, over Redis."""

from __future__ import annotations

import secrets
from collections.abc import Collection, Iterable, Sequence
from itertools import chain
from typing import Any, Final, cast

from msgspec import MsgspecError
from twisted.internet.defer import Deferred, execute, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from callnet.calls.events import Event
from callnet.calls.ports import (
    EVERY_NODE,
    OVERTAKEN,
    PHONES_AT_ONCE,
    BusMessage,
    Commit,
    Ended,
    ICallStore,
    IEndedCalls,
    IPresence,
)
from callnet.calls.records import CallRecord, Changes, DeviceRecord, Displaced, Notice, Over, Records, SeatNotice
from callnet.config.schema import CallSettings
from callnet.errors import Unavailable
from callnet.model import DeviceAddress, RoomId
from callnet.ops.admin_api import NodeShown
from callnet.redis import commands
from callnet.redis.codec import decode_messages, encode_changes
from callnet.redis.connection import RedisLink, RedisSubscription
from callnet.redis.limits import SharedLimits
from callnet.redis.local_cache import LocalCache
from callnet.redis.node import NodeLifecycle, channel_of
from callnet.redis.url import RedisTarget
from callnet.store.cluster_handle import ClusterHandle
from callnet.store.ended import KEPT_MAX, Dropped, EndedHere
from callnet.store.memory import MemoryBus
from callnet.store.tables import Record, seen_online
from callnet.util.deferreds import as_deferred, logged_unless_unavailable
from callnet.util.histogram import Histogram
from callnet.util.logger import Logger

log = Logger()
_log_unless_unavailable = logged_unless_unavailable(log, "failed to publish to other nodes")

NAME_BYTES: Final = 5
"""The length of a node's random name: no two of thousands are equal. It is in the record of each of its devices, and
records longer than 64 bytes take nearly twice the memory in Redis."""
_NOTHING_KNOWN: Final = Records({}, {}, {})


class SharedBus(MemoryBus):
    """Carries messages over Redis to other nodes, and directly within this one."""

    def __init__(self, cache: LocalCache) -> None:
        super().__init__()
        self._cache = cache
        self._lifecycle: NodeLifecycle | None = None

    def go_by(self, member: NodeLifecycle) -> None:
        """Use this member of the cluster for messages to other nodes."""
        self._lifecycle = member

    def publish(self, node: str, message: BusMessage) -> None:
        """See :meth:`callnet.calls.ports.IBus.publish`."""
        is_here = self._cache.is_here(node)
        if is_here or node == EVERY_NODE:
            self.deliver(message)
        if not is_here and self._lifecycle is not None and self._lifecycle.joined:
            self._lifecycle.commands.publish(node, message).addErrback(_log_unless_unavailable)

    def received(self, payload: bytes) -> None:
        """Handle messages of another node."""
        try:
            messages = decode_messages(payload)
        except MsgspecError:
            log.warn("undecodable message from another node; resyncing from Redis")
            if self._lifecycle is not None:
                self._lifecycle.has_missed_something()
            return
        member = self._lifecycle
        apart = None if member is None or member.joined else member
        for message in messages:
            if self._cache.know_better(message) or (apart is not None and apart.reads_again(message)):
                continue
            # A displaced device may have unannounced changes here, above all calls.
            if apart is None or not isinstance(message, Displaced):
                self._cache.hear(message)
            self.deliver(message)
        for notice in self._cache.messages_of_pages():
            self.deliver(notice)


@implementer(ICallStore, IPresence)
class SharedCallStore:
    """Records in Redis, and local copies of this node's ones."""

    def __init__(self, member: NodeLifecycle, cache: LocalCache, bus: SharedBus) -> None:
        self.now: Final = member.time.now
        """See :meth:`callnet.calls.ports.ICallStore.now`."""
        self.date_of: Final = float
        """See :meth:`callnet.calls.ports.ICallStore.date_of`. Redis' clock shows the date."""
        self.ended: Final = EndedHere(self.date_of)
        """Ended calls that may be forgotten before the shared store has them."""
        self.failed: Final = self.ended.add
        """See :meth:`callnet.calls.ports.ICallStore.failed`."""
        self._lifecycle = member
        self._cache = cache
        self._bus = bus

    @property
    def node(self) -> str:
        """See :attr:`callnet.calls.ports.ICallStore.node`."""
        return self._lifecycle.node

    def view(self, event: Event, again: bool = False) -> Records | None:
        """See :meth:`callnet.calls.ports.ICallStore.view`."""
        return self._here(() if event.own else event.phones(), event.rooms(), event.fresh, event.guess and not again)

    def _here(
        self, phones: Collection[str], rooms: Collection[RoomId], fresh: bool, guess: bool = False
    ) -> Records | None:
        if self._lifecycle.joined:
            if guess and not any(phone in self._cache.records.devices for phone in phones):
                return _NOTHING_KNOWN
            return self._cache.records if not phones and not fresh and self._cache.knows(rooms) else None
        return None if self._lifecycle.is_joining else self._cache.alone

    def read(self, phones: Collection[str], rooms: Collection[RoomId], fresh: bool = False) -> Deferred[Records]:
        """See :meth:`callnet.calls.ports.ICallStore.read`."""
        records = self._here(phones, rooms, fresh)
        if records is not None:
            return succeed(records)
        if self._lifecycle.joined:
            return self._lifecycle.commands.read(phones, rooms).addCallback(self._seen, phones, rooms)
        return Deferred.fromCoroutine(self._read_when_joined(phones, rooms))

    async def _read_when_joined(self, phones: Collection[str], rooms: Collection[RoomId]) -> Records:
        """Read after this node has joined, with its devices' missed changes, or from the copies if it cannot join."""
        try:
            await self._lifecycle.when_joined()
        except Unavailable:
            if not self._lifecycle.time.is_set:
                raise
            return self._cache.alone
        return await self.read(phones, rooms, fresh=True)

    def _seen(
        self, records: Records | None, phones: Collection[str], rooms: Collection[RoomId]
    ) -> Records | Deferred[Records]:
        if records is None:
            self._lifecycle.is_unknown()
            return self.read(phones, rooms)
        for message in self._cache.see(records, phones, rooms):
            self._bus.deliver(message)
        return records

    def known(self) -> Records:
        """See :meth:`callnet.calls.ports.ICallStore.known`."""
        return self._cache.records

    def try_commit(self, changes: Changes) -> Commit | None:
        """See :meth:`callnet.calls.ports.ICallStore.try_commit`."""
        return None if self._lifecycle.joined else self._commit_apart(changes)

    def commit(self, changes: Changes) -> Deferred[Commit]:
        """See :meth:`callnet.calls.ports.ICallStore.commit`."""
        if self._lifecycle.joined:
            committing: Deferred[Any] = self._lifecycle.commands.commits.ask(encode_changes(changes))
            return committing.addCallback(self._answered, changes)
        return execute(self._commit_apart, changes)

    def _answered(self, answer: bytes | None, changes: Changes) -> Commit:
        if answer is None or not answer.startswith(b"+"):
            if answer is None or answer == b"stale":
                self._lifecycle.is_unknown()
            self._cache.distrust(changes)
            return OVERTAKEN
        self._cache.apply(changes)
        here: list[BusMessage] = []
        unreached = []
        for told, notice in zip(answer[1:].decode(), changes.notices, strict=True):
            if told == "l":
                here.append(notice)
            elif told == "0" and isinstance(notice, Notice):
                unreached.append(notice.to)
        if self._cache.changed:
            here += self._cache.messages_of_pages()
        return Commit(True, here, tuple(unreached))

    def _commit_apart(self, changes: Changes) -> Commit:
        if self._lifecycle.is_joining:
            return OVERTAKEN  # the records may have changed; reading them again waits until that is known
        if not self._cache.holds(changes):
            return OVERTAKEN
        records: list[Record] = [*changes.devices, *changes.calls, *changes.seats]
        if not all(map(self._cache.is_ours, records)):
            raise Unavailable("state on other nodes unavailable: Redis is down")
        here = [notice for notice in changes.notices if self._is_here(notice, changes.devices)]
        self._lifecycle.commit_alone(changes)
        for call in changes.calls:
            if isinstance(call.state, Over):
                self.ended.add(cast("CallRecord[Over]", call))
        return Commit(True, [*here, *self._cache.messages_of_pages()])

    def _is_here(self, notice: Notice | SeatNotice | Displaced, changed: Iterable[DeviceRecord]) -> bool:
        if isinstance(notice, Notice):
            return self._cache.is_put_in(notice.to, notice.call.room, changed)
        if isinstance(notice, Displaced):
            return self._cache.is_here(notice.node)
        return any(seat.key == notice.key and self._cache.is_here(seat.node) for seat in notice.seats.taken)

    def due(self, now: float) -> Deferred[Iterable[Record]]:
        """See :meth:`callnet.calls.ports.ICallStore.due`."""
        return succeed(chain(self._cache.due(now), self._lifecycle.take_swept()))

    @as_deferred
    async def online(self, addresses: Collection[DeviceAddress], asker: str | None = None) -> frozenset[DeviceAddress]:
        """See :meth:`callnet.calls.ports.IPresence.online`."""
        by_phone: dict[str, list[DeviceAddress]] = {}
        for address in addresses:
            by_phone.setdefault(address.phone, []).append(address)
        phones, found = list(by_phone), set[DeviceAddress]()
        # One part after the other, so that other queries run in between.
        for start in range(0, len(phones), PHONES_AT_ONCE):
            part = phones[start : start + PHONES_AT_ONCE]
            records = await self.read(part, ())
            of_part = [address for phone in part for address in by_phone[phone]]
            found |= seen_online(records, of_part, asker, self.date_of(self.now()))
        return frozenset(found)


@implementer(IEndedCalls)
class EndedAnywhere:
    """The ended calls of all nodes, in Redis, and the rest of this node."""

    def __init__(self, member: NodeLifecycle, here: EndedHere) -> None:
        self._lifecycle = member
        self._here = here
        self._dropped = Dropped()

    @property
    def dropped(self) -> int:
        """See :attr:`IEndedCalls.dropped`. A call that Redis drops is counted by the node whose command dropped it."""
        return self._here.dropped + self._dropped.count

    @as_deferred
    async def take(self, most: int) -> Sequence[Ended]:
        """See :meth:`IEndedCalls.take`."""
        here = await self._here.take(most)
        if not self._lifecycle.joined or len(here) == most:
            return here
        try:
            dropped, elsewhere = await self._lifecycle.commands.take_ended(most - len(here), KEPT_MAX)
        except Unavailable:
            return here
        if dropped or len(here) + len(elsewhere) == most:
            self._dropped.add(dropped)
        else:
            self._dropped.none_wait()
        return [*here, *elsewhere]

    @as_deferred
    async def done(self, ended: Sequence[Ended]) -> None:
        """See :meth:`IEndedCalls.done`."""
        await self._here.done(ended)
        keys = [one.key for one in ended if one.key]
        if keys:
            await self._lifecycle.commands.done_with(keys)


def open_shared(target: RedisTarget, prefix: str, clock: IReactorTime, settings: CallSettings) -> ClusterHandle:
    """Make the store and the bus of a node with a name of its own. It connects when it joins."""
    name: Final = secrets.token_hex(NAME_BYTES)
    cache = LocalCache(name)
    bus, round_trips = SharedBus(cache), Histogram()
    member = NodeLifecycle(
        lambda connected, lost: RedisLink(target, clock, commands.load_scripts(), connected, lost, round_trips),
        lambda subscribed, lost: RedisSubscription(
            target, clock, bus.received, subscribed, lost, channel_of(prefix, EVERY_NODE)
        ),
        prefix,
        cache,
        clock,
        settings,
        bus.deliver,
        name,
    )
    bus.go_by(member)
    store = SharedCallStore(member, cache, bus)
    ended = EndedAnywhere(member, store.ended)
    limits = SharedLimits(member, clock)

    def start() -> None:
        member.start()
        limits.start()

    def stop() -> Deferred[None]:
        limits.stop()
        return Deferred.fromCoroutine(member.stop())

    def nodes() -> Deferred[Sequence[NodeShown]]:
        return member.commands.nodes().addCallback(
            lambda seen: [NodeShown(node.name, cache.is_here(node.name), node.lease, node.holds) for node in seen]
        )

    return ClusterHandle(
        store, store, bus, ended, limits, limits.share, start, stop, member.on_loss, member.why_away, nodes, round_trips
    )
