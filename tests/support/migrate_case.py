"""A database as the seed's server leaves it, and commands that are told where it is."""

from __future__ import annotations

from collections.abc import Mapping

from click.testing import CliRunner, Result

from callnet.cli.main import main
from callnet.cli.migrate import URL
from harness import mariadb
from tests.unit.test_cli import CommandTestCase

A, B, C = "13651884967", "13800138000", "13900139000"
TAKEN = ("accounts: 3 read, 3 imported", "devices: 4 read, 4 imported", "contacts: 3 read, 3 imported")


class MigrateCase(CommandTestCase):
    """A database of the seed's, and commands that are told where it is."""

    def setUp(self) -> None:
        """Three phones of the seed's, with devices and lists."""
        super().setUp()
        self.config.write_text(f'state_dir = "{self.directory}"\naccounts.phone_format = "cn-mobile"\n')
        self.seed = mariadb.new_database()
        self.where: str | None = self.seed.url()
        self.seed.run(*mariadb.SEED_TABLES)
        self.seed.put("account_data", [{"phone": phone} for phone in (A, B, C)])
        self.put_devices((A, "tv888"), (A, "TV 2"), (B, "phone1"), (C, "电视"))
        self.put_contacts((A, B), (B, A), (A, C))

    def put_devices(self, *devices: tuple[str, str]) -> None:
        """Devices of the seed's, whether there are such accounts or not."""
        rows = [{"phone": phone, "device_id": device_id} for phone, device_id in devices]
        self.seed.put("account_device", rows, strict=False)

    def put_contacts(self, *pairs: tuple[str, str]) -> None:
        """Contacts of the seed's."""
        rows = [{"phone": owner, "contact_phone": other} for owner, other in pairs]
        self.seed.put("contact_person", rows, strict=False)

    def devices(self) -> list[tuple[str, ...]]:
        """Those of the seed."""
        return self.seed.rows("SELECT phone, device_id FROM account_device ORDER BY BINARY phone, BINARY device_id")

    def invoke(self, *arguments: str, given: str | bytes = "") -> Result:
        """Run a command, which is told where the seed's database is."""
        environ: Mapping[str, str | None] = {URL: self.where}
        return CliRunner().invoke(main, ["--config", str(self.config), *arguments], input=given, env=environ)

    def migrate(self, *options: str, complete: bool = True) -> Result:
        """Run ``callnet migrate``; in no case a phone is shown."""
        result = self.invoke("migrate", *options)
        self.assertEqual(result.exit_code, int(not complete), result.output)
        for phone in (A, B, C):
            self.assertNotIn(phone, result.output)
        return result

    def private(self, name: str, content: str) -> str:
        """A file for this user alone."""
        path = self.directory / name
        path.write_text(content, encoding="utf-8")
        path.chmod(0o600)
        return str(path)
