"""A small world for the rules alone: records in dictionaries, devices that hear, and a clock that stands still."""

from __future__ import annotations

from math import inf
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from callnet.calls import events
from callnet.calls.preferences import ANYONE, Policy
from callnet.calls.records import (
    CallRecord,
    CallState,
    Changes,
    DeviceRecord,
    Displaced,
    Known,
    Notice,
    Records,
    SeatNotice,
    SeatsRecord,
)
from callnet.calls.registration import Attached
from callnet.calls.seats import RoomView, Seated, view
from callnet.calls.switchboard import decide
from callnet.calls.telling import answer, notification_for
from callnet.calls.transaction import KNOWN_AFTER
from callnet.calls.transitions import Rings, TooLate
from callnet.config.schema import CallSettings
from callnet.frames.base import Called, CallSuccess, Message
from callnet.model import EVERY_DEVICE, Accepted, DeviceAddress, Failed, Reason, Refused, RoomId, Withdrawn
from tests.rules.frames import Frame, on_wire

UNKNOWN: Final = RoomId("")
"""A room that is none."""
AnyRecord = DeviceRecord | CallRecord | SeatsRecord


class World:
    """A world in which decisions of the rules take effect at once, and connected devices are told."""

    def __init__(self, settings: CallSettings) -> None:
        self.settings: Final = settings
        self.now = 1000.0
        self.devices: dict[str, dict[str, DeviceRecord]] = {}
        self.policies: dict[str, Policy] = {}
        self.calls: dict[RoomId, CallRecord] = {}
        self.seats: dict[RoomId, SeatsRecord] = {}
        self.people: dict[DeviceAddress, Device] = {}
        self.pages: dict[tuple[RoomId, str], Page] = {}
        self.aliases: dict[RoomId, RoomId] = {}
        """The room of each alias there ever was."""
        self.displaced: list[Displaced] = []
        self.complete = True
        """True if nobody knows more than these records."""
        self.alone = False
        """True if the node cannot reach the shared store."""
        self._rooms = 0

    def new_room(self) -> RoomId:
        """A room id that was not used before."""
        self._rooms += 1
        return RoomId(f"{self._rooms:032x}")

    def happen(self, event: events.Event) -> Any:
        """Let the rules decide on an event, carry out the decisions, and return the reply."""
        aliases = {alias: room for alias, room in self.aliases.items() if room in self.calls}
        records = Records(self.devices, self.calls, self.seats, self.complete, self.policies, aliases, self.alone)
        decision = decide(records, event, self.now, self.settings)
        self._commit(decision.changes)
        return decision.reply

    def wait(self, seconds: float) -> None:
        """Let time pass; whatever is due happens when it is."""
        until = self.now + seconds
        while soon := [
            (record.due, record) for record in self._all() if record.due is not None and record.due <= until
        ]:
            self.now, record = min(soon, key=lambda pair: pair[0])
            self._act_on(record)
            for left in self._all():
                assert left.due is None or left.due > self.now or left != record, f"for ever due: {record}"
        self.now = until

    def _act_on(self, record: AnyRecord) -> None:
        """A call that is over is forgotten by the store; everything else is the rules' to look at."""
        if isinstance(record, CallRecord) and record.end is not None:
            del self.calls[record.room]
            self.seats.pop(record.room, None)
        else:
            self.happen(due_event(record))

    def _all(self) -> list[AnyRecord]:
        devices = [record for of_phone in self.devices.values() for record in of_phone.values()]
        return [*devices, *self.calls.values(), *self.seats.values()]

    def _commit(self, changes: Changes) -> None:
        for device in changes.devices:
            of_phone = self.devices.setdefault(device.address.phone, {})
            _check_version(of_phone.get(device.address.device_id), device)
            of_phone[device.address.device_id] = device
        self.policies.update(changes.policies)
        for call in changes.calls:
            _check_version(self.calls.get(call.room), call)
            self.calls[call.room] = call
            self.aliases.update({alias: call.room for _, alias in call.aliases if alias != call.room})
        for seats in changes.seats:
            _check_version(self.seats.get(seats.room), seats)
            self.seats[seats.room] = seats
        for old in changes.forgotten:
            self._forget(old)
        for notice in changes.notices:
            self._tell(notice)

    def _forget(self, old: AnyRecord) -> None:
        if isinstance(old, DeviceRecord):
            assert self.devices[old.address.phone].pop(old.address.device_id) is old
        else:
            table: dict[RoomId, Any] = self.calls if isinstance(old, CallRecord) else self.seats
            assert table.pop(old.room) is old

    def _tell(self, notice: Notice | SeatNotice | Displaced) -> None:
        if isinstance(notice, Displaced):
            self.displaced.append(notice)
        elif isinstance(notice, SeatNotice):
            self.pages[notice.seats.room, notice.key].view = view(notice.seats, notice.call, notice.key)
        else:
            device = self.people[notice.to]
            if device.record.connected:
                device.deliver(notice.call)


