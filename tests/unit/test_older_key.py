"""The key of the server that callnet took over from: its file, its tokens, and the command that shows it."""

from __future__ import annotations

import os
import time
from datetime import UTC, datetime

from twisted.internet.task import Clock

from callnet.accounts.signing_keys import (
    Key,
    KeyRing,
    OlderServer,
    add_key,
    load_keys,
    load_older,
    load_or_make_keys,
    remove_older,
    take_over,
)
from callnet.accounts.tokens import Tokens
from callnet.cli import migrate
from callnet.config.schema import TokenSettings
from callnet.doctor.findings import Level
from callnet.doctor.machine import examine
from callnet.errors import StartError, TokenInvalid
from callnet.migration import MigrationError
from callnet.model import DeviceAddress
from harness.seed_token import seed_token
from tests.support.quiet import QuietTestCase
from tests.unit.test_cli import CommandTestCase
from tests.unit.test_doctor import DoctorTestCase
from tests.unit.test_keys import KeysTestCase
from tests.unit.test_tokens import forge

NOW = 1_700_000_000
TV = DeviceAddress("13651884967", "tv888")
SHORT, LONG = Key.of(b"short"), Key.of(b"older server's secret of 32 bytes")
OWN, NEW = Key.of(b"o" * 32), Key.of(b"n" * 32, NOW - 1)
CLAIMS = {"phone": TV.phone, "deviceid": TV.device_id}


class TokensTests(QuietTestCase):
    """Which tokens are accepted."""

    def setUp(self) -> None:
        """Keys of callnet's own, and for an hour the older server's, which is short."""
        super().setUp()
        self.clock = Clock()
        self.clock.advance(NOW)
        self.tokens = self.made(KeyRing.of(OWN, [NEW], OlderServer(SHORT, NOW + 3600)))

    def made(self, ring: KeyRing) -> Tokens:
        """Tokens with these keys."""
        return Tokens(ring, 7200, self.clock.seconds, split_user_name=True)

    def accepted(self, key: Key, expires_in: int = 3600, **header: object) -> DeviceAddress | None:
        """The device of a token that another server has made."""
        try:
            return self.tokens.verify(forge({**CLAIMS, "exp": NOW + expires_in}, key.secret, **header)).device
        except TokenInvalid:
            return None

    def test_its_tokens(self) -> None:
        """A token without a key id is checked against the older server's key, even a short one, not the first."""
        self.assertEqual(self.accepted(SHORT), TV)
        self.assertIsNone(self.accepted(OWN))
        self.assertIsNone(self.accepted(NEW))

    def test_user_name(self) -> None:
        """So is one with a user name and nothing else, as in the seed's sample."""
        claims = {"userName": "13651884967tv888", "ip": "", "exp": NOW + 60}
        self.assertEqual(self.tokens.verify(forge(claims, SHORT.secret)).device, TV)

    def test_end(self) -> None:
        """A token that expires later than any that the older server has issued was not issued there."""
        self.assertEqual(self.accepted(SHORT, 3600), TV)
        self.assertIsNone(self.accepted(SHORT, 3601))
        self.clock.advance(3600)
        self.assertIsNone(self.accepted(SHORT, 3600))

    def test_as_the_seed_makes_it(self) -> None:
        """All of this holds for the header of the seed's tokens, which is always the same, as for any other."""
        for expires_in, verdict in ((3600, TV), (3601, None)):
            token = seed_token({**CLAIMS, "exp": NOW + expires_in}, SHORT.secret)
            self.assertTrue(token.startswith("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."))
            try:
                found = self.tokens.verify(token).device
            except TokenInvalid:
                found = None
            self.assertEqual(found, verdict)

    def test_by_its_id(self) -> None:
        """A short key has no tokens that name it."""
        for header in ({}, {"x": 1}):
            self.assertIsNone(self.accepted(SHORT, kid=SHORT.kid, **header))

    def test_own_tokens(self) -> None:
        """Callnet's own tokens are accepted as ever, for as long as they live; its own keys sign."""
        older = self.made(KeyRing.of(OWN)).issue(TV)
        self.assertEqual(self.tokens.verify(older).device, TV)
        self.assertEqual(self.made(KeyRing.of(None, [NEW])).verify(self.tokens.issue(TV)).device, TV)

    def test_long_key_signs(self) -> None:
        """A key that may sign is one of callnet's own as well: its tokens from here have no such end."""
        signing = Key.of(LONG.secret, NOW)
        self.tokens = self.made(KeyRing.of(OWN, [NEW, signing], OlderServer(LONG, NOW + 3600)))
        self.assertEqual(self.tokens.verify(self.tokens.issue(TV)).device, TV)
        self.assertEqual((self.accepted(LONG, 3600), self.accepted(LONG, 3601)), (TV, None))


