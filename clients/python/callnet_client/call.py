"""One call, from the first ring to its end.

::

    outgoing:  calling ──▶ ringing ──▶ active ──▶ over
    incoming:              ringing ──▶ active ──▶ over

``calling`` becomes ``ringing`` when a device of the other side rings, which only the extended protocol reports. Any
state may be followed by ``over``, which is final.
"""

from __future__ import annotations

from typing import Any, Final, Literal, Protocol, TypeAlias

from twisted.internet.defer import Deferred

from callnet_client.address import EVERY_DEVICE, DeviceAddress, is_guest
from callnet_client.waiting import Waiting

Direction: TypeAlias = Literal["incoming", "outgoing"]
CallState: TypeAlias = Literal["calling", "ringing", "active", "over"]


class Answers(Protocol):
    """The owner's actions on a call."""

    def accept(self, call: Call, by_itself: bool, hold: bool) -> None:
        """Accept the call."""

    def refuse(self, call: Call) -> None:
        """Refuse the call."""

    def hang_up(self, call: Call) -> None:
        """End the call."""

    def signal(self, call: Call, data: Any) -> None:
        """Send a signal to the other party."""


class Call:
    """A call of a :class:`~callnet_client.Device`. Only devices make calls. Attributes are read only."""

    def __init__(self, direction: Direction, peer: DeviceAddress, answers: Answers) -> None:
        self.direction: Final = direction
        self.peer = peer
        """The other party. Its device id is ``*`` while all devices of that phone are called; while this device pulls a
        call, it is empty until it has the call."""
        self.asked: Final = peer.device_id if direction == "outgoing" else EVERY_DEVICE
        """The device, or ``*``, to call to try again."""
        self.state: CallState = "ringing"
        self.room_id = ""
        """The room id, empty until it is known. Anyone who knows it can enter the room."""
        self.page = ""
        """The path of the call's page on the server's site; :meth:`Server.page_of` returns the whole URL."""
        self.name = ""
        """The name of the other phone for the owner of this one, from the server, or that of a guest; empty if there is
        none."""
        self.link_name = ""
        """The name of the link of a guest; empty if it is not known."""
        self.auto_answer = False
        """True if the owner allows this caller to be answered automatically."""
        self.other_side: Literal["here", "reconnecting"] = "here"
        """The state of the other party's connection while the call is active."""
        self.can_hold = False
        """True if accepting this second call can hold the current one."""
        self.is_on_hold = False
        """True while the other party holds the call: it is in another one, and neither sends nor receives media. Of a
        call that this device holds see :attr:`Device.held_call`."""
        self.reason = ""
        """The reason why it is over, in the words of the protocol (§2.1, §2.3), or ``refused`` or ``failed`` if the
        server names none, ``over`` if the device went on to another call, ``replaced`` if another call took its place
        (:attr:`Device.waiting_call`), ``forgotten`` if the server has lost it; empty before."""
        self.is_own_end = False
        """True if this device ended it."""
        self.is_forgotten = False
        """True if the server has lost the call: only its page shows whether media still flows."""
        self.answered_at: float | None = None
        """The time of the answer, in seconds on the clock of the reactor; ``None`` before."""
        self.ended_at: float | None = None
        self._answers = answers
        self._waiting: Waiting[CallState] = Waiting()

    def __repr__(self) -> str:
        """Return a text without phones and room, for logs."""
        return f"<Call {self.direction} {self.state}{self.reason and f' {self.reason}'}>"

    @property
    def is_guest(self) -> bool:
        """True if the other party is a guest, who came by a link of this phone. It cannot be called back."""
        return is_guest(self.peer.phone)

    @property
    def is_incoming(self) -> bool:
        """True if the other party called."""
        return self.direction == "incoming"

    @property
    def is_over(self) -> bool:
        """True once it has ended."""
        return self.state == "over"

    @property
    def duration(self) -> float | None:
        """Seconds for which it was active, once it is over; ``None``: it was never active, or is not over."""
        return None if self.answered_at is None or self.ended_at is None else self.ended_at - self.answered_at

    def accept(self, by_itself: bool = False, *, hold: bool = False) -> None:
        """Accept an incoming call; has no effect on an outgoing one. A call that the device is in ends.

        :param by_itself: answered automatically, as the owner allows for this caller (:attr:`auto_answer`).
        :param hold: hold the call that the device is in, if :attr:`can_hold`; otherwise that ends.
        """
        self._answers.accept(self, by_itself, hold)

    def refuse(self) -> None:
        """Refuse an incoming call; has no effect on others."""
        self._answers.refuse(self)

    def hang_up(self) -> None:
        """End it in any state: hang up, cancel, or refuse."""
        self._answers.hang_up(self)

    def signal(self, data: Any) -> None:
        """Send a signal to the other party. It receives a :class:`~callnet_client.SignalEvent`.

        It is delivered between extended devices while the call is active, and lost otherwise; after ``other_side`` was
        ``reconnecting`` start again (docs/extended-protocol.md).

        :param data: any JSON value of less than 64 KiB and 64 levels.
        """
        self._answers.signal(self, data)

    def until(self, *states: CallState) -> Deferred[CallState]:
        """Wait for one of these states.

        :return: a new Deferred with the resulting state of the call: one of these, ``over``, or the present one if
            its device was closed.
        """
        return self._waiting.until(self.state, (*states, "over"))

    def noted(self, state: CallState, has_left: bool = False) -> None:
        """Report the state to waiting callers; for the device.

        :param has_left: the device was closed, so nothing more will come.
        """
        self._waiting.tell(state, has_left)
