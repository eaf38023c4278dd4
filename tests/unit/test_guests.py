"""Guests, who call by a link that rings: over HTTP and sockets in memory (protocol §1, §2.7)."""

from __future__ import annotations

import json
from typing import Any, Final

from twisted.internet.defer import fail
from twisted.internet.task import Clock

from callnet.accounts.links import Guests, GuestTokens
from callnet.accounts.validation import secret_hash
from callnet.calls.session_v2 import LONGEST_FRAME
from callnet.config.schema import LimitSettings
from callnet.errors import Unavailable
from callnet.frames.base import MESSAGE_BYTES
from callnet.model import LINK_NAME_MAX, LINKS_MAX, DeviceAddress, is_guest
from callnet.storage import devices
from callnet.storage.links import SqlLinks
from callnet.web.http import CappedSite
from tests.support.http_wire import HttpWire
from tests.support.people_case import ANN, CAROL, TV, PeopleCase
from tests.support.wires import Device

LIST, MAKE, CHANGE, REMOVE, ENTER = (f"/links/{what}" for what in ("list", "make", "change", "remove", "enter"))
RING_TIME: Final = 45
SECRET: Final = "s" * 32
NOBODYS: Final = "x" * 22
"""The secret of no link."""


BLANK: Final = "\u115f\u1160\u2800\u3164\uffa0"


class GuestCase(PeopleCase):
    """A television and a pad, the phone of which has a link, and Ann."""

    def setUp(self) -> None:
        """Log a device in with its secret, and make a link."""
        super().setUp()
        self.wire = HttpWire(CappedSite(self.fixture.api(), Clock()))
        self.token = self.claimed(TV.phone, "desk")
        self.link = self.make(name="Door")

    def claimed(self, phone: str, device_id: str) -> str:
        """The token of a device that has shown its secret."""
        devices.provision(self.database, phone, [device_id], 0.0, secrets={device_id: secret_hash(SECRET)})
        self.fixture.accounts.forget([phone])
        return self.successResultOf(self.fixture.logins.login(phone, device_id, SECRET)).token

    def post(self, path: str, **fields: Any) -> dict[str, Any]:
        """An answer of the account service."""
        answer: dict[str, Any] = self.wire.request("POST", path, json.dumps(fields).encode()).json()
        return answer

    def ask(self, path: str, **fields: Any) -> dict[str, Any]:
        """The answer to a request of a claimed device that succeeds."""
        answer = self.post(path, **{"token": self.token, **fields})
        self.assertEqual(0, answer["errorCode"], answer)
        self.world.advance(1.5)
        return answer

    def make(self, **fields: Any) -> dict[str, Any]:
        """A new link."""
        made: dict[str, Any] = self.ask(MAKE, **fields)["link"]
        return made

    def links(self) -> list[dict[str, Any]]:
        """The links of the phone."""
        links: list[dict[str, Any]] = self.ask(LIST)["links"]
        return links

    def guest(self, secret: str | None = None, name: str = "Visitor") -> Device:
        """A guest with a link, connected and welcomed."""
        guest = self.world.guest(
            self.ask(ENTER, secret=self.link["secret"] if secret is None else secret, name=name)["guest_token"]
        )
        self.assertEqual("idle", guest.hears()["state"])
        return guest

    def allow(self, from_an_address: int) -> None:
        """Set the limit of calls in an hour from an address."""
        self.fixture.guest_settings.guest_calls_an_hour_from_an_address = from_an_address
        self.fixture.guest_limits.changed()

    def history(self) -> list[dict[str, Any]]:
        """The past calls of the phone."""
        self.successResultOf(self.fixture.historian.write())
        calls: list[dict[str, Any]] = self.ask("/calls/history")["calls"]
        return calls

    def answer(self, device: Device, called: dict[str, Any], kind: str = "called_success") -> None:
        """Have a device answer."""
        device.say(kind, **{name: called[name] for name in ("from_phone", "from_device_id", "room_id")})


