"""The rules: (records, event, now) → (changes, reply). Pure.

Three machines decide: that of a call (:mod:`callnet.calls.machine`), the registration of devices
(:mod:`callnet.calls.registration`), and the seats of a page's room (:mod:`callnet.calls.seats`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import NoneType
from typing import Any, Final, cast

from msgspec import Struct

from callnet.calls import events, registration, seats
from callnet.calls.machine import TABLE, of_device, place, refuse_by_ticket
from callnet.calls.records import Changes, Records
from callnet.calls.transaction import Transaction
from callnet.config.schema import CallSettings


class Decision(Struct, frozen=True):
    """The decision on an event: changes to commit, and the reply to its sender once they are committed."""

    changes: Changes
    reply: Any


def decide(records: Records, event: events.Event, now: float, settings: CallSettings) -> Decision:
    """Apply the rules to one event. ``records`` hold at least what the event's phones and rooms name.

    :raises callnet.errors.Unavailable: ``records`` are not complete, and this cannot be decided without the rest.
    """
    tx = Transaction(records, now, settings)
    kind = type(event)
    machine = _MACHINES.get(kind)
    if machine is not None:
        reply = machine(tx, event)
    else:  # an event of the call in its room, as it was read
        room = cast("events.RoomEvent", event).room
        call = records.calls.get(records.aliases.get(room, room))
        transition = TABLE.get((NoneType if call is None else type(call.state), kind))
        reply = None if transition is None else transition(tx, call, event)
    return Decision(tx.build(), reply)


_MACHINES: Final[Mapping[type, Callable[[Transaction, Any], Any]]] = {
    events.Place: place,
    events.PlaceAsGuest: place,
    events.Cancel: of_device,
    events.Pulled: of_device,
    events.RefusedByTicket: refuse_by_ticket,
    events.Connected: registration.connected,
    events.ExtendedConnected: registration.connected,
    events.Disconnected: registration.disconnected,
    events.DeviceDue: registration.due,
    events.Sleeps: registration.sleep,
    events.PolicyChanged: registration.change_policy,
    events.Revoked: registration.revoke,
    events.SeatTaken: seats.take,
    events.SeatEmptied: seats.empty,
    events.PageHungUp: seats.hang_up,
    events.SeatsDue: seats.due,
}
"""The events with a machine of their own; all others are events of the call in their room."""
