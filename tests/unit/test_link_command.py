"""``callnet link``: links that ring."""

from __future__ import annotations

from callnet.calls.preferences import QuietHours
from callnet.storage.database import Database
from callnet.storage.links import SqlLinks, StoredLink
from tests.support.immediate import run_at_once
from tests.unit.test_cli import A, B, CommandTestCase

DOOR = StoredLink("0a1b2c3d4e5f", A, "s" * 22, "Door", True, None, None, None, 1.0)
LIMITED = StoredLink(
    "1a1b2c3d4e5f", A, "t" * 22, "Practice", False, QuietHours(480, 1080, "Europe/Berlin"), 86_400.0, 3, 1.0
)


class LinkTests(CommandTestCase):
    """``callnet link``."""

    def setUp(self) -> None:
        """Two links of a phone."""
        super().setUp()
        self.run_("account", "add", A)
        database = Database(self.url)
        self.addCleanup(database.close)
        for link in (DOOR, LIMITED):
            self.successResultOf(SqlLinks(database, run_at_once).make(link, 20, 1.0))

    def test_list(self) -> None:
        """Links are listed with what restricts them, and without their secrets."""
        hours = "from 08:00 to 18:00, Europe/Berlin"
        limited = f"{LIMITED.id}  Practice  off  {hours}  until 1970-01-02 00:00 UTC  3 calls left\n"
        self.assertEqual(f"{DOOR.id}  Door\n{limited}", self.run_("link", "list", A))
        self.assertEqual("", self.run_("link", "list", B))

    def test_remove(self) -> None:
        """A link is removed, of its phone alone."""
        self.assert_one_line(self.fail_("link", "remove", B, DOOR.id), "callnet link list")
        self.assertEqual("", self.run_("link", "remove", A, DOOR.id))
        self.assertNotIn(DOOR.id, self.run_("link", "list", A))
        self.assert_one_line(self.fail_("link", "remove", A, DOOR.id), "callnet link list")
