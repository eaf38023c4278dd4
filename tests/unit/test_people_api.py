"""Profiles, people, and one's own devices over HTTP: a real site, the real services, a database in memory."""

from __future__ import annotations

import base64
from typing import Any

from callnet.model import CONTACT_PHOTOS_MAX, DEVICE_LABEL_MAX, PHOTO_MAX, PROFILE_NAME_MAX, DeviceAddress
from callnet.storage import contacts
from callnet.storage.contacts import Pair
from tests.support.account_fixture import FRIEND, PHONE
from tests.support.api_case import ADD, BLOCK, CONTACTS, LOGIN, MARK, ApiTestCase
from tests.unit.test_pictures import jpeg, png, segment, vp8, vp8x, webp

PROFILE = "/account/profile"
PHOTO = "/contacts/photo"
LIST = "/contacts/list"
ADDED = "/contacts/added"
DISMISS = "/contacts/dismiss"
BLOCKED = "/contacts/blocked"
DEVICES = "/devices/list"
RENAME = "/devices/rename"
CONFIGURE = "/devices/configure"
UNLOCK = "/devices/unlock"
DELETE = "/calls/delete"
OTHER = "13651884969"
NOBODY = "13651884960"
SQUARE = jpeg(256, 256)


def in_base64(data: bytes) -> str:
    """Bytes, as they are on the wire."""
    return base64.b64encode(data).decode("ascii")


class PeopleApiCase(ApiTestCase):
    """Two phones that are logged in."""

    def setUp(self) -> None:
        """Log in."""
        super().setUp()
        self.token = self.login()
        self.friends = self.login(FRIEND, "tv")

    def ask(self, path: str, token: str | None = None, **fields: Any) -> dict[str, Any]:
        """The answer to a request that succeeds, but for the envelope."""
        answer: dict[str, Any] = self.post(path, {"token": token or self.token, **fields}).json()
        self.assertEqual(0, answer["errorCode"], answer)
        return {name: value for name, value in answer.items() if name not in ("errorCode", "errorCodeName", "message")}

    def refusal(self, path: str, token: str | None = None, **fields: Any) -> tuple[int, str]:
        """The errorCode and the message of a refusal."""
        answer = self.post(path, {"token": token or self.token, **fields}).json()
        return answer["errorCode"], answer["message"]


