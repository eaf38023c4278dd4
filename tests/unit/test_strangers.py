"""A stranger with an account, and devices of somebody else's phone that have no secret (docs/security.md)."""

from __future__ import annotations

import json
from typing import Any

from callnet.storage import devices
from callnet.storage.database import Database
from harness.websocket import TEXT
from tests.support.tap_case import DaemonTestCase
from tests.support.wires import Wire

VICTIM, FRIEND = "13651884967", "13651884968"


class StrangersTests(DaemonTestCase):
    """A daemon that only the operator's devices may use."""

    def start(self, settings: str = "") -> None:
        """Start a daemon with devices that have no secret."""
        daemon = self.compose(f'drain_deadline = 0\naccounts.enrolment = "known"\n{settings}')
        database = Database(f"sqlite:///{self.state_dir}/callnet.db")
        for phone, device_ids in ((VICTIM, ["handset", "mytv"]), (FRIEND, ["phone"])):
            devices.provision(database, phone, device_ids, 0.0)
        database.close()
        self.begin(daemon)
        self.wires: list[Wire] = []
        self.addCleanup(self.leave)

    def test_start(self) -> None:
        """A start warns of devices without a secret if the network can reach it, unless they need a code."""
        database = Database(f"sqlite:///{self.state_dir}/callnet.db")
        self.compose()
        devices.provision(database, VICTIM, ["handset", "mytv"], 0.0)
        devices.provision(database, VICTIM, ["pad"], 0.0, secrets={"pad": b"s" * 32})
        database.close()
        otp = f'accounts.enrolment = "otp"\n[accounts.otp]\nurl = "https://x/"\nsecret = "{"s" * 32}"\n'
        listeners = '[listeners]\naccount = [{endpoint = "%s"}]\nadmin = []\n'
        for enrolment, endpoint, is_warned in (
            ('accounts.enrolment = "known"\n', "tcp:8083", True),
            ('accounts.enrolment = "known"\n', "tcp:8083:interface=127.0.0.1", False),
            (otp, "tcp:8083", False),
            (f"{otp}code_without_secret = false\n", "tcp:8083", True),
        ):
            daemon = self.compose(enrolment + listeners % endpoint)
            self.assertEqual(is_warned, "2 devices have no secret" in daemon._greeting, enrolment)

    def leave(self) -> None:
        """Break all connections."""
        for wire in self.wires:
            wire.leave()

    def connect(self, phone: str, device_id: str, extended: bool = False) -> Wire:
        """Log a device in and open its socket."""
        token = self.post(8083, "/account/login", phone=phone, device_id=device_id)["token"]
        wire = Wire(self.factory(8082))
        wire.handshake(f"/socket.io?token={token}", {"Sec-WebSocket-Protocol": "callnet.v2"} if extended else {})
        self.carry(wire)
        while not all(peer.session.generation for peer in self.factory(8082).sockets):
            self.reactor.take_thread()
        self.carry(wire)
        self.wires.append(wire)
        return wire

    def say(self, wire: Wire, kind: str, **fields: str) -> None:
        """Have a device send a frame."""
        wire.frame(TEXT, json.dumps({"type": kind, **fields}).encode())
        self.carry(*self.wires)

    def heard(self, wire: Wire, kind: str) -> list[dict[str, Any]]:
        """The frames of this type that a device was sent."""
        frames = [json.loads(frame.payload) for frame in wire.frames if frame.opcode == TEXT]
        return [frame for frame in frames if frame["type"] == kind]

    def test_takes_no_call_over(self) -> None:
        """A login as an unclaimed device of a phone is shown no call of that phone, and takes none over."""
        self.start()
        friend, handset = self.connect(FRIEND, "phone"), self.connect(VICTIM, "handset")
        self.say(friend, "call", to_phone=VICTIM, to_device_id="*")
        [called] = self.heard(handset, "called")
        room = called["room_id"]
        self.say(handset, "called_success", from_phone=FRIEND, from_device_id="phone", room_id=room)
        [success] = self.heard(friend, "call_success")
        stranger = self.connect(VICTIM, "mytv", extended=True)
        [welcome] = self.heard(stranger, "welcome")
        self.assertEqual([], welcome["calls_of_phone"])
        self.say(stranger, "pull", room_id=success["room_id"])
        self.assertEqual(1, len(self.heard(stranger, "error")))
        self.assertEqual([], self.heard(stranger, "call_success") + self.heard(handset, "calling_be_hangup"))

    def look(self) -> None:
        """Let the daemon read the changes, and the presence."""
        for _ in range(6):
            self.reactor.advance(1)
            self.rows(FRIEND, "phone")  # the database answers one after the other
            self.carry(*self.wires)

    def rows(self, phone: str, device_id: str) -> list[tuple[str, str]]:
        """The list of a phone that one of its devices is shown."""
        token = self.post(8083, "/account/login", phone=phone, device_id=device_id)["token"]
        answer = self.post(8083, "/getContactPersons", phone=phone, token=token)
        return [(row["phone"], row["device_id"]) for row in answer["contacts"]]

    def list_(self, owner: str, device_id: str, phone: str) -> None:
        """Put a phone in the list of another."""
        token = self.post(8083, "/account/login", phone=owner, device_id=device_id)["token"]
        self.assertEqual(0, self.post(8083, "/contacts/add", token=token, contact_phone=phone)["errorCode"])

    def test_sees_no_devices(self) -> None:
        """A phone on a list is shown with its devices once it lists the reader, too, and may be called before."""
        self.start()
        self.list_(FRIEND, "phone", VICTIM)
        friend, handset = self.connect(FRIEND, "phone", extended=True), self.connect(VICTIM, "handset")
        self.look()
        self.assertEqual([], self.rows(FRIEND, "phone") + self.heard(friend, "presence"))
        self.say(friend, "call", to_phone=VICTIM, to_device_id="*")
        self.assertEqual(1, len(self.heard(handset, "called")))
        self.list_(VICTIM, "handset", FRIEND)
        self.look()
        self.assertEqual([(VICTIM, "handset"), (VICTIM, "mytv")], self.rows(FRIEND, "phone"))
        self.assertEqual(["handset"], [seen["device_id"] for seen in self.heard(friend, "presence")])

    def test_sees_devices(self) -> None:
        """If the operator allows it, devices are shown to everyone who lists their phone."""
        self.start("accounts.devices_shown_to_anyone = true")
        self.list_(FRIEND, "phone", VICTIM)
        self.assertEqual([(VICTIM, "handset"), (VICTIM, "mytv")], self.rows(FRIEND, "phone"))
