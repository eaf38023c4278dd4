"""The options of ``callnet migrate``: the older server's key, where its database is, and the names of its tables."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from callnet.accounts.signing_keys import load_keys, load_older
from callnet.cli.migrate import URL
from callnet.migration import Kind, Mapping, OlderDatabase
from tests.support.migrate_case import TAKEN, A, C, MigrateCase


class KeyTests(MigrateCase):
    """The signing key."""

    def setUp(self) -> None:
        """Files with secrets of older servers."""
        super().setUp()
        self.short = self.private("short", "short\n")
        self.long = self.private("long", "the older server's secret, 38 bytes...\n")
        self.path = self.directory / "signing.key"

    def test_short(self) -> None:
        """A key that is too short to sign is taken over for its own tokens, beside a key of callnet's own."""
        self.assertIn("would be imported", self.migrate("--dry-run", "--key", self.short).stdout)
        self.assertFalse(self.path.exists() or Path(f"{self.path}.d").exists())
        shown = self.migrate("--key", self.short).stdout
        self.assertIn("too short to sign here. Tokens that name no key are checked with it until 20", shown)
        ring = load_keys(self.path)
        self.assertEqual(ring.without_kid and ring.without_kid.secret, b"short")
        self.assertNotEqual(ring.keys[0].secret, b"short")
        self.assertIn("refuses tokens issued here", self.migrate("--back").stdout)

    def test_long(self) -> None:
        """Any other signs here as well, and the older server accepts what it signs."""
        self.assertIn("signs from now on", self.migrate("--key", self.long, "--token-days", "1").stdout)
        self.assertIn("signs from now on", self.migrate("--key", self.long, "--token-days", "30").stdout)
        ring, older = load_keys(self.path), load_older(self.path)
        assert older is not None
        self.assertEqual(len(ring.keys), 2)
        self.assertEqual(ring.keys[1].secret, older.key.secret)
        self.assertGreater(older.until - ring.keys[1].signs_from, 29 * 86400)
        self.assertIn("accepts tokens issued here", self.migrate("--back").stdout)

    def test_in_the_settings(self) -> None:
        """A key in the settings is the one that counts: no file is made beside it."""
        secret = Path(self.long).read_text(encoding="utf-8").strip()
        self.config.write_text(f'{self.config.read_text()}tokens.signing_key = "{secret}"\n')
        self.assertIn("is already in the settings", self.migrate("--key", self.long).stdout)
        result = self.invoke("migrate", "--key", self.short)
        self.assertEqual(result.exit_code, 1)
        self.assertIn("the key is in the settings", result.stderr)
        self.assertFalse(Path(f"{self.path}.d").exists())

    def test_none(self) -> None:
        """Without a key nothing about keys is changed, which is said."""
        self.assertIn("key: none given (--key)", self.migrate().stdout)
        self.assertFalse(os.path.lexists(self.path) or os.path.lexists(f"{self.path}.d"))
        self.assert_one_line(self.fail_("migrate", "--back", "--key", self.short), "--key cannot be used with --back")


class SourceTests(MigrateCase):
    """The place of the older server's database, and its content."""

    def test_url_in_a_file(self) -> None:
        """The URL may be in a file, which nobody else may read."""
        file = self.private("url", f"{self.where}\n")
        self.where = None
        self.assertIn(TAKEN[0], self.migrate("--url-file", file).stdout)
        os.chmod(file, 0o644)
        self.assert_one_line(self.fail_("migrate", "--url-file", file), "chmod 600")
        self.assert_one_line(self.fail_("migrate"), URL, "--url-file")

    def test_password(self) -> None:
        """A database that cannot be reached is named in one line, without the password."""
        for url in (
            self.seed.url("nobody", "5ec3e7"),
            self.seed.url(password="5ec3e7").replace(self.seed.name, "elsewhere"),
            "mysql://u:5ec3e7@127.0.0.1:1/x",
            "mysql://u:5ec3e7@/x?unix_socket=/nowhere",
        ):
            self.where = url
            error = self.fail_("migrate")
            self.assert_one_line(error, "the older server's database")
            self.assertNotIn("5ec3e7", error)

    def test_what_is_missing(self) -> None:
        """A table or a column that is not there is named, and which there are; nothing is taken over then."""
        self.seed.run("ALTER TABLE contact_person RENAME COLUMN contact_phone TO friend")
        error = self.fail_("migrate")
        self.assert_one_line(error, "no column contact_person.contact_phone", "phone, friend", "--mapping")
        self.assertFalse((self.directory / "callnet.db").exists())
        self.seed.run("RENAME TABLE account_data TO users")
        self.assert_one_line(self.fail_("migrate"), "no table account_data", "account_device", "users", "--mapping")

    def test_one_moment(self) -> None:
        """Rows written while it reads are not seen, in any table: all tables are as they were at one moment."""
        with OlderDatabase(self.seed.url(), Mapping()).reading() as snapshot:
            accounts = snapshot.batches(Kind.ACCOUNTS, 1)
            self.assertEqual([row.place for row in next(accounts)], ["id 1"])
            self.seed.put("account_data", [{"phone": "13999999999"}])
            self.put_devices(("13999999999", "x"))
            self.assertEqual([len(rows) for rows in accounts], [1, 1])
            self.assertEqual([len(rows) for rows in snapshot.batches(Kind.DEVICES, 3)], [3, 1])

    def test_no_driver(self) -> None:
        """Without the driver, which is an extra, one line names the package to install."""
        program = "import sys; sys.modules['pymysql'] = None; from callnet.cli.main import main; main()"
        done = subprocess.run(
            [sys.executable, "-c", program, "--config", self.config, "migrate"],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, URL: self.seed.url()},
        )
        self.assertEqual((done.returncode, done.stdout), (1, ""))
        self.assert_one_line(done.stderr, "PyMySQL is not installed", "callnet[migrate]")

    def test_mapping(self) -> None:
        """With a mapping tables and columns may have any name, and any type that has the phones in it."""
        self.run_("database", "upgrade")
        self.seed.run(
            "SET SESSION foreign_key_checks = 0",
            "CREATE TABLE `the users` (`order` INT PRIMARY KEY AUTO_INCREMENT, tel BIGINT)",
            "INSERT INTO `the users` (tel) SELECT phone FROM account_data",
            "CREATE TABLE lists (tel BIGINT, other VARBINARY(11), KEY (tel))",
            "INSERT INTO lists SELECT phone, contact_phone FROM contact_person",
            "INSERT INTO lists SELECT 13651884967, 13800138000",
            "DROP TABLE contact_person",
        )
        file = self.private(
            "mapping.toml",
            '[account_data]\ntable = "the users"\nphone = "tel"\nid = "order"\n'
            '[contact_person]\ntable = "lists"\nphone = "tel"\ncontact_phone = "other"\n',
        )
        result = self.migrate("--mapping", file, complete=False)
        self.assertIn("contacts: 4 read, 3 imported, 0 already present, 1 rejected", result.stdout)
        self.assertEqual(result.stderr, "contacts: row 2, 136****4967 138****8000: rejected: duplicate row\n")
        self.run_("contact", "add", C, A)
        self.assertIn("contacts: 4 read, 1 copied back", self.migrate("--back", "--mapping", file).stdout)
        self.assertIn((int(C), A.encode()), self.seed.rows("SELECT tel, other FROM lists"))
