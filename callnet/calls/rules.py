"""The rules: (records, event, now) → (changes, reply). Pure.

Three machines decide: that of a call (:mod:`callnet.calls.machine`), the registration of devices
(:mod:`callnet.calls.registration`), and the seats of a page's room (:mod:`callnet.calls.seats`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from msgspec import Struct

from callnet.calls import events, machine, registration, seats
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
    reply = _MACHINES[type(event)](tx, event)
    return Decision(tx.build(), reply)


_MACHINES: Final[Mapping[type, Callable[[Transaction, Any], Any]]] = {
    events.Place: machine.place,
    events.Cancel: machine.cancel,
    events.Pulled: machine.pull,
    **dict.fromkeys(
        (
            events.Accept,
            events.Refuse,
            events.HangUp,
            events.GaveUp,
            events.RangInVain,
            events.Unreachable,
            events.NotWoken,
            events.Announced,
            events.Signalled,
            events.Stopped,
            events.CallDue,
        ),
        machine.in_room,
    ),
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
