"""One call, from the first ring to its end.

::

    outgoing:  calling ──▶ ringing ──▶ active ──▶ over
    incoming:              ringing ──▶ active ──▶ over

``calling`` becomes ``ringing`` when a device of the other side is known to ring, which only the extended protocol
tells. Any state may be followed by ``over``, and nothing follows that.
"""

from __future__ import annotations

from typing import Any, Final, Literal, Protocol, TypeAlias

from twisted.internet.defer import Deferred

from callnet.client.waiting import Waiting
from callnet.model import EVERY_DEVICE, DeviceAddress

Direction: TypeAlias = Literal["incoming", "outgoing"]
CallState: TypeAlias = Literal["calling", "ringing", "active", "over"]


class Answers(Protocol):
    """The actions of a call that its owner can request."""

    def accept(self, call: Call, by_itself: bool) -> None:
        """Accept it."""

    def refuse(self, call: Call) -> None:
        """Refuse it."""

    def hang_up(self, call: Call) -> None:
        """End it."""

    def signal(self, call: Call, data: Any) -> None:
        """Say something to the other party."""


class Call:
    """A call of a :class:`~callnet.client.Device`, which makes it. What it says of itself is to be read only."""

    def __init__(self, direction: Direction, peer: DeviceAddress, answers: Answers) -> None:
        self.direction: Final = direction
        self.peer = peer
        """The other party. Its device id is ``*`` while all devices of that phone are called; of a call that this
        device pulls it is empty until it has it."""
        self.asked: Final = peer.device_id if direction == "outgoing" else EVERY_DEVICE
        """Which device, or ``*``, to call to try it again."""
        self.state: CallState = "ringing"
        self.room_id = ""
        """Empty until it is known. Whoever knows it can enter the room."""
        self.page = ""
        """The address of the call's page on the server's site, without the origin; :meth:`Server.page_of` has all."""
        self.name = ""
        """The name of the other side in this phone's contacts, as sent by the server; may be empty."""
        self.auto_answer = False
        """True if the owner lets the device answer this caller automatically."""
        self.other_side: Literal["here", "reconnecting"] = "here"
        """The state of the other side's connection while the call is active."""
        self.reason = ""
        """Why it is over, in the words of the protocol (§2.1, §2.3), or ``refused`` and ``failed`` where the server
        names no reason, ``over`` where it went on with another call, ``forgotten`` where it knows of none; empty
        before."""
        self.is_own_end = False
        """True if this device ended it."""
        self.is_forgotten = False
        """True if the server has lost its state of the call: only its page knows whether it continues."""
        self.answered_at: float | None = None
        """The time when it was answered, in seconds on the clock of the reactor; ``None`` before."""
        self.ended_at: float | None = None
        self._answers = answers
        self._waiting: Waiting[CallState] = Waiting()

    def __repr__(self) -> str:
        """Without the people and the room: it may get into a log."""
        return f"<Call {self.direction} {self.state}{self.reason and f' {self.reason}'}>"

    @property
    def is_incoming(self) -> bool:
        """True if the other side has called."""
        return self.direction == "incoming"

    @property
    def is_over(self) -> bool:
        """True if it is over."""
        return self.state == "over"

    @property
    def duration(self) -> float | None:
        """Seconds for which it was active, once it is over; ``None``: never, or it is not over."""
        return None if self.answered_at is None or self.ended_at is None else self.ended_at - self.answered_at

    def accept(self, by_itself: bool = False) -> None:
        """Accept a call that comes in; any other is left as it is.

        :param by_itself: nobody has touched the device, whose owner wants it so for this caller (:attr:`auto_answer`).
        """
        self._answers.accept(self, by_itself)

    def refuse(self) -> None:
        """Refuse a call that comes in; any other is left as it is."""
        self._answers.refuse(self)

    def hang_up(self) -> None:
        """End it, whatever state it is in: hang up, cancel, or refuse."""
        self._answers.hang_up(self)

    def signal(self, data: Any) -> None:
        """Say something to the other party, which is told by a :class:`~callnet.client.SignalEvent`.

        It goes from an extended device to an extended device while the call is active, and is lost otherwise; after
        ``other_side`` was ``reconnecting`` begin anew (docs/extended-protocol.md).

        :param data: whatever JSON can say, in less than 64 KiB and 64 levels.
        """
        self._answers.signal(self, data)

    def until(self, *states: CallState) -> Deferred[CallState]:
        """Wait for one of these states.

        :return: a Deferred of the caller's own with the state that the call then has: one of these, ``over``, or the
            present one if its device was closed.
        """
        return self._waiting.until(self.state, (*states, "over"))

    def noted(self, state: CallState, has_left: bool = False) -> None:
        """Tell those who wait what the state is, or was; for the device.

        :param has_left: the device was closed, so nothing more will come.
        """
        self._waiting.tell(state, has_left)