class ProfileTests(PeopleApiCase):
    """``/account/profile`` and ``/contacts/photo``."""

    def test_profile(self) -> None:
        """Named fields are set, and the answer has all of them; null removes the photo."""
        self.assertEqual({"name": "", "photo": None}, self.ask(PROFILE))
        self.assertEqual({"name": "王芳", "photo": None}, self.ask(PROFILE, name="王芳"))
        version = self.ask(PROFILE, photo=in_base64(SQUARE))["photo"]
        self.assertEqual({"name": "王芳", "photo": version}, self.ask(PROFILE))
        another = self.ask(PROFILE, name="", photo=in_base64(png(8, 8)))
        self.assertNotEqual(version, another["photo"])
        self.assertEqual({"name": "", "photo": None}, self.ask(PROFILE, photo=None))
        self.assertEqual({"name": "", "photo": None}, self.ask(PROFILE, self.friends))

    def test_blank_name(self) -> None:
        """A name of which nothing is seen is none."""
        for name in (" ", "\u3000", "\ufeff", "\u2800"):
            self.ask(PROFILE, name="王芳")
            self.assertEqual("", self.ask(PROFILE, name=name)["name"], name)

    def test_photo(self) -> None:
        """A photo is shown as it was given, with its type and its version."""
        for data, kind in ((SQUARE, "jpeg"), (png(512, 512), "png"), (webp(vp8(1, 1)), "webp")):
            version = self.ask(PROFILE, photo=in_base64(data))["photo"]
            photo = {"type": f"image/{kind}", "version": version, "data": in_base64(data)}
            self.assertEqual({"photo": photo}, self.ask(PHOTO, contact_phone=PHONE))
        self.assertEqual(3, self.fixture.profiles.photos)

    def test_given_photo(self) -> None:
        """The devices of a phone see the photo that one of them has given a contact; its own is seen without one."""
        own = self.ask(PROFILE, self.friends, photo=in_base64(SQUARE))["photo"]
        self.ask(ADD, self.friends, contact_phone=PHONE)
        self.ask(ADD, contact_phone=FRIEND, name="Friend", photo=in_base64(png(8, 8)))
        pad = self.login(PHONE, "pad")
        (person,) = self.ask(LIST, pad)["contacts"]
        shown = self.ask(PHOTO, pad, contact_phone=FRIEND)["photo"]
        self.assertEqual((shown["version"], True, "Friend"), (person["photo"], person["photo_given"], person["name"]))
        self.assertEqual(in_base64(png(8, 8)), shown["data"])
        self.assertEqual(own, self.ask(PHOTO, self.friends, contact_phone=FRIEND)["photo"]["version"])
        self.ask(ADD, contact_phone=FRIEND, photo=None)
        (person,) = self.ask(LIST, pad)["contacts"]
        self.assertEqual((own, False, "Friend"), (person["photo"], person["photo_given"], person["name"]))
        self.assertEqual(1, self.fixture.lists.photos)

    def test_wrong_given_photos(self) -> None:
        """A photo for a contact is taken as one's own is; one that is not changes nothing."""
        for photo, why in (
            ("?", "base64"),
            (in_base64(jpeg(256, 255)), "square"),
            (in_base64(jpeg(256, 256, segment(0xE1, b"Exif\0\0"))), "metadata"),
            (in_base64(jpeg(256, 256, pixels=b"\0" * PHOTO_MAX)), "bytes"),
        ):
            code, message = self.refusal(ADD, contact_phone=FRIEND, name="x", photo=photo)
            self.assertEqual((2, True), (code, why in message), message)
        self.assertEqual((2, "photo must be a string or null"), self.refusal(ADD, contact_phone=FRIEND, photo=7))
        self.assertEqual([], self.ask(LIST)["contacts"])
        self.assertEqual(0, self.fixture.lists.photos)

    def test_most_given_photos(self) -> None:
        """The code of an error says that no further contact may have a photo."""
        for number in range(CONTACT_PHOTOS_MAX):
            self.ask(ADD, contact_phone=str(13_000_000_000 + number), photo=in_base64(png(8, 8)))
        code, message = self.refusal(ADD, contact_phone=FRIEND, photo=in_base64(png(8, 8)))
        self.assertEqual((8, f"at most {CONTACT_PHOTOS_MAX} contacts have photos; remove one first"), (code, message))
        self.ask(ADD, contact_phone=FRIEND)
        self.assertEqual(CONTACT_PHOTOS_MAX, self.fixture.lists.photos)

    def test_hidden_photo(self) -> None:
        """One that may not be seen is answered as one that is not there: so is that of no account."""
        self.ask(PROFILE, photo=in_base64(SQUARE))
        for phone in (PHONE, FRIEND, NOBODY):
            self.assertEqual({"photo": None}, self.ask(PHOTO, self.friends, contact_phone=phone))
        self.ask(ADD, self.friends, contact_phone=PHONE)
        self.assertIsNotNone(self.ask(PHOTO, self.friends, contact_phone=PHONE)["photo"])
        self.ask(BLOCK, contact_phone=FRIEND)
        self.assertEqual({"photo": None}, self.ask(PHOTO, self.friends, contact_phone=PHONE))

    def test_wrong_photos(self) -> None:
        """A photo that is none, or not a square one, too large, animated or with metadata, changes nothing."""
        version = self.ask(PROFILE, photo=in_base64(SQUARE))["photo"]
        many = PHOTO_MAX - len(jpeg(256, 256, pixels=b""))
        for photo, why in (
            ("", "is not a whole picture"),
            (MARK, "is not base64"),
            ("é", "is not base64"),
            (in_base64(SQUARE) + "\n", "is not base64"),
            (in_base64(SQUARE[:-1]), "is not a whole picture"),
            (in_base64(b"GIF89a"), "is not a whole picture"),
            (in_base64(jpeg(256, 255)), "is not a square"),
            (in_base64(jpeg(513, 513)), "is not a square"),
            (in_base64(png(0, 0)), "is not a square"),
            (in_base64(jpeg(256, 256, pixels=b"\0" * (many + 1))), "has more than 32768 bytes"),
            (in_base64(jpeg(256, 256, segment(0xE1, b"Exif\0\0"))), "has metadata"),
            (in_base64(webp(vp8x(8, 8, flags=0x02), (b"ANIM", b"\0" * 6))), "is animated"),
        ):
            code, message = self.refusal(PROFILE, photo=photo)
            self.assertEqual((2, True), (code, why in message), (photo[:20], message))
        self.assertEqual(version, self.ask(PROFILE)["photo"])
        self.ask(PROFILE, photo=in_base64(jpeg(256, 256, pixels=b"\0" * many)))

    def test_wrong_fields(self) -> None:
        """A name or a photo of another type is errorCode 2, and so is a name that is too long or not plain."""
        self.assertEqual((2, "name must be a string"), self.refusal(PROFILE, name=None))
        self.assertEqual((2, "photo must be a string or null"), self.refusal(PROFILE, photo=7))
        for name in ("x" * (PROFILE_NAME_MAX + 1), "a\0", "\x7f", "Eve\u202e.meht ddA", "a\u2069"):
            self.assertEqual(2, self.refusal(PROFILE, name=name)[0])
        self.assertEqual("", self.ask(PROFILE)["name"])
        for name in ("\u0915\u094d\u200d\u0937", "\U0001f468\u200d\U0001f467", "\u05d3\u05e0\u05d4\u200f"):
            self.assertEqual(name, self.ask(PROFILE, name=name)["name"])
        for phone in ("", "x", MARK):
            self.assertEqual(3, self.refusal(PHOTO, contact_phone=phone)[0])

    def test_large_body(self) -> None:
        """The body of a profile or a contact may have 64 KiB, and that of nothing else."""
        padding = "x" * 50_000
        self.ask(ADD, contact_phone=FRIEND, padding=padding)
        self.ask(PROFILE, padding=padding)
        self.ask(PROFILE + "?a=b", padding=padding)
        self.assert_error(2, PROFILE, {"token": self.token, "padding": "x" * 70_000}, 413)
        for path in (PHOTO, LOGIN, LIST, PROFILE + "/", "/account", "/"):
            self.assert_error(2, path, {"token": self.token, "padding": padding}, 413)

    def test_tokens(self) -> None:
        """Without a token it is errorCode 2, with an invalid one errorCode 4."""
        bodies = {PHOTO: {"contact_phone": PHONE}, DISMISS: {"contact_phone": PHONE}, DELETE: {"room_id": "*"}}
        for path in (PROFILE, PHOTO, LIST, ADDED, DISMISS, BLOCKED, DEVICES, DELETE):
            body = bodies.get(path, {})
            self.assert_error(2, path, body)
            self.assert_error(4, path, {**body, "token": "a.b.c"})


