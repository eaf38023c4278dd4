"""``callnet migrate`` between a real MariaDB, as the seed's server leaves it, and callnet on SQLite and PostgreSQL."""

from __future__ import annotations

from typing import TYPE_CHECKING

from callnet import migration
from callnet.migration import Kind
from callnet.storage import contacts
from callnet.storage.contacts import Pair
from callnet.storage.database import Database
from harness import postgres
from tests.support.migrate_case import TAKEN, A, B, C, MigrateCase

if TYPE_CHECKING:
    _Base = MigrateCase
else:
    _Base = object

NO_PHONE = "the contact's phone is not valid (accounts.phone_format)"
WRITTEN_OTHERWISE = "the older server already has it in another spelling"


class StoreMixin(_Base):
    """The common tests for both kinds of databases that callnet has."""

    def database(self) -> Database:
        """Callnet's own."""
        database = Database(self.url)
        self.addCleanup(database.close)
        return database

    def here(self) -> dict[str, list[tuple[str, ...]]]:
        """All that callnet has."""
        database = self.database()
        return {
            name: [key for page in migration.pages(database, kind, 100) for key in page]
            for name, kind in (
                ("account", Kind.ACCOUNTS),
                ("account_device", Kind.DEVICES),
                ("contact", Kind.CONTACTS),
            )
        }

    def test_taken_over(self) -> None:
        """Accounts, devices and contacts are the same afterwards, and the older server's are as they were."""
        before = self.devices()
        shown = self.migrate().stdout
        for line in TAKEN:
            self.assertIn(line, shown)
        self.assertEqual(
            self.here(),
            {
                "account": [(A,), (B,), (C,)],
                "account_device": [(A, "TV 2"), (A, "tv888"), (B, "phone1"), (C, "电视")],
                "contact": [(A, B), (A, C), (B, A)],
            },
        )
        self.assertEqual(self.devices(), before)

    def test_again(self) -> None:
        """Done again, it takes over new rows, and leaves those of callnet, and those added here, unchanged."""
        self.migrate()
        contacts.add(self.database(), [Pair(A, B, "Mum"), Pair(C, A)], 1.0)
        self.put_devices((B, "new"))
        shown = self.migrate().stdout
        for line in ("3 read, 0 imported, 3 already", "5 read, 1 imported, 4 already", "3 read, 0 imported, 3 already"):
            self.assertIn(line, shown)
        self.assertEqual(contacts.pairs_of(self.database(), A), [Pair(A, B, "Mum"), Pair(A, C)])
        self.assertEqual(self.here()["contact"][-1], (C, A))

    def test_trial(self) -> None:
        """A trial says the same and changes nothing: not on a new database, and not on one with something in it."""
        self.put_devices((C, "*"))
        trial = self.migrate("--dry-run", complete=False)
        self.assertIn("devices: 5 read, 4 to import, 0 already present, 1 rejected", trial.stdout)
        self.assertIn("devices: row 4, 139****9000 *: rejected", trial.stderr)
        self.run_("contact", "add", A, B)
        trial = self.migrate("--dry-run", complete=False)
        self.assertIn("contacts: 3 read, 2 to import, 1 already present, 0 rejected", trial.stdout)
        self.assertEqual(self.here(), {"account": [], "account_device": [], "contact": [(A, B)]})
        done = self.migrate(complete=False)
        self.assertEqual(done.stdout, trial.stdout.replace("to import", "imported"))
        self.assertEqual(done.stderr, trial.stderr)

    def test_rows_that_stay_behind(self) -> None:
        """Each row that cannot be taken is named with its reason, the others are taken, and the status is 1."""
        self.run_("database", "upgrade")
        self.seed.put("account_data", [{"phone": "23651884967"}, {"phone": ""}])
        self.put_devices(("23651884967", "x"), (A, ""), (A, "a\nb"))
        self.put_contacts((A, ""), (C, "13600000001"))
        result = self.migrate(complete=False)
        for line in ("3 imported, 0 already present, 2 rejected", "4 imported, 0 already present, 3 rejected"):
            self.assertIn(line, result.stdout)
        self.assertIn("contacts: 5 read, 4 imported, 0 already present, 1 rejected\n", result.stdout)
        self.assertIn("    1 no account for one of the two phones\n", result.stdout)
        self.assertEqual(
            result.stderr.splitlines(),
            [
                "accounts: id 5, '': rejected: the phone is not valid (accounts.phone_format)",
                "accounts: id 4, 236****4967: rejected: the phone is not valid (accounts.phone_format)",
                "devices: row 1, 136****4967 '': rejected: the device id is empty",
                "devices: row 3, 136****4967 'a\\nb': rejected: the device id has control characters",
                "devices: row 7, 236****4967 x: rejected: the phone is not valid (accounts.phone_format)",
                f"contacts: row 1, 136****4967 '': rejected: {NO_PHONE}",
                "contacts: row 5, 139****9000 136****0001: no account for one of the two phones",
            ],
        )

    def test_device_without_account(self) -> None:
        """A device whose account the older server has lost is taken, with an account, and told of."""
        self.put_devices(("13600000001", "x"))
        result = self.migrate()
        self.assertIn("devices: row 1, 136****0001 x: no such account; created", result.stderr)
        self.assertIn(("13600000001",), self.here()["account"])

    def test_given_back(self) -> None:
        """New data are given back, and nothing else is changed there."""
        self.migrate()
        self.run_("account", "add", A, "new tv")
        self.run_("account", "add", "13600000001", "x")
        self.run_("contact", "add", A, "13600000001", "--both")
        trial = self.migrate("--back", "--dry-run").stdout
        before = self.devices()
        for line in (
            "accounts: 4 read, 1 to copy back",
            "devices: 6 read, 2 to copy back",
            "contacts: 5 read, 2 to copy back",
        ):
            self.assertIn(line, trial)
        done = self.migrate("--back").stdout
        self.assertEqual(done.splitlines()[:3], trial.replace("to copy back", "copied back").splitlines()[:3])
        self.assertEqual(set(self.devices()) - set(before), {(A, "new tv"), ("13600000001", "x")})
        self.assertEqual(set(before) - set(self.devices()), set())
        self.assertEqual(len(self.seed.rows("SELECT * FROM contact_person")), 5)
        self.assertIn("devices: 6 read, 0 copied back, 6 already present", self.migrate("--back").stdout)
        self.assertIn("contacts: 5 read, 0 imported, 5 already present", self.migrate().stdout)


