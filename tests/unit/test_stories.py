"""Base clients beside extended ones: in any story, they get the same messages as among themselves.

Each story is told once by base clients alone, and again with every choice of those who are extended. What a base
client hears is the same each time, word for word, and nothing that the seed does not have.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import product
from typing import Any, Final

from twisted.python.failure import Failure

from callnet.calls import events
from callnet.calls.switchboard import nothing
from callnet.model import EVERY_DEVICE, DeviceAddress, RoomId
from tests.support.extended_case import ANN, DOB, PAD, TV
from tests.support.quiet import QuietTestCase
from tests.support.wires import Device, World

SEED: Final = {
    "call_success": {"to_phone", "to_device_id", "room_id", "page"},
    "call_refuse": {"to_phone", "to_device_id", "room_id", "reason"},
    "call_failed": {"to_phone", "to_device_id", "reason", "message"},
    "called": {"from_phone", "from_device_id", "room_id", "expires_in", "page"},
    "calling_be_hangup": {"fire_phone", "fire_device_id", "room_id", "reason"},
    "error": {"errorCode", "errorCodeName", "message"},
}
"""The messages that a base client may be sent, with their fields."""
EVERYONE: Final = (ANN, TV, PAD, DOB)


class Stage:
    """A server, some extended devices and some others, and the messages that each of them got."""

    def __init__(self, extended: frozenset[DeviceAddress]) -> None:
        self.world = World()
        self.heard: dict[DeviceAddress, list[dict[str, Any]]] = {address: [] for address in EVERYONE}
        self._extended = extended
        self._devices: dict[DeviceAddress, Device] = {}
        self._rooms: list[str] = []
        self._records: dict[str, str] = {}
        self._ids: dict[tuple[DeviceAddress, str], str] = {}
        for address in EVERYONE:
            self.comes(address)

    def comes(self, address: DeviceAddress) -> None:
        """Let a device connect, connected already or not."""
        self._listen()
        is_extended = address in self._extended
        self._devices[address] = (
            self.world.extended(*address, claimed=True) if is_extended else self.world.device(*address)
        )
        self._listen()

    def goes(self, address: DeviceAddress) -> None:
        """Let its connection break."""
        self._listen()
        self._devices[address].leave()
        self._listen()

    def says(self, address: DeviceAddress, kind: str, **fields: str) -> None:
        """Let it say something."""
        self._devices[address].say(kind, **fields)
        self._listen()

    def waits(self, seconds: float) -> None:
        """Let time go by."""
        self.world.advance(seconds)
        self._listen()

    def calls(self, caller: DeviceAddress, target: DeviceAddress) -> None:
        """Place a call."""
        self.says(caller, "call", to_phone=target.phone, to_device_id=target.device_id)

    def answers(self, address: DeviceAddress, kind: str) -> None:
        """Accept or refuse the call that rings."""
        self.says(address, kind, from_phone="", from_device_id="", room_id=self._id(address, self.room))

    def talk(self) -> None:
        """Let Ann call the television, which accepts."""
        self.calls(ANN, TV)
        self.answers(TV, "called_success")

    def hangs_up(self, address: DeviceAddress, phone: str = "", room: str | None = None) -> None:
        """Hang up."""
        named = self.room if room is None else room
        known = self._id(address, named)
        self.says(address, "calling_hangup", notified_phone=phone, notified_device_id="", room_id=known)

    def ends(self) -> None:
        """Let the operator end the newest call."""
        self.world.rooms._transactions.run(events.Stopped(RoomId(self.room)), nothing, Failure.raiseException)
        self._listen()

    @property
    def room(self) -> str:
        """The newest room that anybody was told of, as its record names it."""
        return self._rooms[-1]

    def _id(self, address: DeviceAddress, room: str) -> str:
        """The id of a room that a device was told last."""
        return self._ids.get((address, room), room)

    def _listen(self) -> None:
        self.world.settle()
        for address, device in self._devices.items():
            for message in device.heard():
                if told := message.get("room_id"):
                    named = self.world.rooms.known.aliases.get(told, told)
                    room = self._records.setdefault(told, named)
                    self._ids[address, room] = told
                    if room not in self._rooms:
                        self._rooms.append(room)
                self.heard[address].append(self._told(message))

    def _told(self, message: dict[str, Any]) -> dict[str, Any]:
        """A message with the number of the room in place of its id, which is another one for each rung device."""
        number = self._rooms.index(self._records[message["room_id"]]) if message.get("room_id") else None
        known = {"room_id": number} if number is not None else {}
        if "page" in message:
            known["page"] = message["page"].replace(message["room_id"], "ROOM")
        return message | known


# The stories


def accepted_caller_hangs_up(stage: Stage) -> None:
    """Ann calls the television; it accepts; she hangs up."""
    stage.talk()
    stage.hangs_up(ANN)


def accepted_callee_hangs_up(stage: Stage) -> None:
    """... it hangs up."""
    stage.talk()
    stage.hangs_up(TV)


def refused(stage: Stage) -> None:
    """It refuses."""
    stage.calls(ANN, TV)
    stage.answers(TV, "called_refuse")


def cancelled(stage: Stage) -> None:
    """She thinks better of it."""
    stage.calls(ANN, TV)
    stage.hangs_up(ANN, TV.phone, "")


def nobody_answers(stage: Stage) -> None:
    """Nobody is at home."""
    stage.calls(ANN, TV)
    stage.waits(46)


def offline(stage: Stage) -> None:
    """The television is off."""
    stage.goes(TV)
    stage.calls(ANN, TV)


def busy(stage: Stage) -> None:
    """Two call the same."""
    stage.calls(ANN, TV)
    stage.calls(DOB, TV)
    stage.answers(TV, "called_success")


def answered_elsewhere(stage: Stage) -> None:
    """Both devices of the phone ring, and one accepts; the other is late."""
    stage.calls(ANN, DeviceAddress(TV.phone, EVERY_DEVICE))
    stage.answers(TV, "called_success")
    stage.answers(PAD, "called_success")
    stage.hangs_up(ANN)


def refused_elsewhere(stage: Stage) -> None:
    """Both ring, and one refuses."""
    stage.calls(ANN, DeviceAddress(TV.phone, EVERY_DEVICE))
    stage.answers(PAD, "called_refuse")


def glare(stage: Stage) -> None:
    """Two call each other."""
    stage.calls(ANN, TV)
    stage.calls(TV, ANN)
    stage.hangs_up(TV)


def another_call(stage: Stage) -> None:
    """She calls somebody else meanwhile."""
    stage.talk()
    stage.calls(ANN, DOB)
    stage.answers(DOB, "called_success")


def callee_calls(stage: Stage) -> None:
    """A device that is rung calls somebody else."""
    stage.calls(ANN, TV)
    stage.calls(TV, DOB)


def comes_back(stage: Stage) -> None:
    """A connection breaks in the call, and is there again in time."""
    stage.talk()
    stage.waits(2)
    for address in (TV, ANN):
        stage.goes(address)
        stage.waits(3)
        stage.comes(address)
    stage.hangs_up(TV)


def rung_again(stage: Stage) -> None:
    """It breaks while it rings."""
    stage.calls(ANN, TV)
    stage.goes(TV)
    stage.waits(3)
    stage.comes(TV)
    stage.answers(TV, "called_success")


def caller_comes_back(stage: Stage) -> None:
    """The caller misses the acceptance."""
    stage.calls(ANN, TV)
    stage.goes(ANN)
    stage.answers(TV, "called_success")
    stage.waits(1)
    stage.comes(ANN)


def does_not_come_back(stage: Stage) -> None:
    """It breaks for good."""
    stage.talk()
    stage.goes(ANN)
    stage.waits(35)


def newer_connection(stage: Stage) -> None:
    """A device reconnects while it talks."""
    stage.talk()
    stage.waits(3)
    stage.comes(TV)
    stage.hangs_up(TV)


def operator_ends(stage: Stage) -> None:
    """The operator ends it, once while it rings and once while they talk."""
    stage.calls(ANN, TV)
    stage.ends()
    stage.talk()
    stage.ends()


def nobody_comes(stage: Stage) -> None:
    """Nobody comes to the page."""
    stage.talk()
    stage.waits(605)


def late_answers(stage: Stage) -> None:
    """An acceptance of a call that is over, and of one that nobody knows."""
    stage.calls(ANN, TV)
    stage.hangs_up(ANN, TV.phone, "")
    stage.answers(TV, "called_success")
    stage.says(TV, "called_success", from_phone="1", from_device_id="2", room_id="f" * 32)


STORIES: Final[tuple[Callable[[Stage], None], ...]] = (
    accepted_caller_hangs_up,
    accepted_callee_hangs_up,
    refused,
    cancelled,
    nobody_answers,
    offline,
    busy,
    answered_elsewhere,
    refused_elsewhere,
    glare,
    another_call,
    callee_calls,
    comes_back,
    rung_again,
    caller_comes_back,
    does_not_come_back,
    newer_connection,
    operator_ends,
    nobody_comes,
    late_answers,
)


def casts() -> Iterator[frozenset[DeviceAddress]]:
    """Every choice of those who are extended, but for all of them."""
    for chosen in product((False, True), repeat=len(EVERYONE)):
        if not all(chosen):
            yield frozenset(address for address, is_extended in zip(EVERYONE, chosen, strict=True) if is_extended)


class StoriesTests(QuietTestCase):
    """All stories."""

    def told(self, story: Callable[[Stage], None], extended: frozenset[DeviceAddress]) -> Stage:
        """Tell a story."""
        stage = Stage(extended)
        story(stage)
        stage.world.stop()
        return stage

    def test_each(self) -> None:
        """Each with every cast: base clients hear the same."""
        for story in STORIES:
            alone = self.told(story, frozenset()).heard
            self.assertTrue(any(alone.values()), story)
            for extended in casts():
                heard = self.told(story, extended).heard
                for address in set(EVERYONE) - extended:
                    self.assertEqual(alone[address], heard[address], (story, address, extended))

    def test_seed_only(self) -> None:
        """Their messages have the types and the fields that this page of the contract has, and no others."""
        for story in STORIES:
            for messages in self.told(story, frozenset()).heard.values():
                for message in messages:
                    self.assertEqual(set(), set(message) - {"type"} - SEED[message["type"]], (story, message))

    def test_pulled(self) -> None:
        """A base client whose other party goes on with another device hears of the end alone, by the name it knows."""
        stage = Stage(frozenset([PAD]))
        stage.talk()
        before = len(stage.heard[ANN])
        stage.says(PAD, "pull", room_id=stage.room)
        self.assertEqual(before, len(stage.heard[ANN]))
        self.assertEqual("moved", stage.heard[TV][-1]["reason"])
        stage.hangs_up(PAD)
        ended = {
            "type": "calling_be_hangup",
            "fire_phone": TV.phone,
            "fire_device_id": TV.device_id,
            "reason": "hangup",
        }
        self.assertEqual([ended | {"room_id": 0}], stage.heard[ANN][before:])
        stage.world.stop()