class PeopleTests(PeopleApiCase):
    """``/contacts/list``, ``/contacts/added``, ``/contacts/dismiss`` and ``/contacts/blocked``."""

    def test_list(self) -> None:
        """One row for each contact, with devices or without, and what of it may be seen."""
        self.ask(ADD, contact_phone=FRIEND, favourite=True)
        self.ask(ADD, contact_phone=OTHER, name="Ann")
        self.ask(BLOCK, contact_phone=OTHER)
        version = self.ask(PROFILE, self.friends, name="王芳", photo=in_base64(SQUARE))["photo"]
        self.fixture.put_online(DeviceAddress(FRIEND, "tv"))
        friend = {
            "phone": FRIEND,
            "name": "",
            "profile_name": "王芳",
            "photo": version,
            "photo_given": False,
            "favourite": True,
            "joined": True,
            "online": True,
            "blocked": False,
        }
        other = {
            "phone": OTHER,
            "name": "Ann",
            "profile_name": "",
            "photo": None,
            "photo_given": False,
            "favourite": False,
            "joined": False,
            "online": False,
            "blocked": True,
        }
        self.assertEqual({"contacts": [friend, other]}, self.ask(LIST))
        self.ask(ADD, contact_phone=FRIEND, favourite=False, name="Mum")
        friend |= {"name": "Mum", "favourite": False}
        first = self.ask(LIST, limit=1)
        self.assertEqual([friend], first["contacts"])
        self.assertEqual({"contacts": [other]}, self.ask(LIST, limit=1, after=first["next"]))
        self.assertEqual({"phones": [OTHER]}, self.ask(BLOCKED))

    def test_devices_list_is_as_ever(self) -> None:
        """The list of devices has the fields that it always had."""
        self.ask(ADD, contact_phone=FRIEND, favourite=True)
        self.ask(PROFILE, self.friends, name="王芳", photo=in_base64(SQUARE))
        row = {"phone": FRIEND, "device_id": "tv", "name": "", "online": False}
        self.assertEqual({"contacts": [row]}, self.ask(CONTACTS, phone=PHONE))

    def test_wrong_cursors(self) -> None:
        """A cursor or a limit that is none is errorCode 2."""
        for after in ("", "x", "W10=", "IiI=", MARK):
            self.assertEqual(2, self.refusal(LIST, after=after)[0], after)
        self.assertEqual((2, "limit must be a whole number from 1 to 500"), self.refusal(LIST, limit=0))
        self.assertEqual(
            (2, "favourite must be true, false or null"), self.refusal(ADD, contact_phone=FRIEND, favourite=1)
        )

    def test_added(self) -> None:
        """A phone is shown who added it, until it does the same or dismisses that one."""
        contacts.add(self.fixture.database, [Pair(OTHER, PHONE)], 0.0)
        self.ask(ADD, self.friends, contact_phone=PHONE)
        self.ask(PROFILE, self.friends, name="王芳")
        friend = {"phone": FRIEND, "profile_name": "王芳", "photo": None}
        other = {"phone": OTHER, "profile_name": "", "photo": None}
        self.assertEqual({"added": [friend, other]}, self.ask(ADDED))
        self.ask(DISMISS, contact_phone=OTHER)
        self.ask(DISMISS, contact_phone=NOBODY)
        self.assertEqual({"added": [friend]}, self.ask(ADDED))
        self.ask(ADD, contact_phone=FRIEND)
        self.assertEqual({"added": []}, self.ask(ADDED))
        self.assertEqual(3, self.refusal(DISMISS, contact_phone="x")[0])

    def test_who_may_call(self) -> None:
        """A phone may let only its contacts call; others do not see its photo then."""
        self.ask(ADD, self.friends, contact_phone=PHONE)
        self.ask(PROFILE, photo=in_base64(SQUARE))
        for who, is_seen in (("contacts", False), ("anyone", True)):
            self.assertEqual(who, self.ask("/account/settings", who_may_call=who)["who_may_call"])
            self.assertEqual(who, self.ask("/account/settings")["who_may_call"])
            photo = self.ask(PHOTO, self.friends, contact_phone=PHONE)["photo"]
            self.assertEqual(is_seen, photo is not None)
        self.assertEqual(
            (2, 'who_may_call must be "anyone" or "contacts"'), self.refusal("/account/settings", who_may_call="all")
        )

    def test_wrong_room(self) -> None:
        """Calls are deleted by their room, or all at once by ``*``; anything else is errorCode 2."""
        for room in ("0" * 32, "*"):
            self.assertEqual({}, self.ask(DELETE, room_id=room))
        for wrong in ("", "0" * 31, "**", MARK):
            self.assertEqual(2, self.refusal(DELETE, room_id=wrong)[0])
        self.assertEqual((2, "room_id is missing"), self.refusal(DELETE))


