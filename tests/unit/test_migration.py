"""Reading an older server's rows, and the report of it (callnet/migration)."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from callnet import migration
from callnet.accounts.validation import is_device_id, phone_rule
from callnet.errors import StartError
from callnet.migration import (
    AccountTable,
    DeviceTable,
    Judge,
    Kind,
    Mapping,
    MigrationError,
    OlderDatabase,
    Refused,
    Report,
    Row,
    shown,
)

A, B = "13651884967", "13800138000"

CN_MOBILE = phone_rule("cn-mobile")


def judged(kind: Kind, *rows: tuple[object, ...]) -> list[object]:
    """The verdicts on rows, one after the other: their key, or why they are refused."""
    judge = Judge(kind, CN_MOBILE)
    verdicts = [judge.judge(Row("row", row, True)) for row in rows]
    return [verdict.reason if isinstance(verdict, Refused) else verdict for verdict in verdicts]


class JudgeTests(SynchronousTestCase):
    """Which rows callnet can take."""

    def test_acceptable(self) -> None:
        """Values that callnet would accept from a device are accepted, also if the column is a number or has bytes."""
        self.assertEqual(judged(Kind.ACCOUNTS, (A,), (int(B),)), [(A,), (B,)])
        self.assertEqual(judged(Kind.DEVICES, (A, "tv 1"), (A, "电视".encode())), [(A, "tv 1"), (A, "电视")])
        self.assertEqual(judged(Kind.CONTACTS, (A, B), (B, A), (A, A)), [(A, B), (B, A), (A, A)])

    def test_phones(self) -> None:
        """A phone that is none by the rule of the settings is refused, in either column of a contact."""
        for bad in ("", "1365188496", "23651884967", f"{A} ", f"{A}\n", "１3651884967", 7):
            [reason] = judged(Kind.ACCOUNTS, (bad,))
            self.assertEqual(reason, "the phone is not valid (accounts.phone_format)")
        [first, second] = judged(Kind.CONTACTS, ("1", B), (A, "1"))
        self.assertIn("the phone is", str(first))
        self.assertIn("the contact's phone is", str(second))

    def test_device_ids(self) -> None:
        """So is a device id that callnet gives to no device; the reason says why."""
        for bad, reason in (
            ("", "is empty"),
            ("*", "is *"),
            ("x" * 51, "over 50 characters"),
            ("a\tb", "control characters"),
            ("a\x9f", "control characters"),
        ):
            [found] = judged(Kind.DEVICES, (A, bad))
            self.assertIn(reason, str(found))
        self.assertEqual(judged(Kind.DEVICES, (A, "x" * 50)), [(A, "x" * 50)])

    def test_no_text(self) -> None:
        """So is NULL, and invalid UTF-8."""
        for bad in (None, b"\xff"):
            for row in ((A, bad), (bad, A)):
                self.assertEqual(judged(Kind.CONTACTS, row), ["a field is empty (NULL) or not UTF-8"])

    def test_twice(self) -> None:
        """Of equal rows the first is taken. Rows that differ in case are two."""
        self.assertEqual(judged(Kind.ACCOUNTS, (A,), (A,), (A,)), [(A,), "duplicate row", "duplicate row"])
        self.assertEqual(judged(Kind.DEVICES, (A, "TV"), (A, "tv")), [(A, "TV"), (A, "tv")])

    @given(st.text() | st.binary() | st.integers() | st.none(), st.text() | st.binary() | st.none())
    def test_anything(self, phone: object, device_id: object) -> None:
        """Whatever is in a row, it is refused, or is one of a device that may log in."""
        [verdict] = judged(Kind.DEVICES, (phone, device_id))
        if isinstance(verdict, tuple):
            self.assertTrue(CN_MOBILE.read(verdict[0]) is not None and is_device_id(verdict[1]))


class ShownTests(SynchronousTestCase):
    """The name of a row in a report."""

    def test_phones_are_masked(self) -> None:
        """The ends of a phone are shown, and nothing of a text too short for that."""
        self.assertEqual(shown(Kind.ACCOUNTS, (A,)), "136****4967")
        self.assertEqual(shown(Kind.CONTACTS, (A, B)), "136****4967 138****8000")
        self.assertEqual(shown(Kind.CONTACTS, ("1234", "")), "**** ''")
        self.assertEqual(shown(Kind.CONTACTS, (None, b"\xff")), "NULL NULL")

    def test_device_ids_are_shown(self) -> None:
        """A device id is shown on one line, but one that is a number is masked as if it were a phone."""
        self.assertEqual(shown(Kind.DEVICES, (A, "tv888")), "136****4967 tv888")
        self.assertEqual(shown(Kind.DEVICES, (A, "a\nb")), "136****4967 'a\\nb'")
        self.assertEqual(shown(Kind.DEVICES, (A, "x" * 70)), f"136****4967 {'x' * 60}…")
        self.assertEqual(shown(Kind.DEVICES, (A, B)), "136****4967 138****8000")

    @given(st.text(), st.text())
    def test_one_line(self, phone: str, device_id: str) -> None:
        """Whatever is in it, it is one printable line."""
        line = shown(Kind.DEVICES, (phone, device_id))
        self.assertTrue(line.isprintable(), line)


class ReportTests(SynchronousTestCase):
    """The report of a migration."""

    def test_counts(self) -> None:
        """Each row that stays behind is reported at once; in the end they are counted, and nothing is left out."""
        told: list[str] = []
        report = Report(told.append)
        self.assertTrue(report.is_complete)
        report.read(Kind.DEVICES, 10)
        report.moved(Kind.DEVICES, 4)
        for number in range(3):
            report.refused(Kind.DEVICES, f"row {number}, ", (A, "*"), "the device id is *")
        report.noted(Kind.DEVICES, "row 7, ", (B, "tv"), "there is no such account")
        self.assertEqual(told[0], "devices: row 0, 136****4967 *: rejected: the device id is *")
        self.assertEqual(told[3], "devices: row 7, 138****8000 tv: there is no such account")
        self.assertEqual(
            list(report.lines("imported")),
            [
                "accounts: 0 read, 0 imported, 0 already present, 0 rejected",
                "devices: 10 read, 4 imported, 3 already present, 3 rejected",
                "    3 rejected: the device id is *",
                "    1 there is no such account",
                "contacts: 0 read, 0 imported, 0 already present, 0 rejected",
            ],
        )
        self.assertFalse(report.is_complete)


class MappingTests(SynchronousTestCase):
    """The names of tables and columns."""

    def load(self, text: str) -> Mapping:
        """The mapping in a file."""
        path = Path(self.mktemp())
        path.write_text(text, encoding="utf-8")
        return migration.load_mapping(path)

    def test_usual(self) -> None:
        """Without a file they are those of the seed; a file has only the differences."""
        self.assertEqual(migration.load_mapping(None), Mapping())
        found = self.load('[account_data]\ntable = "users"\nid = ""\n[account_device]\ndevice_id = "device"\n')
        self.assertEqual(found, Mapping(AccountTable("users", id=""), DeviceTable(device_id="device")))

    def test_mistakes(self) -> None:
        """A mistake in a file is named in one line."""
        for text, words in (
            ("[account]\n", "unknown key account"),
            ('[account_data]\nname = "x"\n', "unknown key account_data.name"),
            ('[account_data]\nphone = ""\n', "account_data.phone"),
            ("x", "not TOML"),
        ):
            self.assertIn(words, str(self.assertRaises(StartError, self.load, text)))
        self.assertIn("No such file", str(self.assertRaises(MigrationError, migration.load_mapping, Path("nowhere"))))


class UrlTests(SynchronousTestCase):
    """Where the older server's database is."""

    def test_what_is_no_url(self) -> None:
        """A URL that is not of a MySQL or MariaDB database is refused, and never repeated."""
        for url in (
            "",
            "secret",
            "postgresql://u:secret@h/n",
            "mysql://u:secret@h",
            "mysql://u:secret@h:x/n",
            "mysql://u:secret@h/n?charset=utf8&x=1",
        ):
            error = str(self.assertRaises(MigrationError, self.open, url))
            self.assertNotIn("secret", error)
            self.assertEqual(len(error.splitlines()), 1)

    def open(self, url: str) -> None:
        """Try to read there."""
        with OlderDatabase(url, Mapping()).reading():
            pass
