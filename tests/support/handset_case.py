"""A handset at a scripted server."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred

from callnet.cli.handset import Answering, Handset, Media
from callnet_client import Device, DeviceAddress
from tests.support.client_case import ClientCase, ScriptedServer

OWN = DeviceAddress("13651884967", "tv")
FRIEND = DeviceAddress("13651884968", "phone1")
OTHER = DeviceAddress("13651884969", "pad")
ROOM, ROOM_2 = "0123456789abcdef0123456789abcdef", "fedcba9876543210fedcba9876543210"


class HandsetCase(ClientCase):
    """A handset at a scripted server."""

    def setUp(self) -> None:
        """Listen."""
        super().setUp()
        self.server = ScriptedServer()
        self.listen(self.server)
        self.lines: list[str] = []

    def start(
        self, answering: Answering = "ask", callee: DeviceAddress | None = None, media: Media | None = None
    ) -> None:
        """Turn the handset on; with media it is extended, if the server is."""
        self.handset = Handset(self.lines.append, self.server_of(), answering, callee, media)
        self.device: Device = self.device_of(
            OWN, extended=media is not None, call_waiting=self.handset.call_waiting, watch=self.handset.watch
        )
        self.done: Deferred[int] = self.handset.run(self.device)
        self.arrive()

    def start_calling(self) -> None:
        """Turn it on to call the friend."""
        self.start(callee=FRIEND)
        self.assert_said("call")

    def start_talking(self) -> None:
        """Turn it on to call the friend, who accepts."""
        self.start_calling()
        self.say("call_success", to_phone=FRIEND.phone, to_device_id=FRIEND.device_id, room_id=ROOM)

    def start_rung(self) -> None:
        """Turn it on; the friend calls."""
        self.start()
        self.ring()

    def say(self, kind: str, **fields: Any) -> None:
        """Let the server say something."""
        self.server.say(kind, **fields)
        self.settle()

    def ring(self, caller: DeviceAddress = FRIEND, room: str = ROOM, **fields: Any) -> None:
        """Let the handset be called."""
        self.say("called", from_phone=caller.phone, from_device_id=caller.device_id, room_id=room, **fields)

    def be_hung_up(self, room: str = ROOM, reason: str = "hangup") -> None:
        """Let the server end a call."""
        self.say(
            "calling_be_hangup", fire_phone=FRIEND.phone, fire_device_id=FRIEND.device_id, room_id=room, reason=reason
        )

    def assert_said(self, *kinds: str) -> list[dict[str, Any]]:
        """The server has heard messages of these types since this was last asked, and no other."""
        self.settle()
        heard, self.server.heard = [json.loads(payload) for payload in self.server.heard], []
        self.assertEqual(list(kinds), [message["type"] for message in heard])
        return heard

    def assert_shown(self, text: str) -> None:
        """The last line says this."""
        self.assertIn(text, self.lines[-1])

    def assert_page(self, room: str) -> None:
        """The page of this room is shown."""
        self.assertIn(f"https://callnet.test:8080/static/demo/direct_chat.html?room_id={room}", self.lines[-1].split())

    def assert_done(self, status: int) -> None:
        """The handset is done, with this exit status."""
        self.assertEqual(status, self.successResultOf(self.done))
        self.device.close()
        self.settle()