class FilesTests(KeysTestCase):
    """Where it is kept."""

    def setUp(self) -> None:
        """A first key."""
        super().setUp()
        self.first = self.load()
        self.file = self.directory / "signing.key.d" / "older"

    def test_there_and_back(self) -> None:
        """It is in a file of its own, for this user alone, and read with the others."""
        older = OlderServer(SHORT, NOW + 0.5)
        take_over(self.path, older)
        self.assertEqual(load_older(self.path), older)
        self.assertEqual(load_keys(self.path), KeyRing((self.first,), SHORT, NOW + 0.5))
        self.assertEqual((self.file.stat().st_mode & 0o777, self.file.parent.stat().st_mode & 0o777), (0o600, 0o700))
        remove_older(self.path)
        self.assertIsNone(load_older(self.path))
        self.assertEqual(load_keys(self.path), KeyRing((self.first,), self.first))
        self.assertIn("No such file", str(self.assertRaises(StartError, remove_older, self.path)))

    def test_a_start_makes_a_key_beside_it(self) -> None:
        """It does not keep a start from making the first key: it may be unable to sign."""
        self.path.unlink()
        take_over(self.path, OlderServer(SHORT, NOW))
        ring = load_or_make_keys(self.path)
        self.assertEqual((len(ring.keys), ring.without_kid), (1, SHORT))
        self.assertTrue(self.path.exists())

    def test_garbage(self) -> None:
        """An invalid key stops a start, and none of it is repeated."""
        self.file.parent.mkdir(0o700)
        for content in ("", "x", 'secret = "5ec3e7"', 'secret = "5ec3e7x"\nuntil = 1', 'secret = "5ec3e7"\nuntil = 0'):
            self.file.write_text(content)
            self.file.chmod(0o600)
            self.assert_refused("secret in hexadecimal and until", file=self.file)
            self.assertNotIn("5ec3e7", str(self.assertRaises(StartError, load_keys, self.path)))
        self.file.chmod(0o640)
        self.assert_refused("chmod 600", file=self.file)

    def settings(self, signing_key: str = "") -> TokenSettings:
        """Settings that lead to the keys, or have one."""
        return TokenSettings(signing_key_file=str(self.path), signing_key=signing_key)

    def test_whose_tokens_are_issued(self) -> None:
        """If the older server's key is unknown the signing key is named, even if it comes from the settings."""
        for settings, kid in ((self.settings(), self.first.kid), (self.settings("o" * 32), OWN.kid)):
            self.assertIn(f"the key {kid} signs; if", migrate.about_tokens(settings, NOW))
        self.path.unlink()
        self.assertIn("there is no key", migrate.about_tokens(self.settings(), NOW))

    def take(self, key: Key, now: float = NOW) -> OlderServer | None:
        """Take a key over, for a day."""
        return migrate.take_over_key(str(self.path), key, now, now + 86400)

    def test_short_key_is_taken_over(self) -> None:
        """A short key is for its own tokens; callnet's own go on to sign."""
        self.assertEqual(self.take(SHORT), OlderServer(SHORT, NOW + 86400))
        self.assertEqual(load_keys(self.path), KeyRing((self.first,), SHORT, NOW + 86400))
        self.assertIn("refuses", migrate.about_tokens(self.settings(), NOW + 1))

    def test_long_key_is_taken_over(self) -> None:
        """A long key signs from now on, after all keys of callnet, so that the older server accepts the tokens."""
        others = [add_key(self.path, NOW - 100), add_key(self.path, NOW - 200)]
        self.take(LONG)
        signing = Key(LONG.kid, LONG.secret, NOW)
        ring = load_keys(self.path)
        self.assertEqual(ring, KeyRing.of(self.first, [*others, signing], OlderServer(LONG, NOW + 86400)))
        self.assertEqual(ring.signing(NOW), signing)
        self.assertIn("accepts tokens", migrate.about_tokens(self.settings(), NOW + 1))

    def test_taken_over_again(self) -> None:
        """Taking it over again moves only the end: tokens that the older server has issued since are accepted, too."""
        self.take(LONG)
        before = load_keys(self.path)
        newer = add_key(self.path, NOW + 50)
        self.take(LONG, NOW + 100)
        ring = load_keys(self.path)
        self.assertEqual(ring.keys, (*before.keys, newer))
        self.assertEqual(ring.without_kid_until, NOW + 100 + 86400)

    def test_it_is_the_first_already(self) -> None:
        """Where the operator has made it the first key, nothing is to be done: it has no end."""
        self.assertIsNone(self.take(self.first))
        self.assertEqual(load_keys(self.path), KeyRing((self.first,), self.first))
        self.take(SHORT)
        self.assertIsNotNone(self.take(self.first))
        self.assertEqual(load_keys(self.path), KeyRing((self.first,), self.first, NOW + 86400))

    def test_reading_a_secret(self) -> None:
        """A secret is all of its file but one line break; an empty one, or one that others may read, is refused."""
        file = self.directory / "secret"
        file.write_bytes(b"short\n")
        file.chmod(0o600)
        self.assertEqual(migrate.read_key(str(file)), SHORT)
        file.chmod(0o640)
        self.assertIn("chmod 600", str(self.assertRaises(StartError, migrate.read_key, str(file))))
        file.write_bytes(b"\n")
        file.chmod(0o600)
        self.assertIn("is empty", str(self.assertRaises(MigrationError, migrate.read_key, str(file))))


