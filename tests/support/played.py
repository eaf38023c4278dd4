"""Sequence diagrams of the manual, played: the messages of devices go to a server, and the answers are compared.

A participant ``Page`` or ``Other page`` is the page of a room, ``Guest`` a guest with a link to the phone of the
others, one that ends with ``(v2)`` an extended client, which can show a second call, every other one but ``callnet`` a
base client.
"""

from __future__ import annotations

import re
from collections import deque
from typing import Any, Final

from callnet.model import DeviceAddress
from tests.support.wires import Device, World
from tools.handbook.sequence import Arrow, Break, Diagram, Note

SERVER: Final = "callnet"
GUEST: Final = "Guest"
_PAGES: Final = ("Page", "Other page")
_ROOM: Final = "8888"
PHONES: Final = ("13651884967", "13800138000")
"""The phone of the first device, and that of the others."""


class Player:
    """Plays one diagram.

    :param guest: the token of the guest, if there is one.
    :raises AssertionError: somebody hears something else than the diagram has.
    """

    def __init__(self, world: World, diagram: Diagram, guest: str = "") -> None:
        self._world = world
        self._diagram = diagram
        self._guest = guest
        self._sockets: dict[str, Device] = {}
        self._inboxes: dict[str, deque[dict[str, Any]]] = {}
        self._room = ""
        for name in diagram.participants:
            if name != SERVER:
                self._inboxes[name] = deque()
                if name not in _PAGES and not self._comes_later(name):
                    self._connect(name)
                    self._sockets[name].heard()  # an extended client was welcomed before

    def play(self) -> None:
        """All of it; in the end nobody has heard anything that the diagram does not have."""
        for step in self._diagram.steps:
            if isinstance(step, Arrow):
                self._arrow(step)
            elif isinstance(step, Note):
                self._note(step)
            elif isinstance(step, Break):
                self._world.advance(int(step.text.split()[0]))
        self._listen()
        unheard = {name: list(inbox) for name, inbox in self._inboxes.items() if inbox}
        assert not unheard, f"the diagram lacks {unheard}"

    def _arrow(self, step: Arrow) -> None:
        tail, head = (self._diagram.participants[place] for place in (step.tail, step.head))
        if head == SERVER:
            self._say(tail, step)
        elif tail == SERVER:
            self._expect(head, step)

    def _note(self, step: Note) -> None:
        name = self._diagram.participants[step.first]
        if step.text == "loses its connection":
            self._listen()
            self._sockets.pop(name).leave()
        elif step.text in ("connects", "connects again"):
            self._connect(name)

    def _say(self, name: str, step: Arrow) -> None:
        if name in _PAGES and name not in self._sockets:
            self._sockets[name] = self._world.page()
        self._sockets[name].say(step.text, **self._fields(name, step))

    def _fields(self, name: str, step: Arrow) -> dict[str, Any]:
        """The fields of a message, as far as the diagram has them or they follow from earlier messages."""
        if name == GUEST:
            return {}
        number = str(1 + _PAGES.index(name)) if name in _PAGES else ""
        other = self._address(next(each for each in self._inboxes if each != name))
        if step.text == "call":
            every, target = re.fullmatch(r"to (\* of )?(.+)", step.more).groups()  # type: ignore[union-attr]
            called = self._address(target)
            return {"to_phone": called.phone, "to_device_id": "*" if every else called.device_id}
        room = "" if step.more == "without a room" else self._room
        said: dict[str, dict[str, Any]] = {
            "called_success": {"from_phone": other.phone, "from_device_id": other.device_id, "room_id": room}
            | ({"hold": True} if step.more == "with hold" else {}),
            "called_refuse": {"from_phone": other.phone, "from_device_id": other.device_id, "room_id": room},
            "calling_hangup": {"notified_phone": other.phone, "notified_device_id": other.device_id, "room_id": room},
            "join": {"room_id": _ROOM, "key": 32 * number, "session": 32 * number},
            "relay": {"to": 32 * ("2" if number == "1" else "1"), "data": {}},
            "hangup": {},
        }
        return said[step.text]

    def _expect(self, name: str, step: Arrow) -> None:
        self._listen()
        assert self._inboxes[name], f"{name} does not hear {step.text}"
        message = self._inboxes[name].popleft()
        assert message["type"] == step.text, f"{name} hears {message}, not {step.text}"
        if said := re.fullmatch(r"(reason|state) (\w+)", step.more):
            assert message[said[1]] == said[2], f"{name} hears {message}, not {step.more}"
        room = message.get("room_id", "")
        assert step.more != "with the same room" or room == self._room, f"{name} hears of another room"
        self._room = room or self._room

    def _listen(self) -> None:
        self._world.settle()
        for name, socket in self._sockets.items():
            self._inboxes[name].extend(socket.heard())

    def _connect(self, name: str) -> None:
        address = self._address(name)
        if name == GUEST:
            self._sockets[name] = self._world.guest(self._guest)
        elif name.endswith("(v2)"):
            self._sockets[name] = self._world.extended(*address, more="&call_waiting=1")
        else:
            self._sockets[name] = self._world.device(*address)

    def _comes_later(self, name: str) -> bool:
        notes = [step for step in self._diagram.steps if isinstance(step, Note) and step.text == "connects"]
        return name in {self._diagram.participants[note.first] for note in notes}

    def _address(self, name: str) -> DeviceAddress:
        if name == GUEST:
            assert self._world.guests is not None
            return self._world.guests.tokens.verify(self._guest).address
        first = name == self._diagram.participants[0]
        return DeviceAddress(PHONES[0 if first else 1], name.lower())