class LinksTests(GuestCase):
    """The links of a phone, over HTTP."""

    def test_link(self) -> None:
        """A link is made with what is asked for, changed in parts, and removed."""
        hours = {"from": "08:00", "to": "18:00", "time_zone": "Europe/Berlin"}
        made = self.make(name="Practice", hours=hours, expires_at=5000.5, calls_left=3)
        expected = {"name": "Practice", "is_on": True, "hours": hours, "expires_at": 5000.5, "calls_left": 3}
        self.assertEqual({**made, **expected, "last_used_at": None}, made)
        self.assertEqual(22, len(made["secret"]))
        self.assertEqual(["Door", "Practice"], [link["name"] for link in self.links()])
        changed = self.ask(CHANGE, link_id=made["link_id"], is_on=False, hours=None)["link"]
        self.assertEqual({**made, "is_on": False, "hours": None}, changed)
        more = {"name": "\u3000", "expires_at": None, "calls_left": None, "hours": hours}  # nothing is seen of the name
        changed = self.ask(CHANGE, link_id=made["link_id"], **more)
        self.assertEqual({**made, "is_on": False, "name": "", "expires_at": None, "calls_left": None}, changed["link"])
        self.assertEqual(changed["link"], self.ask(CHANGE, link_id=made["link_id"])["link"])
        self.ask(REMOVE, link_id=made["link_id"])
        self.ask(REMOVE, link_id=made["link_id"])
        self.assertEqual([self.link], self.links())

    def test_of_others(self) -> None:
        """Nobody sees or changes the links of another phone."""
        token = self.claimed(ANN.phone, "desk")
        self.assertEqual([], self.ask(LIST, token=token)["links"])
        self.assertEqual(2, self.post(CHANGE, token=token, link_id=self.link["link_id"], is_on=False)["errorCode"])
        self.ask(REMOVE, token=token, link_id=self.link["link_id"])
        self.assertEqual([self.link], self.links())

    def test_claimed(self) -> None:
        """Only a device that has shown its secret may see and change links."""
        token = self.successResultOf(self.fixture.logins.login(*TV)).token
        for path, fields in (
            (LIST, {}),
            (MAKE, {"name": ""}),
            (CHANGE, {"link_id": self.link["link_id"]}),
            (REMOVE, {"link_id": self.link["link_id"]}),
        ):
            self.assertEqual(5, self.post(path, token=token, **fields)["errorCode"])
            self.assertEqual(4, self.post(path, token="x", **fields)["errorCode"])

    def test_most(self) -> None:
        """A phone has a limited number of links."""
        for number in range(1, LINKS_MAX):
            self.make(name=str(number))
        self.assertEqual(2, self.post(MAKE, token=self.token, name="one more")["errorCode"])
        self.ask(REMOVE, link_id=self.link["link_id"])
        self.make(name="one more")

    def test_values(self) -> None:
        """Values that are not acceptable are named, and nothing changes."""
        wrong: dict[str, list[object]] = {
            "name": ["x" * (LINK_NAME_MAX + 1), "a\nb", 1],
            "is_on": [None, 1],
            "hours": [{"from": "8:00", "to": "18:00", "time_zone": "UTC"}, 7],
            "expires_at": [-1, "x"],
            "calls_left": [-1, 1.5, 10**7],
        }
        for field, values in wrong.items():
            for value in values:
                answer = self.post(CHANGE, token=self.token, link_id=self.link["link_id"], **{field: value})
                self.assertEqual(2, answer["errorCode"], (field, value))
                self.assertIn(field, answer["message"])
        nowhere = {"from": "08:00", "to": "18:00", "time_zone": "Mars/Olympus"}
        self.assertEqual(2, self.post(MAKE, token=self.token, name="", hours=nowhere)["errorCode"])
        self.assertEqual([self.link], self.links())

    def test_export(self) -> None:
        """The links of a phone are exported, and deleted with it."""
        found = devices.export(self.database, TV.phone)
        assert found is not None
        self.assertEqual([self.link["link_id"]], [link["id"] for link in found.links])
        devices.delete(self.database, TV.phone, self.world.clock.seconds)
        self.assertIsNone(devices.export(self.database, TV.phone))


