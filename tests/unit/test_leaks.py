"""The search for secrets that no log may hold."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from harness.leaks import check, complaints, errors, leaks, main
from tests.support.account_fixture import TV, ServiceFixture

LINE: Final = "2026-11-25T00:41:09+0000 [callnet.web#{level}] 192.0.2.7 {what} 200 12 163ce2f5-61"
ROOM: Final = "0123456789abcdef0123456789abcdef"
PHONE: Final = "13651884967"


class LeaksTests(SynchronousTestCase):
    """Tokens, room ids, phone numbers."""

    def test_tokens_and_rooms_are_found_at_every_level(self) -> None:
        """A token or a room id is found at every level, in the first line of an event and in later ones."""
        fixture = ServiceFixture()
        self.addCleanup(fixture.database.close)
        for secret in (fixture.tokens.issue(TV), ROOM):
            for level in ("debug", "info", "error"):
                for shape in ("/x?a=%s", "<Request uri=%s >", "'%s'", "/room/%s/x", "{%s}"):
                    event = LINE.format(level=level, what=shape % secret)
                    self.assertEqual(leaks(f"{event}\n"), [event])
                    self.assertEqual(
                        leaks(f"{LINE.format(level=level, what='x')}\n\t{shape % secret}"), [f"\t{shape % secret}"]
                    )

    def test_phone_numbers_are_found_at_every_level(self) -> None:
        """A phone number is found at every level, and in lines without one."""
        for number in (PHONE, f"+86{PHONE}"):
            for level in ("debug", "info", "error"):
                event = LINE.format(level=level, what=f"calls {number}")
                self.assertEqual(leaks(event), [event])
            self.assertEqual(leaks(f"Traceback\n {number}"), [f" {number}"])

    def test_what_a_log_may_hold(self) -> None:
        """Hashes that are longer, ids of requests, times and the numbers to try a new daemon with are no secrets."""
        for what in (ROOM * 2, f"sha256:{ROOM * 2}", "163ce2f5-61", "1764259200", "1764259200123", "13800000001"):
            self.assertEqual(leaks(LINE.format(level="info", what=what)), [])

    def test_what_is_found_fails_a_test_and_a_proof(self) -> None:
        """A leak fails a test, is among the complaints of a proof, and makes the run of all tests fail."""
        log = LINE.format(level="info", what=ROOM)
        self.assertRaises(AssertionError, check, log)
        self.assertEqual(complaints(log), [f"a secret: {log}"])
        self.assertEqual(errors(log), [f"a secret: {log}"])
        path = Path(self.mktemp())
        for text, status in ((log, 1), (LINE.format(level="info", what="/"), 0)):
            path.write_text(text, encoding="utf-8")
            self.assertEqual(main([str(path)]), status)
