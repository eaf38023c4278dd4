"""Login sessions: the contents of a refresh, the reasons to refuse one, and the end of a whole session at once."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import cycle
from time import thread_time

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.signing_keys import Key, KeyRing, OlderServer
from callnet.accounts.tokens import Revocations, Token, Tokens
from callnet.config.schema import TokenSettings
from callnet.errors import TokenInvalid, Unavailable
from callnet.model import EVERY_DEVICE, DeviceAddress
from callnet.storage import devices
from callnet.storage.revoking import Revocation, SqlRevocations
from tests.support.account_fixture import FRIEND, PHONE, TV, ServiceFixture
from tests.support.immediate import run_at_once
from tests.unit.test_logins import LoginsTestCase
from tests.unit.test_tokens import forge

DAY = 86400.0
SHORT = Key.of(b"short")
OWN = Key.of(b"k" * 32)


class RefreshTests(LoginsTestCase):
    """The tokens that are refreshed, and the content of the new one."""

    def refresh(self, token: str) -> str:
        """The token that a refresh answers with."""
        return self.fixture.logins.refresh(token).token

    def refused(self, token: str) -> None:
        """The token is not refreshed."""
        self.assertRaises(TokenInvalid, self.fixture.logins.refresh, token)

    def test_older_server(self) -> None:
        """A token of the older server's key is good until its end, is not refreshed, and claims nothing."""
        self.fixture.tokens.use(KeyRing.of(OWN, (), OlderServer(SHORT, 7 * DAY)))
        token = forge({"phone": PHONE, "deviceid": "tv888", "exp": DAY, "claimed": True}, SHORT.secret)
        self.assertFalse(self.fixture.tokens.verify(token).claimed)
        self.refused(token)

    def test_no_key_named(self) -> None:
        """A token without a key id is not refreshed either, though it is checked against a key that signs."""
        token = forge({"phone": PHONE, "deviceid": "tv888", "exp": 3600, "claimed": True}, OWN.secret)
        self.assertFalse(self.fixture.tokens.verify(token).claimed)
        self.refused(token)

    def test_rotated_key(self) -> None:
        """A token of a key that another has replaced is good, and is not refreshed."""
        token = self.login().token
        self.refresh(token)
        self.pass_time(10)
        self.fixture.tokens.use(KeyRing.of(OWN, [Key.of(b"n" * 32, 5.0)]))
        self.fixture.tokens.verify(token)
        self.refused(token)
        self.refresh(self.login().token)

    def test_claimed(self) -> None:
        """A refresh says that the device has shown its secret if the token does."""
        secret = self.login().device_secret
        for shown, is_claimed in ((None, False), (secret, True)):
            token = self.refresh(self.refresh(self.login(shown).token))
            self.assertEqual(is_claimed, self.fixture.tokens.verify(token).claimed)

    def test_age(self) -> None:
        """A session is not refreshed for longer than its limit, however often that is done."""
        clock = Clock()
        tokens = Tokens(KeyRing.of(OWN), 3600, clock.seconds, session_lifetime=10_000)
        token = tokens.issue(TV)
        for _ in range(4):
            clock.advance(2499.75)
            token = tokens.renew(tokens.verify(token))
        clock.advance(1)
        self.assertRaises(TokenInvalid, tokens.renew, tokens.verify(token))
        self.assertEqual(180 * DAY, TokenSettings().session_lifetime)

    def test_before_there_were_sessions(self) -> None:
        """A token that an older callnet has issued begins a session when it was issued, which its id names."""
        claims = {"phone": PHONE, "deviceid": "tv888", "exp": 3600, "iat": 5, "jti": "first"}
        token = forge(claims, OWN.secret, kid=OWN.kid)
        self.pass_time(10)
        new = self.fixture.tokens.verify(self.refresh(token))
        self.assertEqual(("first", 5.0), (new.sid, new.auth_time))
        self.successResultOf(self.fixture.logins.logout(token))
        self.refused(token)