class EnterTests(GuestCase):
    """Guests come in."""

    def test_equal(self) -> None:
        """The answer does not say whether there is such a link."""
        good = self.ask(ENTER, secret=self.link["secret"], name="Eve")
        bad = self.ask(ENTER, secret=NOBODYS, name="Eve")
        other = self.ask(ENTER, secret="", name="Eve")
        self.assertEqual(good.keys(), bad.keys())
        self.assertEqual(good["expires_in"], bad["expires_in"])
        self.assertEqual({len(good["guest_token"])}, {len(one["guest_token"]) for one in (bad, other)})
        self.assertNotEqual(good["guest_token"], self.ask(ENTER, secret=self.link["secret"], name="Eve")["guest_token"])

    def test_names(self) -> None:
        """A name has something that is seen, and nothing that hides."""
        self.allow(from_an_address=0)
        hidden = ("\u200d\u200d", "\u0301", "a\u2028b", "a\u2029b", "a\ue000", "a\u0378", *map("a{}".format, BLANK))
        for name in ("", " ", "*", "x" * 51, "a\u202eb", "a\nb", 5, *hidden):
            self.assertEqual(2, self.post(ENTER, secret=NOBODYS, name=name)["errorCode"], name)
        for name in (" Eve ", "\u0915\u094d\u200d\u0937", "\U0001f468\u200d\U0001f469\u200d\U0001f467", "x" * 50):
            self.assertEqual(0, self.post(ENTER, secret=NOBODYS, name=name)["errorCode"], name)

    def test_tokens(self) -> None:
        """A guest's token is good for nothing else, and no other for a guest."""
        token = self.ask(ENTER, secret=self.link["secret"], name="Eve")["guest_token"]
        self.assertEqual(4, self.post("/calls/history", token=token)["errorCode"])
        self.assertEqual(4, self.post("/ice", token=token)["errorCode"])
        self.assertEqual(401, self.world.ask(f"/socket.io?token={token}").status)
        for wrong in ("", "x", self.token, token[:-4], token[:-4] + "AAAA", "é"):
            self.assertEqual(401, self.world.ask(f"/socket.io/guest?token={wrong}").status, wrong)
        extended = self.world.ask("/socket.io/guest?token=x", {"Sec-WebSocket-Protocol": "callnet.v2"})
        self.assertEqual(4401, extended.close_code)

    def test_two_at_once(self) -> None:
        """Two who come by one link cannot tell from each other whether it is good."""
        for secret in (None, NOBODYS):
            first, second = self.guest(secret), self.guest(secret)
            for guest in (first, second):
                guest.say("ring")
                self.assertEqual([], guest.heard())
            self.world.advance(RING_TIME + 1)
            told = [[{"type": "call_failed", "reason": "no_answer"}]] * 2
            self.assertEqual(told, [first.heard(), second.heard()])

    def test_expires(self) -> None:
        """A token is good for a day."""
        token = self.ask(ENTER, secret=self.link["secret"], name="Eve")["guest_token"]
        self.world.clock.advance(86_400)
        self.assertEqual(401, self.world.ask(f"/socket.io/guest?token={token}").status)

    def test_limit(self) -> None:
        """Guests from one address are limited, whatever they show."""
        for _ in range(LimitSettings().guest_calls_an_hour_from_an_address):
            self.assertEqual(0, self.post(ENTER, secret=NOBODYS, name="Eve")["errorCode"])
        self.assertEqual(6, self.post(ENTER, secret=self.link["secret"], name="Eve")["errorCode"])
        self.assertEqual(1, self.fixture.guests.not_rung["address"])

    def test_no_account(self) -> None:
        """No account has the phone of a guest, under any rule."""
        fixture = type(self.fixture)(phone_format=".*")
        self.addCleanup(fixture.database.close)
        self.assertIsNotNone(fixture.logins.phones.read("gust:0"))
        self.assertIsNone(fixture.logins.phones.read("guest:0"))


