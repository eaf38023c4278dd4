"""The events that a program of the operator's receives, by webhook (docs/webhooks.md)."""

from __future__ import annotations

from msgspec import Struct


class Party(Struct, frozen=True):
    """A device; ``*``: a phone as a whole."""

    phone: str
    device_id: str


class _Event(Struct, frozen=True, tag_field="event", kw_only=True):
    """An event. Times are seconds since 1970."""

    id: str
    at: float


class _CallEvent(_Event, frozen=True, kw_only=True):
    call: str
    """The same in all events of a call."""
    caller: Party
    called: Party
    guest: bool
    """The caller came by a link of the called phone: its device id is the name that it gave."""


class CallStarted(_CallEvent, frozen=True, tag="call_started"):
    """A call rings."""


class CallAnswered(_CallEvent, frozen=True, tag="call_answered", kw_only=True):
    """The named device accepted the call."""

    auto_answer: bool


class CallEnded(_CallEvent, frozen=True, tag="call_ended", kw_only=True):
    """A call ended after ringing."""

    started_at: float
    answered_at: float | None
    reason: str


class CallMissed(_CallEvent, frozen=True, tag="call_missed", kw_only=True):
    """The called phone has missed a call."""

    started_at: float
    rang: bool


class DeviceEnrolled(_Event, frozen=True, tag="device_enrolled", kw_only=True):
    """A new device was created."""

    phone: str
    device_id: str