class Device:
    """A device in the world. It hears whatever it is told while it is connected.

    Tests name a call by its record's room. What the device says of it goes by the room id that it was told last, and
    what it hears is given by the record's room.
    """

    def __init__(self, world: World, phone: str, device_id: str) -> None:
        self.address: Final = DeviceAddress(phone, device_id)
        self.last_heard = world.now
        self.generation = 0
        self.policy = ANYONE
        self.extended = False
        self.call_waiting = False
        self.places = events.Place
        self._world = world
        self._heard: list[Frame] = []
        self._told: dict[Known, float] = {}
        self.ids: dict[RoomId, RoomId] = {}
        """The room id of each call as it was told last."""
        world.people[self.address] = self

    @property
    def record(self) -> DeviceRecord:
        """The record of this device in the store."""
        return self._world.devices[self.address.phone][self.address.device_id]

    def everywhere(self) -> DeviceAddress:
        """The address that rings every device of this phone."""
        return DeviceAddress(self.address.phone, EVERY_DEVICE)

    # Actions

    def connects(self, node: str = "here", displaces: bool = False) -> list[Frame]:
        """Open a socket; returns the first frames to the device.

        :param displaces: there is an older one on this node.
        """
        self._heard.clear()
        known = self.known() if displaces else None
        self.last_heard = self._world.now
        connected = events.ExtendedConnected if self.extended else events.Connected
        event = connected(self.address, node, known, self._world.now, 0, self.policy, self.call_waiting)
        attached: Attached = self._world.happen(event)
        self.generation = attached.generation
        self._told = dict.fromkeys(attached.known, -inf)
        if attached.ended is not None:
            self.deliver(attached.ended)
        if attached.current is not None:
            self.deliver(attached.current)
        return self.hears()

    def known(self) -> tuple[Known, ...]:
        """The confirmations of the device."""
        return tuple(one for one, told_at in self._told.items() if told_at <= self.last_heard - KNOWN_AFTER)

    def loses_socket(self) -> None:
        """Have the socket close."""
        self._world.happen(events.Disconnected(self.address, self.record.generation, self.known()))

    def says_goodbye(self) -> None:
        """Have the device close the socket: it knows all messages so far."""
        self._world.happen(events.Disconnected(self.address, self.record.generation, tuple(self._told)))

    def calls(self, target: Device | DeviceAddress) -> RoomId | None:
        """Send ``call``. Returns the room if that rings somebody."""
        self.last_heard = self._world.now
        address = target.address if isinstance(target, Device) else target
        room, date = self._world.new_room(), self._world.now
        reply = self._world.happen(self.places(self.address, address, room, self.generation, date, self.extended))
        if isinstance(reply, Rings):
            return reply.room
        assert isinstance(reply, Accepted | Refused | Failed | Withdrawn)
        self._hear(answer(reply))
        return None

    def accepts(self, room: RoomId, hold: bool = False) -> object:
        """Send ``called_success``. Returns the reply of the rules."""
        self.last_heard = self._world.now
        reply = self._world.happen(events.Accept(self.id_of(room), self.address, extended=self.extended, hold=hold))
        if isinstance(reply, TooLate):
            self._told[Known(room, True)] = self._world.now
        return reply

    def resumes(self, room: RoomId) -> object:
        """Send ``resume``. Returns the reply of the rules."""
        return self._world.happen(events.Resumed(self.id_of(room), self.address, self.generation))

    def refuses(self, room: RoomId) -> object:
        """Send ``called_refuse``. Returns the reply of the rules."""
        self.last_heard = self._world.now
        return self._world.happen(events.Refuse(self.id_of(room), self.address))

    def hangs_up(self, room: RoomId) -> object:
        """Send ``calling_hangup`` with a room. Returns the reply of the rules."""
        self.last_heard = self._world.now
        return self._world.happen(events.HangUp(self.id_of(room), self.address, self.generation))

    def cancels(self, target: Device) -> None:
        """Send ``calling_hangup`` without a room."""
        self.last_heard = self._world.now
        self._world.happen(events.Cancel(self.address, target.address.phone, self.generation))

    def signals(self, room: RoomId) -> None:
        """Send a v2 ``signal``."""
        self._world.happen(events.Signalled(self.id_of(room), self.address))

    def is_revoked(self) -> None:
        """Have the device's token revoked."""
        self._world.happen(events.Revoked(self.address, self.generation))

    # Messages

    def hears(self) -> list[Frame]:
        """The frames that it was sent since the last time."""
        heard, self._heard = self._heard, []
        return heard

    def deliver(self, call: CallRecord) -> None:
        """Look at a call."""
        message = notification_for(call, self.address, self._world.now, self._world.settings.ring_time)
        if message is not None and not isinstance(message, Called):
            is_over = not isinstance(message, CallSuccess)
            self._told.pop(Known(call.room, not is_over), None)
            self._told.setdefault(Known(call.room, is_over), self._world.now)
        self._hear(message)

    def _hear(self, message: Message | None) -> None:
        if message is not None:
            self._heard.append(self._by_record(on_wire(message)))

    def id_of(self, room: RoomId) -> RoomId:
        """The room id by which the device knows a call."""
        return self.ids.get(room, room)

    def _by_record(self, frame: Frame) -> Frame:
        told = RoomId(str(frame.get("room_id", "")))
        room = self._world.aliases.get(told, told)
        self.ids[room] = told
        return {name: v.replace(told, room) if told and isinstance(v, str) else v for name, v in frame.items()}