class SessionTests(LoginsTestCase):
    """A thief has a token of the television, and refreshes it on whatever node is the last to hear."""

    def setUp(self) -> None:
        """A login, some time ago."""
        super().setUp()
        self.pass_time(100)
        self.token = self.login().token
        self.pass_time(10)

    def assert_over(self, *tokens: str) -> None:
        """Both nodes have heard, and take none of these tokens."""
        self.pass_time(1)
        for node in (self.fixture, self.other):
            for token in tokens:
                self.assertRaises(TokenInvalid, node.tokens.verify, token)

    def stolen(self) -> str:
        """A token that the other node gives to the thief now."""
        return self.other.logins.refresh(self.token).token

    def test_revoked(self) -> None:
        """A token that was refreshed where the revocation of its device was not known yet is refused with the rest."""
        devices.revoke(self.fixture.database, TV, self.fixture.clock.seconds)
        self.other.clock.rightNow += 0.9
        stolen = self.stolen()
        self.assert_over(self.token, stolen)

    def test_deleted(self) -> None:
        """So is a token of a phone that was deleted."""
        devices.delete(self.fixture.database, PHONE, self.fixture.clock.seconds)
        self.other.clock.rightNow += 0.9
        stolen = self.stolen()
        self.assert_over(self.token, stolen)

    def test_logout(self) -> None:
        """A logout ends the whole session: copies from before it, and those that are made until all have heard."""
        before = [self.stolen(), self.stolen()]
        self.successResultOf(self.fixture.logins.logout(before[0]))
        stolen = self.stolen()
        self.assert_over(self.token, *before, stolen)

    def test_logout_of_a_copy(self) -> None:
        """So does a logout with a token that was refreshed; another login of the device stays valid."""
        other = self.login().token
        self.successResultOf(self.fixture.logins.logout(self.stolen()))
        self.assert_over(self.token)
        for node in (self.fixture, self.other):
            node.tokens.verify(other)

    def test_login_afterwards(self) -> None:
        """A login right after a revocation is valid where that is known; elsewhere the revocation covers it too."""
        early = self.login(node=self.other).token
        devices.revoke(self.fixture.database, DeviceAddress(PHONE, EVERY_DEVICE), self.fixture.clock.seconds)
        ignorant = self.login(node=self.other).token
        self.assert_over(self.token, early, ignorant)
        late = self.login().token
        for node in (self.fixture, self.other):
            node.tokens.verify(self.fixture.logins.refresh(late).token)

    def test_cut_off(self) -> None:
        """A node that hears nothing until changes are forgotten reads everything again, and drops its old state."""
        secret = self.login(node=self.other).device_secret
        self.fixture.clock.advance(1)
        devices.revoke(self.fixture.database, TV, self.fixture.clock.seconds)
        self.login(secret)
        for _ in range(3):
            self.fixture.clock.advance(300)
            devices.provision(self.fixture.database, FRIEND, [], self.fixture.clock.seconds())
        self.other.tokens.verify(self.token)
        self.other.clock.advance(900)
        self.assertRaises(TokenInvalid, self.other.tokens.verify, self.token)
        self.assert_kept_out(node=self.other)
        self.assertEqual([TV], self.other.left)


class Unreadable(SqlRevocations):
    """Revocations in a database that cannot be reached."""

    def revoked(self, phones: Collection[str] | None = None) -> Deferred[Mapping[str, Sequence[Revocation]]]:  # noqa: ARG002
        """See :meth:`SqlRevocations.revoked`."""
        return fail(Unavailable("the database cannot be reached"))