class CallTests(GuestCase):
    """Calls of guests."""

    def test_call(self) -> None:
        """It rings like any call, marked as a guest's; the guest hears of the accept, and no phone or device."""
        guest = self.guest(name="Eve")
        guest.say("ring")
        self.assertEqual([], guest.heard())
        called, other = self.tv.hears(), self.pad.hears()
        self.assertTrue(is_guest(called["from_phone"]))
        told = ("Eve", "Eve", True, "Door")
        self.assertEqual(told, tuple(called[name] for name in ("from_device_id", "from_name", "guest", "link_name")))
        self.assertEqual("Door", other["link_name"])
        self.answer(self.tv, called)
        room = called["room_id"]
        page = f"/static/demo/direct_chat.html?room_id={room}"
        self.assertEqual({"type": "call_success", "room_id": room, "page": page}, guest.hears())
        self.tv.say("calling_hangup", notified_phone="", notified_device_id="", room_id=room)
        self.assertEqual({"type": "calling_be_hangup", "room_id": room, "reason": "hangup"}, guest.hears())
        [row] = self.history()
        self.assertEqual(("Eve", True, "answered"), (row["peer_device_id"], row["guest"], row["outcome"]))
        [link] = self.links()
        self.assertEqual(None, link["calls_left"])
        self.assertIsNotNone(link["last_used_at"])
        self.assertEqual(1, self.world.rooms.counts.of_guests["answered"])

    def test_hangs_up(self) -> None:
        """A guest cancels, and hangs up."""
        guest = self.guest()
        guest.say("calling_hangup")
        guest.say("ring")
        self.tv.hears()
        guest.say("calling_hangup")
        self.assertEqual("cancelled", self.tv.hears()["reason"])
        self.pad.heard()
        guest.say("ring")
        self.answer(self.tv, self.tv.hears())
        guest.say("calling_hangup")
        self.assertEqual("hangup", self.tv.hears()["reason"])
        self.assertEqual(["call_success"], [frame["type"] for frame in guest.heard()])

    def test_refused(self) -> None:
        """A refusal is told without a name."""
        guest = self.guest()
        guest.say("ring")
        self.answer(self.tv, self.tv.hears(), "called_refuse")
        self.assertEqual({"type": "call_refuse", "reason": "refused"}, guest.hears())
        self.assertEqual("refused", self.history()[0]["outcome"])
        self.assertEqual(1, self.world.rooms.counts.of_guests["refused"])

    def test_comes_back(self) -> None:
        """A guest that has lost its connection is in its call again."""
        token = self.ask(ENTER, secret=self.link["secret"], name="Eve")["guest_token"]
        guest = self.world.guest(token)
        guest.say("ring")
        guest.leave()
        guest = self.world.guest(token)
        self.assertEqual("ringing", guest.hears()["state"])
        guest.leave()
        self.answer(self.tv, self.tv.hears())
        guest = self.world.guest(token)
        self.assertEqual([("welcome", "active"), ("call_success", None)], self.brief(guest))
        self.tv.leave()
        self.world.advance(31)
        self.assertEqual("connection_lost", guest.hears()["reason"])

    def test_again(self) -> None:
        """A guest that rings while it rings counts once, and does not use up the calls of its link."""
        guest = self.guest()
        for _ in range(5):
            guest.say("ring")
        guest.say("calling_hangup")
        guest.say("ring")
        self.assertEqual(["called", "calling_be_hangup", "called"], [frame["type"] for frame in self.tv.heard()])
        bad = self.guest(NOBODYS)
        for _ in range(5):
            bad.say("ring")
        self.assertEqual({"link": 1, "limit": 0, "address": 0}, self.fixture.guests.not_rung)

    def brief(self, guest: Device) -> list[tuple[str, str | None]]:
        """The type and state of what a guest heard."""
        return [(frame["type"], frame.get("state")) for frame in guest.heard()]

    def test_idle(self) -> None:
        """A guest that is in no call for a minute is cut off, whatever link it has; one in a call is not."""
        for secret in (None, NOBODYS):
            guest, other = self.guest(secret), self.guest(secret)
            self.world.advance(30)
            guest.say("ring")
            self.world.advance(40)
            self.assertEqual((None, 1001), (guest.close_code, other.close_code))
            guest.say("calling_hangup")
            self.world.advance(50)
            self.assertIsNone(guest.close_code)
            self.world.advance(16)
            self.assertEqual(1001, guest.close_code)
        self.tv.heard(), self.pad.heard()
        guest = self.guest()
        guest.say("ring")
        self.answer(self.tv, self.tv.hears())
        self.world.advance(100)
        self.assertIsNone(guest.close_code)

    def test_frames(self) -> None:
        """A guest says little else."""
        guest = self.guest()
        guest.say("ping", t=1)
        self.assertEqual({"type": "pong", "t": 1}, guest.hears())
        guest.say("call", to_phone=ANN.phone, to_device_id=ANN.device_id)
        self.assertEqual("unknown type", guest.hears()["message"])
        self.assertEqual([], self.ann.heard())
        for _ in range(21):
            guest.say("call")
        self.assertEqual(4400, guest.close_code)

    def test_long_frame(self) -> None:
        """A guest sends no signals, and so no longer frames than a base device does."""
        for longer, code in ((0, None), (1, 1009)):
            guest = self.guest()
            ping = b'{"type":"ping"}'
            guest.say_raw(ping.ljust(LONGEST_FRAME + longer))
            self.assertEqual(code, guest.close_code)

    def test_cannot_be_called(self) -> None:
        """Nobody calls a guest."""
        guest = self.guest()
        guest.say("ring")
        called = self.tv.hears()
        self.answer(self.tv, called)
        guest.heard()
        address = DeviceAddress(called["from_phone"], called["from_device_id"])
        self.assertEqual("offline", self.calls(self.ann, address)["reason"])
        self.assertEqual([], guest.heard())

    def test_long(self) -> None:
        """Long names of guests and links are announced in less than 512 bytes."""
        self.ask(CHANGE, link_id=self.link["link_id"], name="\U0001f4fa" * LINK_NAME_MAX)
        for name in ("\U0001f4fa" * 50, "x" * 50):
            guest = self.guest(name=name)
            guest.say("ring")
            called = self.tv.hears()
            self.assertEqual(name, called["from_device_id"])
            self.assertTrue(name.startswith(called["from_name"]))
            guest.say("calling_hangup")
            self.tv.hears()
        self.assertLess(max(len(frame.payload) for frame in self.tv.wire.frames), MESSAGE_BYTES)