class Page:
    """A page at the door of a room, or in a seat of it."""

    def __init__(self, world: World, room: RoomId, key: str) -> None:
        self.view: RoomView | None = None
        self._world = world
        self._room = room
        self._key = key
        self._generation = 0
        self._record = room
        world.pages[room, key] = self

    def comes(self, session: str = "s") -> Any:
        """Ask for a seat. Returns the reply of the rules."""
        reply = self._world.happen(events.SeatTaken(self._room, self._key, session, "here"))
        self._generation = getattr(reply, "generation", self._generation)
        if isinstance(reply, Seated):
            self._record = reply.seats.room
            self._world.pages[self._record, self._key] = self
            self.view = view(reply.seats, reply.call, self._key)
        return reply

    def goes(self, generation: int | None = None) -> None:
        """Have the socket of the page close."""
        event = events.SeatEmptied(self._record, self._key, self._generation if generation is None else generation)
        self._world.happen(event)

    def hangs_up(self) -> None:
        """Press the button."""
        self._world.happen(events.PageHungUp(self._room, self._key))


class RulesTestCase(SynchronousTestCase):
    """Ann, Bob with a television and a pad, and Carol, all connected."""

    settings = CallSettings()

    def setUp(self) -> None:
        """Connect everyone."""
        self.world = World(self.settings)
        self.ann = Device(self.world, "13600000001", "phone")
        self.tv = Device(self.world, "13600000002", "tv")
        self.pad = Device(self.world, "13600000002", "pad")
        self.carol = Device(self.world, "13600000003", "phone")
        for device in self.world.people.values():
            device.connects()

    def ringing(self, caller: Device, callee: Device | DeviceAddress) -> RoomId:
        """A call that rings, everything about it heard already."""
        room = caller.calls(callee)
        assert room is not None
        self.forget_heard()
        return room

    def active(self, caller: Device, callee: Device, seconds: float = 10.0) -> RoomId:
        """A call that was answered ``seconds`` ago, everything about it heard already."""
        room = self.ringing(caller, callee)
        callee.accepts(room)
        self.world.wait(seconds)
        for device in (caller, callee):
            device.last_heard = self.world.now
        self.forget_heard()
        return room

    def over(self, caller: Device, callee: Device) -> RoomId:
        """A call that was answered and hung up by its callee, everything about it heard already."""
        room = self.active(caller, callee)
        callee.hangs_up(room)
        self.forget_heard()
        return room

    def forget_heard(self) -> None:
        """Forget the messages so far."""
        for device in self.world.people.values():
            device.hears()

    def assert_heard(self, device: Device, *frames: Frame) -> None:
        """Assert that ``device`` heard these frames, in this order, and no others."""
        self.assertEqual(list(frames), device.hears())

    def assert_silence(self, *but: Device) -> None:
        """Nobody was told anything, apart from ``but``."""
        for device in self.world.people.values():
            if device not in but:
                self.assertEqual([], device.hears(), device.address)

    def assert_call(self, room: RoomId, state: type[CallState], reason: Reason | None = None) -> None:
        """The record says so."""
        call = self.world.calls[room]
        self.assertIsInstance(call.state, state)
        self.assertIs(reason, None if call.end is None else call.end.reason)


def due_event(record: AnyRecord) -> events.Event:
    """The event when a record is due."""
    if isinstance(record, DeviceRecord):
        return events.DeviceDue(record.address)
    return events.CallDue(record.room) if isinstance(record, CallRecord) else events.SeatsDue(record.room)


def _check_version(old: AnyRecord | None, new: AnyRecord) -> None:
    assert new.version == (0 if old is None else old.version) + 1, f"{old} was followed by {new}"