class SqliteTests(StoreMixin, MigrateCase):
    """SQLite."""


class PostgresqlTests(StoreMixin, MigrateCase):
    """PostgreSQL."""

    def setUp(self) -> None:
        """Callnet on a PostgreSQL."""
        super().setUp()
        self.url = postgres.new_database_url()
        self.config.write_text(self.config.read_text() + f'database.url = "{self.url}"\n')


class BackTests(MigrateCase):
    """Data that the older server cannot take back."""

    def test_refused_there(self) -> None:
        """Each row that the older server refuses is named with the reason, the others go back, and the status is 1."""
        self.config.write_text(f'state_dir = "{self.directory}"\naccounts.phone_format = "[+]?[0-9]+"\n')
        self.migrate()
        self.run_("account", "add", A, "TV888", "tv9", "😀")
        self.run_("account", "add", "+491701234567", "x")
        self.run_("contact", "add", A, "13600000001")
        result = self.migrate("--back", complete=False)
        self.assertEqual(
            result.stderr.splitlines(),
            [
                "accounts: +49****4567: rejected: it does not fit into the older server's column",
                "devices: +49****4567 x: rejected: it does not fit into the older server's column",
                f"devices: 136****4967 TV888: rejected: {WRITTEN_OTHERWISE}",
                "devices: 136****4967 😀: rejected: it does not fit into the older server's column",
                "contacts: 136****4967 136****0001: rejected: the older server needs an account for each phone in it",
            ],
        )
        self.assertIn((A, "tv9"), self.devices())

    def test_rights(self) -> None:
        """Migrating takes the right to read; giving back takes the right to add."""
        name = f"reader_{self.seed.name}"
        self.seed.run(f"CREATE USER {name}@localhost IDENTIFIED BY 'pa:ss@5ec3e7'")
        self.seed.run(f"GRANT SELECT ON {self.seed.name}.* TO {name}@localhost")
        self.where = self.seed.url(name, "pa:ss@5ec3e7")
        self.migrate()
        self.run_("account", "add", A, "new")
        error = self.fail_("migrate", "--back")
        self.assert_one_line(error, "INSERT command denied", "account_device")
        self.assertNotIn("5ec3e7", error)