class NobodyTests(GuestCase):
    """A link that does not ring looks like nobody at home."""

    def rings(self, secret: str | None = None) -> bool:
        """Have a guest ring, who hears the same in any case; return whether it rings somebody."""
        guest = self.guest(secret)
        guest.say("ring")
        rung = [self.tv.heard(), self.pad.heard()]
        self.world.advance(RING_TIME - 5)
        self.assertEqual([], guest.heard())
        self.world.advance(6)
        self.assertEqual({"type": "call_failed", "reason": "no_answer"}, guest.hears())
        self.tv.heard(), self.pad.heard()
        guest.leave()
        return any(rung)

    def change(self, **fields: Any) -> None:
        """Change the link."""
        self.ask(CHANGE, link_id=self.link["link_id"], **fields)

    def test_unknown(self) -> None:
        """There is no such link, or no more; of that nothing is kept."""
        for secret in (NOBODYS, "", "é" * 500):
            self.assertFalse(self.rings(secret))
        self.ask(REMOVE, link_id=self.link["link_id"])
        self.assertFalse(self.rings())
        self.assertEqual([], self.history())
        counts = self.world.rooms.counts
        self.assertEqual((0, {}, {}, []), (counts.placed, counts.failed, counts.ended, list(counts.recent)))
        self.assertEqual(4, counts.of_guests["no_answer"])
        self.assertEqual({"link": 4, "limit": 0, "address": 0}, self.fixture.guests.not_rung)
        self.guest(NOBODYS).say("ring")
        self.assertEqual({}, self.world.rooms.local_calls.placed_here())

    def test_off(self) -> None:
        """It is off, and on again."""
        self.change(is_on=False)
        self.assertFalse(self.rings())
        self.change(is_on=True)
        self.assertTrue(self.rings())

    def test_expired(self) -> None:
        """Its time is over."""
        self.change(expires_at=self.world.clock.seconds() - 1)
        self.assertFalse(self.rings())
        self.change(expires_at=self.world.clock.seconds() + 600)
        self.assertTrue(self.rings())

    def test_hours(self) -> None:
        """It is not its time of the day. The clock begins at midnight."""
        self.change(hours={"from": "08:00", "to": "18:00", "time_zone": "UTC"})
        self.assertFalse(self.rings())
        self.change(hours={"from": "22:00", "to": "04:00", "time_zone": "UTC"})
        self.assertTrue(self.rings())

    def test_calls_left(self) -> None:
        """As many calls may be answered as are left; those that are not do not count."""
        self.change(calls_left=1)
        self.assertTrue(self.rings())
        self.assertEqual(1, self.links()[0]["calls_left"])
        guest = self.guest()
        guest.say("ring")
        self.answer(self.tv, self.tv.hears())
        guest.say("calling_hangup")
        self.tv.heard(), self.pad.heard()
        self.assertEqual(0, self.links()[0]["calls_left"])
        self.assertFalse(self.rings())

    def test_calls_left_away(self) -> None:
        """A call counts as well whose guest is away when it is answered; once, though it is told when it is back."""
        self.change(calls_left=1)
        token = self.ask(ENTER, secret=self.link["secret"], name="Eve")["guest_token"]
        guest = self.world.guest(token)
        guest.say("ring")
        guest.leave()
        self.answer(self.tv, self.tv.hears())
        self.assertEqual(0, self.links()[0]["calls_left"])
        guest = self.world.guest(token)
        self.assertEqual(["welcome", "call_success"], [frame["type"] for frame in guest.heard()])
        guest.say("calling_hangup")
        self.assertEqual(1, self.world.rooms.counts.of_guests["answered"])
        self.tv.heard(), self.pad.heard()
        self.assertFalse(self.rings())

    def test_nobody_there(self) -> None:
        """Nobody is at home: the owner sees a missed call."""
        self.tv.leave()
        self.pad.leave()
        guest = self.guest(name="Eve")
        guest.say("ring")
        self.world.advance(RING_TIME + 1)
        self.assertEqual({"type": "call_failed", "reason": "no_answer"}, guest.hears())
        [row] = self.history()
        self.assertEqual(("Eve", "missed", True), (row["peer_device_id"], row["outcome"], row["guest"]))
        self.ask("/calls/delete", room_id=row["room_id"])
        self.assertEqual([], self.history())

    def come(self) -> Device:
        """A guest with the link that is unknown to the account service."""
        guest = self.world.guest(self.fixture.guests.tokens.enter(self.link["secret"], "Eve").guest_token)
        guest.heard()
        return guest

    def test_limit(self) -> None:
        """Too many calls by a link ring nobody, and leave nothing."""
        self.allow(from_an_address=0)
        for _ in range(LimitSettings().guest_calls_an_hour_of_a_link):
            guest = self.come()
            guest.say("ring")
            self.assertEqual("called", self.tv.heard()[-1]["type"])
            guest.say("calling_hangup")
            guest.leave()
        before = len(self.history())
        self.pad.heard(), self.tv.heard()
        guest = self.come()
        guest.say("ring")
        self.world.advance(RING_TIME + 1)
        self.assertEqual({"type": "call_failed", "reason": "no_answer"}, guest.hears())
        self.assertEqual([], self.tv.heard())
        self.assertEqual(before, len(self.history()))
        self.assertEqual(1, self.fixture.guests.not_rung["limit"])

    def test_limit_of_an_address(self) -> None:
        """Too many calls from one address are told so, whatever they show, and no link is looked up for them."""
        for _ in range(LimitSettings().guest_calls_an_hour_from_an_address):
            guest = self.come()
            guest.say("ring")
            guest.say("calling_hangup")
            guest.leave()
        away = SqlLinks(self.database, lambda *_, **__: fail(Unavailable()))
        guests = Guests(away, GuestTokens(self.fixture.tokens), self.world.clock.seconds, self.fixture.guest_limits)
        self.world.guests = guests
        self.tv.heard()
        for secret in (self.link["secret"], NOBODYS):
            guest = self.world.guest(guests.tokens.enter(secret, "Eve").guest_token)
            guest.heard()
            guest.say("ring")
            self.assertEqual({"type": "call_failed", "reason": "rate_limited"}, guest.hears())
        self.assertEqual([], self.tv.heard())
        self.assertEqual(2, guests.not_rung["address"])

    def test_one_call(self) -> None:
        """A guest that rings while its call rings keeps nobody else out."""
        guest = self.come()
        for _ in range(LimitSettings().guest_calls_an_hour_from_an_address + 5):
            guest.say("ring")
        guest.say("calling_hangup")
        self.tv.heard()
        other = self.come()
        other.say("ring")
        self.assertEqual("called", self.tv.hears()["type"])
        self.assertEqual({"link": 0, "limit": 0, "address": 0}, self.fixture.guests.not_rung)

    def test_database_away(self) -> None:
        """While the database is away no link rings, good or not, and both are told the same."""
        tokens = self.fixture.tokens
        away = SqlLinks(self.database, lambda *_, **__: fail(Unavailable()))
        self.world.guests = Guests(away, GuestTokens(tokens), tokens.now, self.fixture.guest_limits)
        for secret in (None, NOBODYS):
            guest = self.guest(secret)
            guest.say("ring")
            self.assertEqual({"type": "call_failed", "reason": "unavailable"}, guest.hears())


