"""The events of a device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal, TypeAlias

from msgspec import Struct

from callnet_client.address import DeviceAddress
from callnet_client.call import Call, CallState
from callnet_client.frames import MissedCall

DeviceState: TypeAlias = Literal["off", "connecting", "online", "offline", "elsewhere", "denied"]


class StateEvent(Struct, frozen=True):
    """The device's state has changed (:attr:`Device.state`)."""

    state: DeviceState


class CallEvent(Struct, frozen=True):
    """A call has started or changed. ``state`` is its state at that time."""

    call: Call
    state: CallState


class PresenceEvent(Struct, frozen=True):
    """A device of a contact has come online or gone offline. Extended protocol only."""

    peer: DeviceAddress
    online: bool


class MissedEvent(Struct, frozen=True):
    """Unanswered calls while the device was away, the latest first. Extended protocol only."""

    calls: Sequence[MissedCall]


class ChangedEvent(Struct, frozen=True):
    """Data of the phone were changed by another device of it, or by others. Extended protocol only.

    ``what`` has some of ``contacts`` (:meth:`Account.people`, :meth:`Account.blocked`), ``added``, ``profile``,
    ``settings``, ``history``, ``devices`` and ``links``, after the methods of :class:`Account` to call again.
    """

    what: Sequence[str]


class SignalEvent(Struct, frozen=True):
    """A message from the other party of a call (:meth:`Call.signal`)."""

    call: Call
    data: Any


Event: TypeAlias = StateEvent | CallEvent | PresenceEvent | MissedEvent | ChangedEvent | SignalEvent
Listener: TypeAlias = Callable[[Event], object]