class FirstLookTests(SynchronousTestCase):
    """A node that has not read the revocations yet."""

    def setUp(self) -> None:
        """It has a token of before."""
        self.fixture = ServiceFixture()
        self.addCleanup(self.fixture.database.close)
        self.token = self.fixture.tokens.issue(TV)
        self.fixture.revocations.as_of = None

    def test_unavailable(self) -> None:
        """It takes no token until it has looked; a login has it look."""
        fixture = self.fixture
        self.assertRaises(Unavailable, fixture.tokens.verify, self.token)
        self.assertRaises(Unavailable, fixture.logins.refresh, self.token)
        self.assertIsNotNone(self.successResultOf(fixture.logins.login(*TV)).device_secret)
        fixture.tokens.verify(self.token)

    def test_database_away(self) -> None:
        """Nobody logs in as long as it cannot look, so that no secret is offered that nobody is told."""
        fixture = self.fixture
        fixture.change_feed._revoked = Unreadable(fixture.database, run_at_once, fixture.clock.seconds)
        self.failureResultOf(self.fixture.logins.login(*TV), Unavailable)
        self.assertIsNone(devices.export(self.fixture.database, PHONE))


class ManyTests(SynchronousTestCase):
    """Revocations by the hundred thousand."""

    PHONES = 2000

    def setUp(self) -> None:
        """Fifty of each phone."""
        self.revocations = self.known(self.PHONES)

    def known(self, phones: int) -> Revocations:
        """Fifty of each of this number of phones."""
        revocations = Revocations(0.0)
        revocations.know({str(number): self.of_phone(str(number), 50) for number in range(phones)})
        return revocations

    def of_phone(self, phone: str, count: int) -> list[Revocation]:
        """This number of logouts."""
        return [Revocation(DeviceAddress(phone, "tv"), 1e9 + number, sid=str(number)) for number in range(count)]

    def token(self, phone: str, sid: str, auth_time: float = 10.0) -> Token:
        """A token of a session."""
        return Token(DeviceAddress(phone, "tv"), auth_time, 1e9, sid)

    def fastest(self, work: Callable[[], object]) -> float:
        """The seconds that this takes the processor if nothing else is in the way."""
        took = []
        for _ in range(30):
            started = thread_time()
            work()
            took.append(thread_time() - started)
        return min(took)

    def looks(self, revocations: Revocations) -> Sequence[Callable[[], object]]:
        """Whatever is done again and again with what is known."""
        counts = cycle(range(50, 100))
        token = self.token("7", "x")
        return (
            lambda: revocations.know({"7": self.of_phone("7", next(counts))}),
            lambda: revocations.forget_expired(0.0),
            lambda: [revocations.cover(token) for _ in range(100)],
        )

    def test_a_look(self) -> None:
        """A look takes as long when twenty times as much is known."""
        self.assertEqual(100_000, self.revocations.count)
        for few, many in zip(self.looks(self.known(self.PHONES // 20)), self.looks(self.revocations), strict=True):
            self.assertLess(self.fastest(many), 5 * self.fastest(few))

    def test_cover(self) -> None:
        """Sessions that were logged out are covered, and logins before a time, of one device or all."""
        revocations = self.revocations
        self.assertTrue(revocations.cover(self.token("7", "49")))
        self.assertFalse(revocations.cover(self.token("7", "50")))
        self.assertFalse(revocations.cover(self.token("x", "49")))
        for device_id, is_covered in (("tv", True), (EVERY_DEVICE, True), ("pad", False)):
            revocations.know({"7": [Revocation(DeviceAddress("7", device_id), 1e9, before=10.5)]})
            self.assertEqual(is_covered, revocations.cover(self.token("7", "49")))
            self.assertFalse(revocations.cover(self.token("7", "49", 10.5)))

    def test_forgotten(self) -> None:
        """All of it is forgotten some looks after it has expired."""
        for _ in range(self.PHONES // 50):
            self.revocations.forget_expired(2e9)
        self.assertEqual((0, 0), (self.revocations.count, len(self.revocations.phones)))
        self.assertFalse(self.revocations.cover(self.token("7", "49")))
