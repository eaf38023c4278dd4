"""One node as a member of the cluster: it registers, renews its lease, and reconnects.

========  ==============================================  ==========================================
state     meaning                                         left when
========  ==============================================  ==========================================
away      Redis cannot be reached                         a connection is made: joining
joining   the records of this node are being announced;   all is announced: joined; the connection
          heartbeats are sent, since this may take        is lost: away
          longer than a lease
joined    the shared store is in use; heartbeats are      the connection is lost: away; this node is
          sent                                            not known there any more: joining
========  ==============================================  ==========================================

The shared store decides only while the node is joined. Otherwise the node goes on with its cache, and collects changes
to announce.

The announcer reconciles the records of this node with the shared store after they were apart.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from itertools import chain, islice
from math import inf
from typing import Final, Protocol

from msgspec.structs import replace
from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from callnet.calls.ports import BusMessage
from callnet.calls.reconcile import LocalState, announce
from callnet.calls.records import NOTHING, CallRecord, Changes, DeviceRecord, Notice, Records, SeatNotice
from callnet.calls.transaction import everyone
from callnet.config.schema import CallSettings
from callnet.errors import Unavailable, root_cause
from callnet.model import DeviceAddress, RoomId, log_name
from callnet.redis.codec import encode_changes
from callnet.redis.commands import SWEPT_AT_ONCE, Link, RedisCommands, SharedClock
from callnet.redis.local_cache import LocalCache
from callnet.store.tables import Record
from callnet.util.logger import Logger
from callnet.util.timers import pause

_AT_ONCE: Final = 50
"""Devices in one commit."""
_COMPARED_AT_ONCE: Final = 500
_TRIES: Final = 20
_IN_DOUBT: Final = 10.0
"""Seconds after the last contact with the shared store in which it may have heard of new calls."""


log = Logger()


class Announcer:
    """Collects this node's changes without the shared store, and announces them.

    :param deliver: takes the messages for the devices and pages of this node.
    """

    def __init__(
        self,
        cache: LocalCache,
        commands: RedisCommands,
        time: SharedClock,
        settings: CallSettings,
        deliver: Callable[[BusMessage], None],
    ) -> None:
        self._cache = cache
        self._commands = commands
        self._time = time
        self._settings = settings
        self._deliver = deliver
        self._devices: dict[DeviceAddress, None] = {}
        self._rooms: dict[RoomId, None] = {}
        self._in_turn: Sequence[RoomId] = ()
        """The rooms that are being announced just now."""
        self._one_by_one = 0
        """The number of devices and rooms to announce one at a time."""
        self._apart_since = inf

    # The changes to announce

    def commit_alone(self, changes: Changes, apart_since: float) -> None:
        """Apply changes unknown to the shared store.

        :param apart_since: the store and this node were in touch until then. Ends of earlier calls are kept until they
            are announced, or others would believe the store that these calls go on.
        """
        known = apart_since + _IN_DOUBT
        calls = [replace(call, due=None) if call.end and call.placed_at < known else call for call in changes.calls]
        self._cache.apply(replace(changes, calls=calls))
        of_phones = (self._cache.records.devices.get(phone, {}).values() for phone in changes.policies)
        changed = (*changes.devices, *chain.from_iterable(of_phones))
        self._devices.update((device.address, None) for device in changed)
        rooms = (record for record in changes.forgotten if not isinstance(record, DeviceRecord))
        self._rooms.update((record.room, None) for record in (*changes.calls, *changes.seats, *rooms))

    def add_all(self) -> None:
        """Announce every record of this node."""
        self._devices.update((device.address, None) for device in self._cache.devices())
        self._rooms.update((room, None) for room in self._cache.rooms())

    @property
    def is_done(self) -> bool:
        """True if there is nothing left to announce."""
        return not (self._devices or self._rooms)

    def reads_again(self, message: BusMessage) -> bool:
        """Return whether a message is about a room with unannounced changes: they are merged with what is read then."""
        if not isinstance(message, Notice | SeatNotice):
            return False
        room = message.call.room if isinstance(message, Notice) else message.seats.room
        return room in self._rooms or room in self._in_turn

    async def announce_some(self, node: str, apart_since: float) -> None:
        """Announce a part of the rest under the given node name, and tell this node's sessions of the news in the
        store.

        :param apart_since: the time from which this node lacks the changes of others.
        :raises Unavailable: the shared store did not answer; it may be announced again.
        """
        is_single = self._one_by_one > 0
        devices, rooms = self._take(is_single)
        self._apart_since = apart_since
        self._in_turn = rooms
        try:
            is_done = await self._announce(node, devices, rooms)
        except BaseException:
            self._put_back(devices, rooms)
            raise
        finally:
            self._in_turn = ()
        self._one_by_one = max(0, self._one_by_one - 1)
        if is_done:
            return
        if is_single:
            self._log_failure(devices, rooms)
        else:  # that shall not keep the rest of it away
            self._put_back(devices, rooms)
            self._one_by_one = len(devices) + len(rooms)

    @staticmethod
    def _log_failure(devices: Sequence[DeviceAddress], rooms: Sequence[RoomId]) -> None:
        """Log whether it was a device, and the names of the calls."""
        calls = f"call {', '.join(map(log_name, rooms))}" if rooms else ""
        what = " in ".join(filter(None, ("a device" if devices else "", calls)))
        log.error("gave up re-publishing {what} to Redis after {tries} conflicts", what=what, tries=_TRIES)

    def _put_back(self, devices: Iterable[DeviceAddress], rooms: Iterable[RoomId]) -> None:
        self._devices = dict.fromkeys(devices) | self._devices
        self._rooms = dict.fromkeys(rooms) | self._rooms

    def _take(self, one_by_one: bool) -> tuple[list[DeviceAddress], list[RoomId]]:
        """Some devices with their rooms, and other rooms; or one device with its rooms, or one other room."""
        most = 1 if one_by_one else _AT_ONCE
        devices = list(islice(self._devices, most))
        rooms = dict.fromkeys(() if one_by_one and devices else islice(self._rooms, most))
        for address in devices:
            del self._devices[address]
            device = self._cache.records.device(address)
            rooms.update(dict.fromkeys(() if device is None else device.rooms))
        for room in rooms:
            self._rooms.pop(room, None)
        return devices, list(rooms)

    async def _announce(self, node: str, devices: Collection[DeviceAddress], rooms: Collection[RoomId]) -> bool:
        """Announce these records, and return whether it was possible."""
        for _ in range(_TRIES):
            mine = self._mine(node, devices, rooms)
            phones = mine.phones()
            records = await self._commands.read(phones, mine.rooms())
            if records is None:
                raise Unavailable("Redis no longer knows this node")
            changes = announce(records, mine, node, self._time.now(), self._settings)
            answer = b"+"
            if changes is not NOTHING:
                answer = await self._commands.commits.ask(encode_changes(changes, records)) or b""
            if answer.startswith(b"+"):
                now = _with(records, changes)
                for call in mine.calls:
                    believed = now.calls.get(call.room)
                    if believed is not None and believed.age < call.age:
                        self._cache.drop_room(call.room)  # it has ended here alone, and goes on
                self._adopt(now, phones, mine.rooms())
                for told, notice in zip(answer[1:].decode(), changes.notices, strict=True):
                    if told == "l":
                        self._deliver(notice)
                return True
        return False

    def _mine(self, node: str, devices: Iterable[DeviceAddress], rooms: Iterable[RoomId]) -> LocalState:
        known = self._cache.records
        seats = [record for record in map(known.seats.get, rooms) if record is not None]
        sat_in = {seat.node for record in seats for seat in record.taken}
        calls = [call for call in map(known.calls.get, rooms) if call is not None]
        concerned = dict.fromkeys((*devices, *(address for call in calls for address in everyone(call))))
        held = [device for device in map(known.device, concerned) if device is not None]
        named = {room: None for device in held for room in device.rooms}
        beside = [known.calls[room] for room in named if room in known.calls and room not in rooms]
        names = {node, *filter(self._cache.is_here, sat_in)}
        policies = {device.address.phone: known.policy_of(device) for device in held}
        return LocalState(names, held, calls, seats, beside, self._apart_since, policies)

    # Changes that this node lacks

    async def compare(self) -> bool:
        """Fetch missed changes, and tell this node's sessions. Return whether this node is still known.

        :raises Unavailable: the shared store did not answer.
        """
        devices, rooms = self._cache.devices(), self._cache.rooms()
        for start in range(0, max(len(devices), len(rooms)), _COMPARED_AT_ONCE):
            part = slice(start, start + _COMPARED_AT_ONCE)
            found = await self._commands.compare(devices[part], rooms[part], self._cache.records)
            if found is None:
                return False
            self._adopt(found.records, found.phones, found.rooms)
        return True

    def _adopt(self, records: Records, phones: Collection[str], rooms: Collection[RoomId]) -> None:
        """Apply read or announced records, and tell this node's sessions of changes.

        Records with unannounced changes of this node are kept.
        """
        changed = {address.phone for address in self._devices}
        phones = [phone for phone in phones if phone not in changed]
        calls = {room: call for room, call in records.calls.items() if room not in self._rooms}
        seats = {room: record for room, record in records.seats.items() if room not in self._rooms}
        records = replace(records, calls=calls, seats=seats)
        for message in self._cache.see(records, phones, [room for room in rooms if room not in self._rooms]):
            self._deliver(message)


def _with(records: Records, changes: Changes) -> Records:
    """The records after the changes."""
    devices = {phone: dict(of_phone) for phone, of_phone in records.devices.items()}
    for device in changes.devices:
        devices.setdefault(device.address.phone, {})[device.address.device_id] = device
    calls = {**records.calls, **{call.room: call for call in changes.calls}}
    seats = {**records.seats, **{record.room: record for record in changes.seats}}
    for gone in changes.forgotten:
        if isinstance(gone, DeviceRecord):
            devices[gone.address.phone].pop(gone.address.device_id, None)
        elif isinstance(gone, CallRecord):
            calls.pop(gone.room, None)
        else:
            seats.pop(gone.room, None)
    return Records(devices, calls, seats, records.complete, {**records.policies, **changes.policies})


BEAT_EVERY: Final = 1.0
"""Seconds between two heartbeats; a node is dead after three without any (scripts/common.lua)."""
SETTLING: Final = 1.5
"""Seconds for which a node that has just come back does not process orphaned records: their nodes may have been away as
well, and are about to announce theirs."""
_JOIN_TIME: Final = 2.0
"""Seconds to wait for a subscription, or until this node has joined."""


class Subscription(Protocol):
    """The connection for messages to this node, as a member needs it."""

    def start(self) -> None:
        """Connect, unless that was done before."""

    def follow(self, channel: str) -> None:
        """Subscribe to this channel alone."""

    def stop(self) -> Deferred[None]:
        """End the subscription."""


class NodeLifecycle:
    """A node of the cluster.

    :param make_link: makes the connection for commands, from callbacks for its start, with Redis' run id, and for its
        loss.
    :param make_subscription: makes the other one, from callbacks for the start and the loss of the subscription.
    :param deliver: takes the messages for the devices and pages of this node.
    """

    def __init__(
        self,
        make_link: Callable[[Callable[[str], None], Callable[[], None]], Link],
        make_subscription: Callable[[Callable[[], None], Callable[[], None]], Subscription],
        prefix: str,
        cache: LocalCache,
        clock: IReactorTime,
        settings: CallSettings,
        deliver: Callable[[BusMessage], None],
        name: str,
    ) -> None:
        self._link = make_link(self._connected, self._lost)
        self._subscription = make_subscription(self._subscribed, self._unsubscribed)
        self._prefix = prefix
        self._clock = clock
        self._name = name
        self._epoch = 0
        self.time: Final = SharedClock(clock)
        self.commands: Final = RedisCommands(self._link, prefix, f"{name}.0", clock, self.time)
        self._announcer = Announcer(cache, self.commands, self.time, settings, deliver)
        self.joined = False
        """True if the shared store can be queried."""
        self._is_introduced = False
        """True if the shared store knows this node, which must then renew its lease."""
        self._run: str | None = None
        self._known_run: str | None = None
        self._memory: bytes | None = None
        """See :meth:`RedisCommands.hello`."""
        self._loss_receivers: list[Callable[[], None]] = []
        self._attempt = 0
        self._joining_since = 0.0
        self._joined_at = self._in_touch_at = 0.0
        self._listens_to: str | None = None
        self._waiting_to_listen: Deferred[None] | None = None
        self._waiting_to_join: list[Deferred[None]] = []
        self._swept: list[Record] = []
        self._beat: IDelayedCall | None = None

    @property
    def node(self) -> str:
        """The current name of this node."""
        return self.commands.node

    def start(self) -> None:
        """Begin to join."""
        self._link.start()
        self._beat = self._clock.callLater(BEAT_EVERY, self._beat_now)

    def on_loss(self, lost: Callable[[], None]) -> None:
        """Have ``lost`` called each time that this node joins again, and the store has lost records meanwhile."""
        self._loss_receivers.append(lost)

    def why_away(self) -> str | None:
        """The reason why other nodes cannot be reached, if they cannot."""
        if not self._link.up:
            return "Redis cannot be reached"
        if not self.joined:
            return "joining the cluster"
        return None if self._listens_to is not None else "the subscription to Redis was lost"

    async def stop(self) -> None:
        """Wait for open commands, and leave."""
        if self._beat is not None:
            self._beat.cancel()
            self._beat = None
        try:
            await self._idle()
            if self.joined:
                await self.commands.leave()
        except Unavailable:
            pass  # the others will notice
        self.joined = self._is_introduced = False
        self._attempt += 1
        await self._subscription.stop()
        await self._link.stop()

    async def _idle(self) -> None:
        while self._link.up and self.commands.unanswered:
            await pause(self._clock, 0.01)

    @property
    def is_joining(self) -> bool:
        """True if this node may join soon, so that waiting is worthwhile."""
        if self.joined or not self.time.is_set:
            return not self.joined
        return self._link.up and self._clock.seconds() - self._joining_since < _JOIN_TIME

    def when_joined(self) -> Deferred[None]:
        """Fires when this node has joined; fails with ``Unavailable`` if it does not."""
        joined: Deferred[None] = Deferred()
        self._waiting_to_join.append(joined)
        return self._in_time(joined)

    def _in_time(self, waiting: Deferred[None]) -> Deferred[None]:
        def too_late(failure: Failure) -> None:
            failure.trap(defer.TimeoutError)
            raise Unavailable("Redis does not answer")

        return waiting.addTimeout(_JOIN_TIME, self._clock).addErrback(too_late)

    def commit_alone(self, changes: Changes) -> None:
        """Apply changes unknown to the shared store, and announce them later."""
        self._announcer.commit_alone(changes, self._in_touch_at)

    def reads_again(self, message: BusMessage) -> bool:
        """Return whether this node must not go by a message of another one, since it is about to announce more."""
        return self._announcer.reads_again(message)

    # Joining

    def is_unknown(self) -> None:
        """Handle that the shared store no longer knows this node."""
        if self.joined:
            self._join_again()

    def _connected(self, run: str) -> None:
        self._run = run
        self._join_again()

    def _lost(self) -> None:
        self._attempt += 1
        self.joined = self._is_introduced = False
        for joined in self._take_waiting():
            joined.errback(Unavailable("Redis cannot be reached"))

    def _take_waiting(self) -> list[Deferred[None]]:
        waiting, self._waiting_to_join = self._waiting_to_join, []
        return [joined for joined in waiting if not joined.called]

    def _join_again(self) -> None:
        self._attempt += 1
        self.joined = self._is_introduced = False
        self._joining_since = self._clock.seconds()
        joining = Deferred.fromCoroutine(self._join(self._attempt))
        joining.addErrback(self._cannot_join, self._attempt)

    def _cannot_join(self, failure: Failure, attempt: int) -> None:
        if not failure.check(Unavailable):
            log.failure("failed to join the cluster", failure)
        if attempt == self._attempt:
            self._link.give_up(root_cause(failure.value or failure))

    async def _join(self, attempt: int) -> None:
        run = self._run
        if run is None:
            return
        new = f"{self._name}.{self._epoch + 1}"
        keeps, memory = await self.commands.hello(self.node, new, run, run == self._known_run)
        if attempt != self._attempt:
            return
        self._known_run = run
        if not keeps:
            self._epoch += 1
            self.commands.node = new
            self._announcer.add_all()
        self._is_introduced = True
        await self._listen()
        while attempt == self._attempt and not self._announcer.is_done:
            await self._announcer.announce_some(self.node, self._in_touch_at)
        if attempt != self._attempt:
            return
        self.joined = True
        self._joined_at = self._in_touch_at = self.time.now()
        for joined in self._take_waiting():
            joined.callback(None)
        before, self._memory = self._memory, memory
        if before not in (None, memory):
            for lost in self._loss_receivers:
                lost()
        await self._compare()

    async def _compare(self) -> None:
        """Fetch changes from before the subscription."""
        if not await self._announcer.compare():
            self.is_unknown()

    # Subscription

    def _channel(self) -> str:
        return channel_of(self._prefix, self.node)

    async def _listen(self) -> None:
        """Subscribe to the channel of the current name."""
        channel = self._channel()
        if self._listens_to == channel:
            return
        listening: Deferred[None] = Deferred()
        self._waiting_to_listen = listening
        self._subscription.follow(channel)
        self._subscription.start()
        await self._in_time(listening)

    def _subscribed(self) -> None:
        missed = self._listens_to is None and self.joined
        self._listens_to = self._channel()
        if self._waiting_to_listen is not None:
            listening, self._waiting_to_listen = self._waiting_to_listen, None
            if not listening.called:
                listening.callback(None)
        elif missed:
            self.has_missed_something()

    def has_missed_something(self) -> None:
        """Fetch changes after a loss of messages."""
        if self.joined:
            comparing = Deferred.fromCoroutine(self._compare())
            comparing.addErrback(self._cannot_join, self._attempt)

    def _unsubscribed(self) -> None:
        self._listens_to = None

    # The heartbeat

    def take_swept(self) -> list[Record]:
        """The orphaned records for this node to process; each is returned once."""
        swept, self._swept = self._swept, []
        if len(swept) >= SWEPT_AT_ONCE and self._beat is not None:
            self._beat.reset(0)  # there are more
        return swept

    def _beat_now(self) -> None:
        self._beat = self._clock.callLater(BEAT_EVERY, self._beat_now)
        if self._is_introduced:
            beating = Deferred.fromCoroutine(self._beat_once())
            beating.addErrback(self._cannot_join, self._attempt)

    async def _beat_once(self) -> None:
        asked_at, joined = self.time.now(), self.joined
        swept = await self.commands.beat(sweeps=joined and asked_at - self._joined_at >= SETTLING)
        if joined and swept is not None:
            self._in_touch_at = asked_at
        if swept is None:
            self.is_unknown()
        elif self.joined:
            self._swept.extend(swept)


def channel_of(prefix: str, node: str) -> str:
    """The channel of messages to a node; ``*``: to all of them."""
    return f"{prefix}node:{node}"
