"""Records for the contracts of stores and buses, and a receiver that can be waited for."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred

from callnet.calls.ports import BusMessage
from callnet.calls.records import Active, CallRecord, DeviceRecord, Known, Over, Ringing, Seat, SeatsRecord
from callnet.model import DeviceAddress, Reason, RoomId

ANN = DeviceAddress("13600000001", "phone")
TV = DeviceAddress("13600000002", "tv")
PAD = DeviceAddress("13600000002", "pad")


def room_number(number: int) -> RoomId:
    """A room id."""
    return RoomId(f"{number:032x}")


class Samples:
    """Records of one node. All times are given in seconds after ``start``."""

    def __init__(self, node: str = "here", start: float = 1000.0) -> None:
        self.node: Final = node
        self.start: Final = start

    def at(self, seconds: float | None) -> float | None:
        """This time after the start."""
        return None if seconds is None else self.start + seconds

    def device(
        self, address: DeviceAddress = ANN, version: int = 1, due: float | None = None, **fields: Any
    ) -> DeviceRecord:
        """A device that is connected and was in no call yet."""
        given: dict[str, Any] = {
            "node": self.node,
            "generation": 1,
            "connected": True,
            "unheard": None,
            "lost_at": None,
            "room": None,
            "previous_room": None,
        }
        return DeviceRecord(address, version, due=self.at(due), **(given | fields))

    def gone(
        self, address: DeviceAddress = ANN, version: int = 1, due: float | None = 30.25, **fields: Any
    ) -> DeviceRecord:
        """A device with nothing left unsaid."""
        given: dict[str, Any] = {
            "generation": 7,
            "connected": False,
            "known": (Known(room_number(1), True),),
            "lost_at": self.at(0.25),
            "room": room_number(2),
            "previous_room": room_number(1),
        }
        return self.device(address, version, due, **(given | fields))

    def ringing(self, number: int = 1, version: int = 1, due: float | None = 45.0) -> CallRecord:
        """A call from Ann that rings two devices."""
        return CallRecord(
            room=room_number(number),
            version=version,
            state=Ringing((PAD, TV), awaited_until=self.at(29.5)),
            caller=ANN,
            target=DeviceAddress(TV.phone, "*"),
            targets=(PAD, TV),
            placed_at=self.start,
            due=self.at(due),
        )

    def over(self, number: int = 1, version: int = 2, due: float | None = 220.5) -> CallRecord:
        """A call with nothing left unsaid."""
        was = Active(TV, self.start + 10.125, by_calling=True, by_itself=True, signalled=True)
        return CallRecord(
            room=room_number(number),
            version=version,
            state=Over(was, Reason.TOO_LONG, self.start + 100.5),
            caller=ANN,
            target=TV,
            targets=(TV,),
            placed_at=self.start,
            due=self.at(due),
        )

    def seats(self, number: int = 1, version: int = 1, due: float | None = None, closed: bool = False) -> SeatsRecord:
        """Red sits in the first seat, and blue has just left the second."""
        red = Seat("red", "r1", self.node, 1, None)
        blue = Seat("blue", "b1", self.node, 2, self.at(0.75))
        return SeatsRecord(room_number(number), version, (red, blue), self.at(due), closed)


class Receiver:
    """Keeps the messages of a bus. They may take their time."""

    def __init__(self) -> None:
        self._messages: list[BusMessage] = []
        self._wanted: tuple[int, Deferred[list[BusMessage]]] | None = None

    def __call__(self, message: BusMessage) -> None:
        """Take a message."""
        self._messages.append(message)
        self._look()

    def first(self, number: int) -> Deferred[list[BusMessage]]:
        """All messages so far, as soon as there are at least this number."""
        wanted: Deferred[list[BusMessage]] = Deferred()
        self._wanted = (number, wanted)
        self._look()
        return wanted

    def _look(self) -> None:
        if self._wanted is not None and len(self._messages) >= self._wanted[0]:
            wanted, self._wanted = self._wanted[1], None
            wanted.callback(list(self._messages))