class FamilyFirstTests(GuestCase):
    """Callers that are no guests go first."""

    def test_makes_way(self) -> None:
        """Somebody else's call takes the devices that ring for a guest; another guest's call rings nobody."""
        guest, another = self.guest(), self.guest()
        guest.say("ring")
        room = self.tv.hears()["room_id"]
        another.say("ring")
        self.assertEqual([], another.heard())
        self.assertEqual({}, self.calls(self.ann, TV._replace(device_id="*")))
        over, called = self.tv.heard()
        self.assertEqual((room, "replaced"), (over["room_id"], over["reason"]))
        self.assertEqual(ANN.phone, called["from_phone"])
        self.assertNotIn("guest", called)
        self.answer(self.tv, called)
        self.assertEqual("call_success", self.ann.hears()["type"])
        self.assertEqual([], guest.heard())
        another.say("calling_hangup")
        guest.say("calling_hangup")
        self.pad.heard()
        another.say("ring")
        self.assertEqual("called", self.pad.hears()["type"])


class ChangedTests(GuestCase):
    """Devices hear that links were changed."""

    def test_changed(self) -> None:
        """An extended device of the phone is told; one of another phone is not."""
        token = self.successResultOf(self.fixture.logins.login(TV.phone, "desk", SECRET)).token
        extended = {"Sec-WebSocket-Protocol": "callnet.v2"}
        desk = Device(self.world, self.world.ask(f"/socket.io?token={token}", extended), 66_000)
        other = self.connected(CAROL)
        self.world.advance(3)
        desk.heard()
        self.make(name="Second")
        self.world.advance(3)
        self.assertEqual([{"type": "changed", "what": ["links"]}], desk.heard())
        self.assertEqual([], other.heard())
