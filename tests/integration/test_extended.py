"""Extended clients, and base ones beside them, on a real daemon with two workers (protocol §2.5)."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.task import deferLater

from tests.integration.test_workers import WorkersTestCase, workers_of
from tests.support.devices import ASK_AGAIN, NodeLifecycle, member
from tests.support.extended_client import ExtendedDevice, connect_extended, open_extended
from tests.support.processes import stopped
from tests.support.shared_daemon import new_phone

reactor: Any = installed


class ExtendedTests(WorkersTestCase):
    """Ann's devices are at one worker, Bert's at the other."""

    async def setUp(self) -> None:  # type: ignore[override]
        """Know the workers, and who calls."""
        await super().setUp()
        self.ann, self.bert = new_phone(), new_phone()
        self.secrets: dict[tuple[str, str], str] = {}
        await self.become_ready()
        self.one, self.other = workers_of(self.daemon)

    async def token(self, phone: str, device_id: str) -> str:
        """A token of a device that claims itself."""
        who = {"phone": phone, "device_id": device_id}
        if (phone, device_id) not in self.secrets:
            self.secrets[phone, device_id] = (await self.service.post("/account/login", who))["device_secret"]
        answer = await self.service.post("/account/login", {**who, "secret": self.secrets[phone, device_id]})
        return str(answer["token"])

    async def extended(self, phone: str, device_id: str, elsewhere: int, token: str | None = None) -> ExtendedDevice:
        """Connect a device to the worker that is not ``elsewhere``."""
        token = token or await self.token(phone, device_id)
        with stopped(elsewhere):
            device = await connect_extended(self.service, token)
        self.addCleanup(device.leaves)
        return device

    async def base(self, phone: str, device_id: str, elsewhere: int) -> NodeLifecycle:
        """Connect a base device."""
        token = await self.token(phone, device_id)
        with stopped(elsewhere):
            return await member(self, self.service, phone, device_id, token=token)

    async def found(self, phone: str, *device_ids: str) -> None:
        """Wait until these are online: a worker that stood still for too long has to join again with its devices."""
        token, online = await self.token(phone, device_ids[0]), set[str]()
        while not online.issuperset(device_ids):
            await deferLater(reactor, ASK_AGAIN)
            rows = (await self.service.post("/devices/list", {"token": token}))["devices"]
            online = {row["device_id"] for row in rows if row["online"]}

    async def test_call(self) -> None:
        """A call rings, is accepted, carries signals both ways, moves to another device, and ends."""
        ann = await self.extended(self.ann, "phone", self.other)
        bert, pad = await self.extended(self.bert, "tv", self.one), await self.extended(self.bert, "pad", self.other)
        await self.found(self.ann, "phone")
        await self.found(self.bert, "tv", "pad")
        ann.says("call", to_phone=self.bert, to_device_id="tv", id="first")
        called = await bert.hears("called")
        await ann.hears("call_ringing", room_id=called["room_id"])
        bert.says("called_success", from_phone=self.ann, from_device_id="phone", room_id=called["room_id"])
        success = await ann.hears("call_success")
        self.assertEqual("first", success["id"])
        room = success["room_id"]
        for number in range(10):
            ann.says("signal", room_id=room, data={"n": number})
        await bert.hears("signal", data={"n": 9})
        heard = [frame["data"]["n"] for frame in bert.frames if frame["type"] == "signal"]
        self.assertEqual(list(range(10)), heard)
        pad.says("pull", room_id=room)
        taken_over = (await pad.hears("call_success"))["room_id"]
        self.assertNotEqual(room, taken_over)
        await bert.hears("calling_be_hangup", reason="moved", room_id=room)
        await ann.hears("peer_state", state="moved", device_id="pad", room_id=room)
        pad.says("signal", room_id=taken_over, data="mine")
        await ann.hears("signal", data="mine", room_id=room)
        pad.says("calling_hangup", notified_phone=self.ann, notified_device_id="phone", room_id=taken_over)
        await ann.hears("calling_be_hangup", reason="hangup", room_id=room)

    async def test_comes_back_elsewhere(self) -> None:
        """A party that loses its connection and comes back at the other worker is welcomed with its call."""
        ann, bert = await self.extended(self.ann, "phone", self.other), await self.extended(self.bert, "tv", self.one)
        await self.found(self.ann, "phone")
        await self.found(self.bert, "tv")
        ann.says("call", to_phone=self.bert, to_device_id="tv")
        room = (await bert.hears("called"))["room_id"]
        bert.says("called_success", from_phone=self.ann, from_device_id="phone", room_id=room)
        await ann.hears("call_success")
        await bert.leaves()
        await ann.hears("peer_state", state="reconnecting")
        again = await self.extended(self.bert, "tv", self.other)
        self.assertEqual(room, again.frames[0]["call"]["room_id"])
        await ann.hears("peer_state", state="back")

    async def test_presence_and_missed_calls(self) -> None:
        """Ann sees Bert come and go; a call missed while her device was away is reported when it is back."""
        token = await self.token(self.ann, "phone")
        await self.service.post("/contacts/add", {"token": token, "contact_phone": self.bert, "name": "Bert"})
        ann = await self.extended(self.ann, "phone", self.other, token)
        bert = await self.base(self.bert, "tv", self.one)
        await ann.hears("presence", phone=self.bert, device_id="tv", online=True)
        await ann.leaves()
        bert.calls(self.ann, "phone").hang_up()  # it is cancelled, or fails: it was missed all the same
        again = ann
        while not any(frame["type"] == "missed" for frame in again.frames):
            again = await self.extended(self.ann, "phone", self.other, token)
            await again.hears("presence", phone=self.bert)
            await again.leaves()
        (missed,) = (frame for frame in again.frames if frame["type"] == "missed")
        self.assertEqual([(self.bert, "tv", "phone")], [tuple(call[k] for k in PEER) for call in missed["calls"]])

    async def test_bad_token(self) -> None:
        """A bad token is answered by 4401, on a socket that was opened."""
        device = await open_extended(self.service, "none")
        self.assertEqual(4401, (await device.connection.when_closed()).code)


PEER = ("peer_phone", "peer_device_id", "device_id")