class OwnDevicesTests(PeopleApiCase):
    """``/devices/list``, ``/devices/rename``, ``/devices/logout`` and ``/devices/remove``."""

    def setUp(self) -> None:
        """A device that has shown its secret, and one that has not."""
        super().setUp()
        secret = self.post(LOGIN, {"phone": PHONE, "device_id": "phone"}).json()["device_secret"]
        self.secret = {"phone": PHONE, "device_id": "phone", "secret": secret}
        self.claimed: str = self.post(LOGIN, self.secret).json()["token"]

    def devices(self, token: str | None = None) -> dict[str, dict[str, Any]]:
        """The devices of the phone, by their ids."""
        return {row.pop("device_id"): row for row in self.ask(DEVICES, token or self.claimed)["devices"]}

    def test_list(self) -> None:
        """All devices of the phone are listed; it is said which one asks, and which are connected."""
        self.fixture.put_online(DeviceAddress(PHONE, "tv888"))
        self.fixture.clock.advance(1)
        row = {"label": "", "last_used_at": None, "online": False, "this": False, "kiosk": False, "auto_answers": False}
        own = row | {"last_used_at": 1.0, "this": True}  # it has logged in twice
        self.assertEqual({"phone": own, "tv888": row | {"online": True}}, self.devices())
        self.assertTrue(self.devices(self.token)["tv888"]["this"])
        self.fixture.accounts.used(DeviceAddress(PHONE, "tv888"))
        self.fixture.clock.advance(5)
        self.assertEqual(6.0, self.devices()["tv888"]["last_used_at"])

    def test_rename(self) -> None:
        """A device gives itself a label, and one that has shown its secret gives one to others."""
        self.ask(RENAME, device_id="tv888", label="Living room 📺")
        self.assertEqual("Living room 📺", self.devices()["tv888"]["label"])
        self.ask(RENAME, self.claimed, device_id="tv888", label="")
        self.assertEqual("", self.devices()["tv888"]["label"])
        self.ask(RENAME, device_id="tv888", label="\u3000")  # nothing of it is seen
        self.assertEqual("", self.devices()["tv888"]["label"])
        for label in ("x" * (DEVICE_LABEL_MAX + 1), "a\0"):
            self.assertEqual(2, self.refusal(RENAME, device_id="tv888", label=label)[0])

    def test_configure(self) -> None:
        """A device changes its own settings, and one that has shown its secret those of others; a PIN makes a kiosk."""
        self.ask(CONFIGURE, device_id="tv888", auto_answers=True)
        self.ask(CONFIGURE, self.claimed, device_id="tv888", kiosk_pin="0471")
        found = self.post(DEVICES, {"token": self.claimed})
        self.assertNotIn(b"0471", found.body)
        tv = self.devices()["tv888"]
        self.assertEqual((True, True), (tv["kiosk"], tv["auto_answers"]))
        self.ask(CONFIGURE, self.claimed, device_id="tv888", kiosk_pin=None, auto_answers=False)
        tv = self.devices()["tv888"]
        self.assertEqual((False, False), (tv["kiosk"], tv["auto_answers"]))

    def test_pins(self) -> None:
        """A PIN has four to eight digits."""
        for pin in ("1234", "01234567"):
            self.ask(CONFIGURE, self.claimed, device_id="tv888", kiosk_pin=pin)
        for wrong in ("", "123", "123456789", "12a4", "12 34", "1234\n", "\u0661\u0662\u0663\u0664", 1234, True):
            code, message = self.refusal(CONFIGURE, self.claimed, device_id="tv888", kiosk_pin=wrong)
            self.assertEqual((2, True), (code, message.startswith("kiosk_pin ")), (wrong, message))
        self.assertEqual(0, self.post(UNLOCK, {"token": self.token, "pin": "01234567"}).json()["errorCode"])

    def test_unlock(self) -> None:
        """The kiosk itself ends by its PIN alone; five wrong ones need a wait, in which the right one is wrong, too."""
        self.ask(CONFIGURE, self.claimed, device_id="tv888", kiosk_pin="0471")
        for fields in ({"kiosk_pin": None}, {"kiosk_pin": "1111"}):
            self.assertEqual(5, self.refusal(CONFIGURE, device_id="tv888", **fields)[0])
        self.ask(CONFIGURE, device_id="tv888", auto_answers=True)
        for _ in range(5):
            self.assertEqual((7, "wrong pin"), self.refusal(UNLOCK, pin="0472"))
        late = self.post(UNLOCK, {"token": self.token, "pin": "0471"})
        self.assertEqual((429, 6, "30"), (late.status, late.json()["errorCode"], late.headers["retry-after"]))
        self.fixture.clock.advance(30)
        self.ask(UNLOCK, pin="0471")
        self.assertFalse(self.devices()["tv888"]["kiosk"])
        self.ask(UNLOCK, pin="9999")

    def test_log_out(self) -> None:
        """A device that is logged out has no valid token, and its secret is of no use."""
        other = self.post(LOGIN, {"phone": PHONE, "device_id": "pad"}).json()
        pad = {"phone": PHONE, "device_id": "pad", "secret": other["device_secret"]}
        self.assertEqual(0, self.post(LOGIN, pad).json()["errorCode"])
        self.ask("/devices/logout", self.claimed, device_id="pad")
        self.assertEqual(4, self.refusal(DEVICES, other["token"])[0])
        self.assertEqual(5, self.post(LOGIN, pad).json()["errorCode"])
        self.assertIn("pad", self.devices())

    def test_log_out_without_secret(self) -> None:
        """One that has no secret may log in again."""
        self.ask("/devices/logout", self.claimed, device_id="phone")
        self.assertEqual(4, self.refusal(DEVICES, self.claimed)[0])
        self.assertEqual(5, self.post(LOGIN, self.secret).json()["errorCode"])

    def test_remove(self) -> None:
        """A removed device is gone, and so are its tokens."""
        self.ask("/devices/remove", self.claimed, device_id="tv888")
        self.assertEqual(["phone"], list(self.devices()))
        self.assertEqual(4, self.refusal(DEVICES)[0])
        self.assertEqual(0, self.post(LOGIN, {"phone": PHONE, "device_id": "tv888"}).json()["errorCode"])

    def test_remove_with_secret(self) -> None:
        """A removed device that shows its secret does not come back by itself; without it, it is a new one."""
        self.ask("/devices/remove", self.claimed, device_id="phone")
        self.assertEqual(5, self.post(LOGIN, self.secret).json()["errorCode"])
        self.assertEqual(["tv888"], list(self.devices(self.token)))
        del self.secret["secret"]
        self.assertIn("device_secret", self.post(LOGIN, self.secret).json())

    def test_who_may(self) -> None:
        """A device without a secret changes no other one, and nobody changes one of another phone, or none."""
        for path in ("/devices/logout", "/devices/remove", RENAME, CONFIGURE):
            fields = {"label": "x"} if path == RENAME else {}
            self.assertEqual(5, self.refusal(path, device_id="phone", **fields)[0])
            for device_id in ("tv", "nothing", "", "*", "x" * 51):
                self.assertEqual(5, self.refusal(path, self.claimed, device_id=device_id, **fields)[0], device_id)
        self.assertEqual(["phone", "tv888"], sorted(self.devices()))
