"""``callnet account``: accounts and their devices."""

from __future__ import annotations

import json
import time

from twisted.internet.task import Clock

from callnet.accounts.validation import secret_hash
from callnet.model import DeviceAddress, RoomId
from callnet.storage.codes import SqlPairings
from callnet.storage.contacts import Photo, SqlContacts, SqlProfiles
from callnet.storage.database import Database
from callnet.storage.devices import SqlDevices
from callnet.storage.enrolling import Enrolled, SqlAccounts
from callnet.storage.history import PastCall, SqlHistory
from callnet.storage.push import PushKind, PushRegistration, SqlPushRegistrations
from callnet.storage.revoking import SqlRevocations
from tests.support.immediate import run_at_once
from tests.unit.test_cli import A, B, C, CommandTestCase

ROOM = RoomId("0" * 32)
NIGHT = "22:30", "07:00", "Europe/Berlin"


class AccountTests(CommandTestCase):
    """``callnet account``."""

    def test_list(self) -> None:
        """All accounts are listed with the number of their devices."""
        self.run_("database", "upgrade")
        self.assertEqual(self.run_("account", "list"), "")
        database = Database(self.url)
        self.addCleanup(database.close)
        accounts = SqlAccounts(database, run_at_once, Clock())
        for address in (DeviceAddress(B, "x"), DeviceAddress(A, "tv"), DeviceAddress(A, "pad")):
            self.successResultOf(accounts.enrol(address, b"o" * 32))
        self.assertEqual(self.run_("account", "list"), f"{A}  2\n{B}  1\n")

    def test_without_a_database(self) -> None:
        """A command about what is there fails, and makes no database: its settings may not be those of the service."""
        for command in (
            ("account", "list"),
            ("account", "secret", A, "tv"),
            ("account", "revoke", A, "tv"),
            ("account", "export", A),
            ("account", "delete", A, "--yes"),
            ("contact", "remove", A, B),
            ("contact", "unblock", A, B),
            ("contact", "list"),
            ("contact", "export"),
            ("link", "list", A),
            ("link", "remove", A, "x"),
            ("webhook", "list"),
            ("webhook", "retry", "--all"),
            ("database", "check"),
        ):
            self.assert_one_line(self.fail_(*command), self.url.partition("///")[2], "was never started")
        self.assertEqual([self.config], list(self.directory.iterdir()))

    def test_before_the_first_start(self) -> None:
        """A command that adds something makes the database, and says so."""
        for command in (
            ("account", "add", A),
            ("account", "invite", A, "tv", "--site", "https://calls.example.org"),
            ("account", "settings", A),
            ("contact", "add", A, B),
            ("contact", "block", A, B),
        ):
            self.assert_one_line(self.invoke(*command).stderr, "Created the database", "was never started")
            self.assertEqual("", self.invoke(*command).stderr)
            (self.directory / "callnet.db").unlink()

    def test_add(self) -> None:
        """An account and its devices are made, once; each new device has a secret, which is shown."""
        self.assertEqual(self.run_("account", "add", A), "")
        shown = dict(line.split("  ") for line in self.run_("account", "add", A, "tv", "pad").splitlines())
        self.assertEqual({"pad": 32, "tv": 32}, {device_id: len(secret) for device_id, secret in shown.items()})
        self.assertEqual(self.run_("account", "add", A, "tv"), "")
        self.assertEqual(self.run_("account", "list"), f"{A}  2\n")
        for device_id, secret in shown.items():
            self.assertEqual(secret_hash(secret), self.kept(device_id).secret)

    def test_add_without_secret(self) -> None:
        """A device that cannot be told a secret is made without; one that has a secret keeps it."""
        self.run_("account", "add", A, "tv")
        self.assertEqual(self.run_("account", "add", A, "tv", "pad", "--no-secret"), "")
        self.assertIsNone(self.kept("pad").secret)
        self.assertIsNotNone(self.kept("tv").secret)

    def kept(self, device_id: str) -> Enrolled:
        """The stored state of a device."""
        database = Database(self.url)
        self.addCleanup(database.close)
        accounts = SqlAccounts(database, run_at_once, Clock())
        found = self.successResultOf(accounts.find(DeviceAddress(A, device_id)))
        assert found is not None
        return found

    def test_add_what_is_unacceptable(self) -> None:
        """Phones and device ids are those that a login takes; else nothing is made."""
        self.run_("database", "upgrade")
        self.assert_one_line(self.fail_("account", "add", "1", "tv"), "accounts.phone_format")
        for device_id in ("", "*", "x" * 51, "a\nb"):
            self.assert_one_line(self.fail_("account", "add", A, "tv", device_id), "device id")
        self.assertEqual(self.run_("account", "list"), "")

    def test_secret(self) -> None:
        """A device gets a secret that is shown once, or none; there must be such a device."""
        self.run_("database", "upgrade")
        self.assert_one_line(self.fail_("account", "secret", A, "tv"), "no such device")
        self.run_("account", "add", A, "tv")
        first, second = self.run_("account", "secret", A, "tv"), self.run_("account", "secret", A, "tv")
        self.assertNotEqual(first, second)
        self.assertEqual(32, len(first.strip()))
        self.assertEqual(self.run_("account", "secret", A, "tv", "--clear"), "")

    def test_revoke(self) -> None:
        """Tokens of a phone, or of a device, are revoked; a word tells if there is no such account."""
        self.run_("database", "upgrade")
        self.assert_one_line(self.fail_("account", "revoke", A), "no such account")
        self.run_("account", "add", A, "tv")
        self.assertEqual(self.run_("account", "revoke", A), "")
        self.assertEqual(self.run_("account", "revoke", A, "tv"), "")
        self.assert_one_line(self.fail_("account", "revoke", A, "pad"), "no such account or device")
        self.assert_one_line(self.fail_("account", "revoke", A, "*"), "device id")

    def test_older_phones(self) -> None:
        """The data of a phone from before a change of ``accounts.phone_format`` can be shown, and removed."""
        self.run_("account", "add", A, "tv")
        self.run_("contact", "add", A, B)
        self.run_("contact", "block", A, C)
        self.config.write_text(f'accounts.phone_format = "e164"\n{self.config.read_text()}')
        self.assert_one_line(self.fail_("account", "add", A, "pad"), "accounts.phone_format")
        self.assertEqual(f"{A}  {B}\n{A}  blocks  {C}\n", self.run_("contact", "list", A))
        for command in (
            ("account", "secret", A, "tv"),
            ("account", "revoke", A, "tv"),
            ("account", "export", A),
            ("contact", "remove", A, B),
            ("contact", "unblock", A, C),
            ("link", "list", A),
            ("account", "delete", A, "--yes"),
        ):
            self.run_(*command)
        self.assertEqual("", self.run_("account", "list"))
        for what_is_none in ("", "a\nb", "1" * 65):
            self.assertIn("accounts.phone_format", self.fail_("account", "revoke", what_is_none))

    def write_down_a_call(self) -> None:
        """Let there have been a call."""
        times = None, 3.0
        placed = PastCall(B, 1.5, ROOM, False, "pad", DeviceAddress(A, "tv"), *times, "no_answer", False)
        missed = PastCall(A, 1.5, ROOM, True, "tv", DeviceAddress(B, "pad"), *times, "missed", False)
        database = Database(self.url)
        self.addCleanup(database.close)
        self.successResultOf(
            SqlHistory(database, run_at_once, contacts_only=False, rows_max=0).write([(placed, missed)], 1.5)
        )

    def let_be_woken(self, device: DeviceAddress) -> None:
        """Let a device have said how it is woken."""
        registration = PushRegistration(device, PushKind.WEBHOOK, "box 7", 1.5)
        self.assertTrue(self.successResultOf(self.registrations().put(registration, lambda _: False)))

    def registrations(self) -> SqlPushRegistrations:
        """The registrations that wake devices."""
        database = Database(self.url)
        self.addCleanup(database.close)
        return SqlPushRegistrations(database, run_at_once)

    def woken(self) -> list[DeviceAddress]:
        """The devices of a phone that can be woken."""
        found = self.successResultOf(self.registrations().of(DeviceAddress(A, "*")))
        return [one.device for one in found]

    def test_revoked_devices_sleep(self) -> None:
        """A device whose tokens are revoked is not woken any more, and all of a phone if all its tokens are."""
        tv, pad = DeviceAddress(A, "tv"), DeviceAddress(A, "pad")
        self.run_("account", "add", A, "tv", "pad")
        self.let_be_woken(tv)
        self.let_be_woken(pad)
        self.run_("account", "revoke", A, "tv")
        self.assertEqual([pad], self.woken())
        self.let_be_woken(tv)
        self.run_("account", "revoke", A)
        self.assertEqual([], self.woken())

    def present(self) -> str | None:
        """Let the phone have a profile, a favourite, and a device with a label; the version of its photo."""
        database = Database(self.url)
        self.addCleanup(database.close)
        devices = SqlDevices(database, run_at_once, lambda: 1.5)
        self.successResultOf(devices.rename(DeviceAddress(A, "tv"), "TV"))
        photo = Photo("png", b"a")
        self.successResultOf(SqlContacts(database, run_at_once).add(A, B, None, 1.5, favourite=True, photo=photo))
        profiles = SqlProfiles(database, run_at_once)
        return self.successResultOf(profiles.change(A, "王芳", photo, 1.5)).photo

    def test_export(self) -> None:
        """All that is kept of a phone is shown, and no secret."""
        self.run_("database", "upgrade")
        self.assert_one_line(self.fail_("account", "export", A), "nothing is stored")
        self.run_("account", "add", A, "tv", "pad", "--no-secret")
        secret = self.run_("account", "secret", A, "tv").strip()
        self.run_("contact", "add", A, B, "--name", "朋友")
        self.run_("contact", "block", A, C)
        self.run_("account", "settings", A, "--do-not-disturb", *NIGHT, "--auto-answer", B)
        self.run_("account", "settings", A, "--who-may-call", "contacts", "--rings-through", C, "--second-call-rings")
        self.write_down_a_call()
        self.let_be_woken(DeviceAddress(A, "tv"))
        version = self.present()
        unused = {"last_used_at": None, "kiosk": False, "auto_answers": False}
        text = self.run_("account", "export", A)
        self.assertNotIn(secret, text)
        self.assertEqual(
            json.loads(text),
            {
                "phone": A,
                "devices": [
                    {"device_id": "pad", "has_secret": False, "label": ""} | unused,
                    {"device_id": "tv", "has_secret": True, "label": "TV"} | unused,
                ],
                "profile": {"name": "王芳", "photo": version},
                "photo": {"kind": "png", "data": "YQ=="},
                "contacts": {B: "朋友"},
                "favourites": [B],
                "contact_photos": {B: {"kind": "png", "data": "YQ=="}},
                "blocked": [C],
                "do_not_disturb": {"from": "22:30", "to": "07:00", "time_zone": "Europe/Berlin"},
                "do_not_disturb_until": None,
                "auto_answer": [B],
                "who_may_call": "contacts",
                "rings_through": [C],
                "second_call_rings": True,
                "links": [],
                "wake": [{"device_id": "tv", "kind": "webhook", "target": "box 7", "created_at": 1.5}],
                "calls": [
                    {
                        "room_id": ROOM,
                        "direction": "incoming",
                        "device_id": "tv",
                        "peer_phone": B,
                        "peer_device_id": "pad",
                        "started_at": 1.5,
                        "answered_at": None,
                        "ended_at": 3.0,
                        "outcome": "missed",
                        "auto_answer": False,
                        "guest": False,
                    }
                ],
                "untold": [],
            },
        )

    def test_settings(self) -> None:
        """Quiet hours and their exceptions, the callers that are answered automatically, and who may call: what is
        named is set, and all shown.
        """
        self.assertEqual("", self.run_("account", "settings", A))
        quiet, listed, strict = (
            "quiet from 22:30 to 07:00, Europe/Berlin\n",
            f"answers {B} automatically\nanswers {C} automatically\n",
            "only its contacts may call\n",
        )
        through = f"quiet hours: {B} may call\nquiet hours: {C} may call\n"
        again = "quiet hours: a second call within three minutes rings\n"
        for arguments, shown in (
            (["--do-not-disturb", *NIGHT], quiet),
            ([], quiet),
            (["--auto-answer", C, "--auto-answer", B], quiet + listed),
            (["--who-may-call", "contacts"], quiet + listed + strict),
            (["--who-may-call", "anyone"], quiet + listed),
            (["--disturb"], listed),
            (["--no-auto-answer"], ""),
            (["--rings-through", B, "--rings-through", C], through),
            (["--second-call-rings"], through + again),
            (["--auto-answer", C], through + again + f"answers {C} automatically\n"),
            (["--no-auto-answer", "--no-rings-through"], again),
            (["--no-second-call-rings"], ""),
        ):
            self.assertEqual(shown, self.run_("account", "settings", A, *arguments))

    def test_wrong_settings(self) -> None:
        """An invalid setting is refused in one line, and nothing is set."""
        for arguments, why in (
            (["--do-not-disturb", "22:30", "24:00", "UTC"], "24:00"),
            (["--do-not-disturb", "22:30", "07:00", "Nowhere"], "Nowhere"),
            (["--do-not-disturb", *NIGHT, "--disturb"], "set and cleared"),
            (["--auto-answer", B, "--no-auto-answer"], "set and cleared"),
            (["--auto-answer", "7"], "phone"),
            (["--auto-answer", A], "--auto-answer: this is the phone's own number"),
            (["--auto-answer", B, "--rings-through", A], "--rings-through: this is the phone's own number"),
            (["--rings-through", B, "--no-rings-through"], "set and cleared"),
        ):
            self.assertIn(why, self.fail_("account", "settings", A, *arguments).splitlines()[-1])
        self.assertEqual("", self.run_("account", "settings", A))

    def test_delete(self) -> None:
        """All that is kept of a phone is removed, after a question; others keep what they have."""
        self.run_("database", "upgrade")
        self.assert_one_line(self.fail_("account", "delete", A, "--yes"), "nothing is stored")
        self.run_("account", "add", A, "tv")
        self.run_("contact", "add", A, B, "--both")
        self.run_("contact", "block", A, C)
        self.run_("account", "settings", A, "--do-not-disturb", *NIGHT, "--auto-answer", B)
        self.run_("account", "settings", A, "--who-may-call", "contacts", "--rings-through", C, "--second-call-rings")
        self.write_down_a_call()
        self.let_be_woken(DeviceAddress(A, "tv"))
        self.present()
        self.assertEqual(1, self.invoke("account", "delete", A, given="n\n").exit_code)
        self.run_("account", "export", A)
        self.assertEqual(self.run_("account", "delete", A, "--yes"), "")
        self.fail_("account", "export", A)
        self.assertEqual([], self.woken())
        self.assertEqual(self.run_("account", "settings", A), "")
        self.assertEqual(self.run_("account", "list"), "")
        self.assertEqual(self.run_("contact", "list"), f"{B}  {A}\n")

    def test_invite(self) -> None:
        """A link has the secret of a new device; the daemon tells whoever asks with it which device it is."""
        link = self.run_("account", "invite", A, "tv", "--site", "https://calls.example.org/").splitlines()[-1]
        self.assertTrue(link.startswith("https://calls.example.org/#join="), link)
        secret = secret_hash(link.partition("=")[2])
        database = Database(self.url)
        self.addCleanup(database.close)
        pairings = SqlPairings(database, run_at_once, 10)
        found = self.successResultOf(pairings.state(secret, time.time()))
        self.assertEqual(DeviceAddress(A, "tv"), found and found.device)
        revocations = SqlRevocations(database, run_at_once, time.time)
        self.assertEqual({}, self.successResultOf(revocations.revoked()))
        self.run_("account", "invite", A, "tv", "--site", "https://calls.example.org")
        [revoked] = self.successResultOf(revocations.revoked())[A]
        self.assertEqual(DeviceAddress(A, "tv"), revoked.device)
        self.assertIsNone(self.successResultOf(pairings.state(secret, time.time())))
        self.assertEqual(f"{A}  1\n", self.run_("account", "list"))
