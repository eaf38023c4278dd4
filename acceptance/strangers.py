"""Strangers with the token of a guest, which is good for one call at a time of one guest, and for nothing else.

They show it to every path of the account service, to the operator's, and at the socket of devices; send the frames of
devices, with the owner's phone in them; ring twice, on many sockets at once, and when the token has run out; and come
with tokens that are not theirs.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import tempfile
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from acceptance.crowd.crowd import door_of
from acceptance.daemon import WITHOUT_LIMITS, CountedDaemon
from acceptance.faults.line import Door
from acceptance.machine import set_clock
from acceptance.porch import Owner
from acceptance.proof import Outcome
from acceptance.visitor import DEVICE_PATH, GUEST_PATH, Visitor
from harness import ROOT
from harness.base_protocol import Frame
from harness.daemon import with_admin_socket
from harness.device import Device
from harness.websocket import Refused
from harness.wire import exchange, login, post, request

RING_TIME: Final = 5.0
"""Seconds: longer than a guest takes to ring on many sockets, one after the other, on a busy machine."""
DAY: Final = 86_400.0
TOKEN_INVALID: Final = 4
"""An error of the account service."""
DATA_INVALID: Final = 2
CLOSED_INVALID: Final = 4401
CLOSED_DISPLACED: Final = 4409
CLOSED_BAD_FRAMES: Final = 4400
BAD_FRAMES: Final = 30
"""More than a guest may send in a minute."""
SOCKETS: Final = 20
FORGED: Final = 50
PHONE: Final = "13400000001"
_ROOM: Final = "0123456789abcdef" * 2
_FIELDS: Final[Mapping[str, Any]] = {
    "phone": PHONE,
    "contact_phone": "13400000002",
    "device_id": "set-0",
    "pin": "1234",
    "room_id": "*",
    "link_id": "0" * 12,
    "pairing_id": _ROOM,
    "user_code": "AAAA-AAAA",
    "name": "Eve",
    "label": "Eve",
    "kind": "webhook",
    "target": "x",
}
"""The fields that requests need; those that they do not know they ignore."""
FRAMES: Final[Sequence[Frame]] = (
    {"type": "call", "to_phone": PHONE, "to_device_id": "*"},
    {"type": "ring", "to_phone": PHONE, "to_device_id": "set-0"},
    {"type": "called_success", "from_phone": PHONE, "from_device_id": "set-0", "room_id": _ROOM},
    {"type": "called_refuse", "from_phone": PHONE, "from_device_id": "set-0", "room_id": _ROOM},
    {"type": "calling_hangup", "notified_phone": PHONE, "notified_device_id": "set-0", "room_id": _ROOM},
    {"type": "signal", "room_id": _ROOM, "data": {"kind": "x"}},
    {"type": "pull", "room_id": _ROOM},
    {"type": "join", "room_id": _ROOM, "key": _ROOM, "session": _ROOM},
    {"type": "welcome"},
)
"""The frames of devices and pages, of which a guest may send a ring, though it names nobody, and a hangup."""


class Strangers:
    """All that they try on one daemon.

    :param clock: the file with the seconds by which its clock is ahead.
    """

    def __init__(self, daemon: CountedDaemon, clock: Path) -> None:
        self._daemon = daemon
        self._clock = clock
        self._door: Final[Door] = door_of(daemon)
        self._owner = Owner([self._door], PHONE)
        self.counts: Final[Counter[str]] = Counter()
        self.misses: Final[list[str]] = []

    async def run(self) -> None:
        """Try everything."""
        await self._owner.begin()
        self._secret = (await self._owner.make("Door"))["secret"]
        ports = self._door.account, self._door.signaling
        self._device = await Device.connect(ports, (PHONE, "set-0"))
        await self._try_account_service()
        await self._try_admin()
        await self._try_sockets()
        await self._try_forged()
        await self._try_frames()
        await self._ring_twice()
        await self._ring_on_many()
        await self._replay()
        self._device.drop()

    def _guest(self, name: str = "Eve") -> Visitor:
        return Visitor([self._door], self._secret, name)

    async def _try_account_service(self) -> None:
        """Every path that takes a token takes no guest's, in the body or in the header."""
        guest = self._guest()
        await guest.enter()
        paths = json.loads((ROOT / "docs" / "openapi.json").read_text())["paths"]
        for path, item in paths.items():
            asked = item.get("post", {})
            if "security" not in asked:
                continue
            answers = [await post(self._door.account, path, {**_FIELDS, "token": guest.token})]
            header = f"\r\nAuthorization: Bearer {guest.token}\r\nContent-Type".encode()
            raw = request(path, json.dumps(_FIELDS).encode()).replace(b"\r\nContent-Type", header, 1)
            answers.append((await exchange(self._door.account, raw)).json())
            self.counts["requests of the account service with a guest's token"] += len(answers)
            for answer in answers:
                self._expect(answer["errorCode"] == TOKEN_INVALID, f"{path} took the token of a guest: {answer}")

    async def _try_admin(self) -> None:
        guest = self._guest()
        await guest.enter()
        paths = ("/api/calls", "/api/devices", "/api/links", "/api/links/remove", "/api/revoke")
        for path in paths:
            reader, writer = await asyncio.open_unix_connection(str(self._daemon.admin))
            header = f"\r\nAuthorization: Bearer {guest.token}\r\nContent-Type".encode()
            writer.write(request(path, b"{}").replace(b"\r\nContent-Type", header, 1))
            status = int((await reader.read(-1)).split(b" ")[1])
            writer.transport.abort()
            self.counts["requests of the admin API with a guest's token"] += 1
            self._expect(status in (401, 403), f"{path} answered {status} to a guest's token")

    async def _try_sockets(self) -> None:
        """A guest's token is none of a device, and a device's is none of a guest."""
        token = await login(self._door.account, PHONE, "set-1")
        for path, name, shown in ((DEVICE_PATH, "a guest's", None), (GUEST_PATH, "a device's", token)):
            guest = self._guest()
            await guest.enter()
            await self._expect_invalid(guest, path, shown, f"{path} took {name} token")
        guest = self._guest()
        await guest.enter()
        for path in ("/socket.io/guest/", "/socket.io/guest/x", "/socket.io/x", "/room"):
            try:
                await guest.connect(path)
            except Refused as refused:
                self._expect(refused.status == 404, f"{path}: {refused.status}")
            else:
                self._expect(False, f"{path} took a guest")

    async def _try_forged(self) -> None:
        """A token that differs in a character is none, nor is one of another name."""
        guest = self._guest()
        await guest.enter()
        whole = guest.token
        for number in range(FORGED):
            # The last character has bits that mean nothing.
            place = number * (len(whole) - 1) // FORGED
            other = "A" if whole[place] != "A" else "B"
            forged = self._guest()
            shown = whole[:place] + other + whole[place + 1 :]
            await self._expect_invalid(forged, GUEST_PATH, shown, "a forged token was taken")
        for shown in ("", "x", secrets.token_urlsafe(96), whole[:-8], "=" * 40, "\u00e9" * 40):
            await self._expect_invalid(self._guest(), GUEST_PATH, shown, "a token that is none was taken")

    async def _expect_invalid(self, guest: Visitor, path: str, token: str | None, otherwise: str) -> None:
        await guest.connect(path, token)
        code = await guest.ended()
        self.counts["sockets with a token that is not for them"] += 1
        self._expect(code == CLOSED_INVALID and not guest.heard, f"{otherwise}: {code}, {guest.heard}")

    async def _try_frames(self) -> None:
        """Frames of devices are errors, a ring that names somebody is a ring, and many errors close the socket."""
        guest = self._guest()
        await guest.arrive()
        for frame in FRAMES:
            guest.say(**{"kind": frame["type"], **{name: value for name, value in frame.items() if name != "type"}})
            self.counts["frames that are not a guest's"] += frame["type"] not in ("ring", "calling_hangup")
        guest.say("ping")
        await guest.until("pong")
        errors = [frame for frame in guest.heard if frame["type"] == "error"]
        self._expect(len(errors) == self.counts["frames that are not a guest's"], f"{len(errors)} errors")
        self._expect(PHONE.encode() not in guest.stream, "an error said what a guest had said")
        called = await self._device.until("called")
        self._expect(called["from_device_id"] == "Eve", "another than the guest rang")
        await self._device.until("calling_be_hangup")  # its hangup, which named another room
        for _ in range(BAD_FRAMES):
            guest.say("call", to_phone=PHONE, to_device_id="*")
        code = await guest.ended()
        self._expect(code == CLOSED_BAD_FRAMES, f"many bad frames closed with {code}")

    async def _ring_twice(self) -> None:
        """A guest that rings again and again has one call. Another one's rings nobody meanwhile, and is not told so."""
        guest, other = self._guest(), self._guest("Mallory")
        await guest.arrive()
        await other.arrive()
        before = self._calls()
        ringing = asyncio.ensure_future(guest.rings())
        await self._device.until("called")
        for _ in range(5):
            guest.say("ring")
        self._expect((await other.rings()).get("reason") == "no_answer", "a second guest was told of the first one")
        self._expect((await ringing).get("reason") == "no_answer", "a call that rang twice came out otherwise")
        await self._device.until("calling_be_hangup")
        self._expect(self._calls() - before == 1, "a guest that rang twice had two calls")
        for one in (guest, other):
            await one.leave()

    async def _ring_on_many(self) -> None:
        """Many sockets of one token are one guest: the newest remains, and has the call."""
        guests = [self._guest() for _ in range(SOCKETS)]
        await guests[0].enter()
        before = self._calls()
        for guest in guests:
            await guest.connect(token=guests[0].token)
            await guest.until("welcome")
            guest.say("ring")
        codes = [await guest.ended() for guest in guests[:-1]]
        self._expect(set(codes) == {CLOSED_DISPLACED}, f"sockets of one token were closed with {set(codes)}")
        outcome = await guests[-1].until("call_failed")
        self._expect(outcome["reason"] == "no_answer", f"many sockets of one token: {outcome}")
        rang = self._calls() - before
        self.counts["sockets of one token"] = SOCKETS
        self.counts["calls that they rang"] = rang
        self._expect(rang == 1, f"{SOCKETS} sockets of one token rang {rang} calls")
        await guests[-1].leave()

    async def _replay(self) -> None:
        """A token is good again on another day only until it runs out."""
        guest = self._guest()
        await guest.enter()
        set_clock(self._clock, DAY - 60)
        again = self._guest()
        await again.connect(token=guest.token)
        await again.until("welcome")
        await again.leave()
        set_clock(self._clock, DAY + 1)
        await self._expect_invalid(self._guest(), GUEST_PATH, guest.token, "a token that has run out was taken")
        set_clock(self._clock, 0)

    def _calls(self) -> int:
        return sum(frame["type"] == "called" for frame in self._device.heard)

    def _expect(self, is_so: bool, otherwise: str) -> None:
        if not is_so:
            self.misses.append(f"strangers: {otherwise}")


def prove() -> Outcome:
    """All that they try, on one daemon."""
    with tempfile.TemporaryDirectory(prefix="callnet-proof-") as name:
        folder = Path(name)
        clock = folder / "clock"
        set_clock(clock, 0)
        program = ("acceptance.set_clock", str(clock))
        settings = f"calls.ring_time = {RING_TIME}\n{WITHOUT_LIMITS}"
        with CountedDaemon(folder, settings, program, listeners=with_admin_socket(folder)) as daemon:
            strangers = Strangers(daemon, clock)
            asyncio.run(strangers.run())
            complaints = [f"strangers: the daemon logged {line}" for line in daemon.complaints()]
    return Outcome(
        {f"strangers: {what}": number for what, number in strangers.counts.items()}, [*strangers.misses, *complaints]
    )