class CommandTests(CommandTestCase):
    """``callnet key`` and backups."""

    def setUp(self) -> None:
        """A first key, and the older server's."""
        super().setUp()
        self.path = self.directory / "signing.key"
        [self.first] = load_or_make_keys(self.path).keys
        self.until = int(time.time()) + 3600
        take_over(self.path, OlderServer(SHORT, self.until))

    def listed(self) -> list[str]:
        """The output of ``callnet key list``."""
        return self.run_("key", "list").splitlines()

    def test_list(self) -> None:
        """It is shown after the others, with its end."""
        end = datetime.fromtimestamp(self.until, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self.assertEqual(self.listed()[1], f"{SHORT.kid}  older server          verifies until {end}")

    def test_retire(self) -> None:
        """Retiring it refuses its tokens; no other key is needed for that, and none goes with it."""
        self.run_("key", "retire", SHORT.kid)
        self.assertEqual(load_keys(self.path), KeyRing((self.first,), self.first))

    def test_retire_one_that_signs_too(self) -> None:
        """Where it is one of callnet's own as well, it is retired as both, but not while it signs."""
        add_key(self.path, time.time(), LONG.secret)
        take_over(self.path, OlderServer(LONG, self.until))
        self.assert_one_line(self.fail_("key", "retire", LONG.kid), "is signing")
        self.assertIsNotNone(load_older(self.path))
        new = self.run_("key", "add").strip()
        self.run_("key", "retire", LONG.kid)
        self.assertEqual([key.kid for key in load_keys(self.path).keys], [self.first.kid, new])
        self.assertEqual(os.listdir(self.directory / "signing.key.d"), [new])

    def test_backup(self) -> None:
        """It is in a backup, and comes back with it."""
        self.run_("contact", "add", "13651884967", "13651884968")
        file, ring = self.directory / "backup.tar.gz", load_keys(self.path)
        self.run_("backup", str(file))
        self.config.write_text(f'state_dir = "{self.directory}/other"\n')
        self.run_("restore", str(file))
        self.assertEqual(load_keys(self.directory / "other" / "signing.key"), ring)


class DoctorTests(DoctorTestCase):
    """``callnet doctor``."""

    def test_short_key(self) -> None:
        """A short key is doubtful as long as tokens of it are accepted."""
        path = self.directory / "state" / "signing.key"
        path.parent.mkdir(mode=0o700)
        load_or_make_keys(path)
        for key, until, level in (
            (SHORT, time.time() + 60, Level.DOUBT),
            (SHORT, time.time() - 60, Level.GOOD),
            (LONG, time.time() + 60, Level.GOOD),
        ):
            take_over(path, OlderServer(key, until))
            [found] = [each for each in examine(self.settings("")) if each.about == "signing keys"]
            self.assertEqual((found.level, "short" in found.text), (level, level is Level.DOUBT))
