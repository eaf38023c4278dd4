"""The login of a device: secrets, provisioned devices, and revoked tokens."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.logins import Login
from callnet.accounts.signing_keys import Key, KeyRing
from callnet.accounts.tokens import Tokens
from callnet.accounts.validation import secret_hash
from callnet.errors import DeviceInvalid, PhoneInvalid, TokenInvalid
from callnet.model import EVERY_DEVICE, DeviceAddress
from callnet.storage import contacts, devices
from callnet.storage.enrolling import OFFER_STANDS
from tests.support.account_fixture import FRIEND, PHONE, TV, ServiceFixture
from tests.unit.test_tokens import forge


class LoginsTestCase(SynchronousTestCase):
    """A service that nobody has used, and another node on the same database."""

    def setUp(self) -> None:
        """Open enrolment."""
        self.use(ServiceFixture())

    def use(self, fixture: ServiceFixture) -> None:
        """Test this service."""
        self.fixture = fixture
        self.addCleanup(fixture.database.close)
        self.other = ServiceFixture(fixture.enrolment, database=fixture.database)
        for node in (fixture, self.other):
            node.change_feed.start()
            self.addCleanup(node.change_feed.stop)

    def login(
        self, secret: str | None = None, node: ServiceFixture | None = None, address: DeviceAddress = TV
    ) -> Login:
        """Log the device in."""
        return self.successResultOf((node or self.fixture).logins.login(*address, secret))

    def assert_kept_out(self, secret: str | None = None, node: ServiceFixture | None = None) -> None:
        """Assert that the device is refused."""
        self.failureResultOf((node or self.fixture).logins.login(*TV, secret), DeviceInvalid)

    def pass_time(self, seconds: float) -> None:
        """Let both nodes read the changes."""
        for node in (self.fixture, self.other):
            node.clock.advance(seconds)


class SecretTests(LoginsTestCase):
    """Claiming a device."""

    def test_offered_once(self) -> None:
        """A login that makes a device is offered a secret, another one for each device; one just after it is not."""
        secret = self.login().device_secret
        other = self.login(address=DeviceAddress(PHONE, "pad")).device_secret
        assert secret is not None
        assert other is not None
        self.assertNotEqual(secret, other)
        self.assertIsNone(self.login().device_secret)
        self.assertIsNone(self.login(node=self.other).device_secret)

    def test_lost_answer(self) -> None:
        """While nobody has used the device, a login some time after an offer is offered another secret, on any node:
        the answer with the first may be lost.
        """
        lost = self.login().device_secret
        self.pass_time(3)
        self.assertIsNone(self.login().device_secret)
        self.pass_time(OFFER_STANDS - 3)
        secret = self.login(node=self.other).device_secret
        self.assertNotIn(secret, (None, lost))
        self.pass_time(1)
        self.assertIsNone(self.login().device_secret)
        self.login(secret)
        self.pass_time(1)
        for node in (self.fixture, self.other):
            for shown in (None, lost):
                self.assert_kept_out(shown, node)
            self.assertIsNone(self.login(secret, node).device_secret)

    def test_late_offers(self) -> None:
        """A device that was used, or that the operator has given a secret, is offered none any more."""
        pad = DeviceAddress(PHONE, "pad")
        self.login()
        self.login(address=pad)
        self.fixture.accounts.used(TV)
        devices.set_secret(self.fixture.database, pad, secret_hash("given"), self.fixture.clock.seconds())
        self.pass_time(OFFER_STANDS)
        self.assertIsNone(self.login().device_secret)
        self.assertIsNone(self.login("given", address=pad).device_secret)

    def test_unclaimed(self) -> None:
        """A device that never shows its secret goes on without; any other value does not matter."""
        self.login()
        for shown in (None, "", "wrong", "\ud800"):
            self.login(shown)
            self.login(shown, self.other)

    def test_claimed(self) -> None:
        """A device that has logged in with the secret needs it from then on, on every node."""
        secret = self.login().device_secret
        self.login(node=self.other)
        self.login(secret)
        self.assert_kept_out()
        self.assert_kept_out("wrong")
        self.pass_time(1)
        self.assert_kept_out(node=self.other)
        self.assert_kept_out("wrong", self.other)
        for node in (self.fixture, self.other):
            self.assertIsNone(self.login(secret, node).device_secret)

    def test_secret_of_nobody(self) -> None:
        """A login that shows a secret makes neither an account nor a device."""
        self.assert_kept_out("forgotten")
        self.assertEqual([], contacts.accounts(self.fixture.database))

    def test_claimed_at_once(self) -> None:
        """A node that did not know yet that the device was claimed takes the secret, too."""
        secret = self.login().device_secret
        self.login(node=self.other)
        self.login(secret)
        self.login(secret, self.other)
        self.assert_kept_out(node=self.other)

    def test_operator_gives_a_secret(self) -> None:
        """The operator may give a device a secret, in the place of the one that it had, and take it away."""
        first = self.login().device_secret
        self.login(first)
        devices.set_secret(self.fixture.database, TV, secret_hash("given"), self.fixture.clock.seconds())
        self.pass_time(1)
        self.assert_kept_out(first)
        self.login("given", self.other)
        devices.set_secret(self.fixture.database, TV, None, self.fixture.clock.seconds())
        self.pass_time(1)
        self.login()
        self.login("given", self.other)
        self.login()

    def test_nothing_is_known_in_clear(self) -> None:
        """The database does not know the secret."""
        secret = self.login().device_secret
        assert secret is not None
        with self.fixture.database.read() as connection:
            self.assertNotIn(secret, repr(connection.exec_driver_sql("SELECT * FROM account_device").all()))


class KnownTests(LoginsTestCase):
    """Enrolment ``known``."""

    def setUp(self) -> None:
        """A phone with one device."""
        self.use(ServiceFixture("known"))
        devices.provision(self.fixture.database, PHONE, ["tv888"], 0)

    def test_known(self) -> None:
        """A provisioned device is admitted, and is offered no secret: the operator gives it one."""
        self.assertIsNone(self.login().device_secret)

    def test_unknown(self) -> None:
        """A phone that is no account, and a device that is not the phone's, are refused, and leave nothing behind."""
        self.failureResultOf(self.fixture.logins.login(FRIEND, "tv888"), PhoneInvalid)
        self.failureResultOf(self.fixture.logins.login(PHONE, "pad"), DeviceInvalid)
        self.assertEqual([contacts.Account(PHONE, 1)], contacts.accounts(self.fixture.database))

    def test_provisioned_later(self) -> None:
        """A refused device is admitted as soon as it is provisioned."""
        self.failureResultOf(self.fixture.logins.login(FRIEND, "tv888"), PhoneInvalid)
        devices.provision(self.fixture.database, FRIEND, ["tv888"], 0)
        self.login(address=DeviceAddress(FRIEND, "tv888"))

    def test_secret(self) -> None:
        """A secret that the operator gave is asked for."""
        devices.set_secret(self.fixture.database, TV, secret_hash("given"), 0)
        self.assert_kept_out()
        self.login("given")


class RevocationTests(LoginsTestCase):
    """Tokens that are refused though they have not expired."""

    def revoke(self, device: DeviceAddress) -> None:
        """Have the operator revoke tokens, and every node look."""
        devices.revoke(self.fixture.database, device, self.fixture.clock.seconds)
        self.pass_time(1)

    def assert_refused(self, token: str) -> None:
        """The token is good nowhere."""
        for node in (self.fixture, self.other):
            self.assertRaises(TokenInvalid, node.tokens.verify, token)

    def assert_valid(self, token: str) -> None:
        """The token is good everywhere."""
        for node in (self.fixture, self.other):
            node.tokens.verify(token)

    def test_logout(self) -> None:
        """A token that was logged out is refused here at once and elsewhere within a second; the others are not."""
        first, second = self.login().token, self.login().token
        self.successResultOf(self.fixture.logins.logout(first))
        self.assertRaises(TokenInvalid, self.fixture.tokens.verify, first)
        self.pass_time(1)
        self.assert_refused(first)
        self.assert_valid(second)
        self.assertEqual(([PHONE], [TV]), (self.other.closed, self.other.left))

    def test_logout_without_an_id(self) -> None:
        """A token of the seed, which has no id, takes all with it that the device got until then."""
        self.pass_time(100)
        claims = {"userName": f"{PHONE}tv888", "exp": 3600 + 50}
        for older in (
            forge(claims),
            forge({**claims, "exp": 3600 + 51, "jti": "x" * 256}),
            forge({**claims, "exp": 3600 + 52, "jti": "\0"}),
        ):
            newer = self.login().token
            self.successResultOf(self.fixture.logins.logout(older))
            self.pass_time(1)
            self.assert_refused(older)
            self.assert_valid(newer)

    def test_a_device(self) -> None:
        """All tokens of a device that were issued until now are refused, those of its phone's others are not."""
        self.pass_time(100)
        token, pad = self.login().token, self.login(address=DeviceAddress(PHONE, "pad")).token
        self.pass_time(0.5)
        self.revoke(TV)
        self.assert_refused(token)
        self.assert_valid(pad)

    def test_a_phone(self) -> None:
        """So are those of all devices of a phone, and no other's."""
        self.pass_time(100)
        tokens = [self.login(address=DeviceAddress(PHONE, name)).token for name in ("tv888", "pad")]
        friend = self.login(address=DeviceAddress(FRIEND, "tv")).token
        self.pass_time(0.5)
        self.revoke(DeviceAddress(PHONE, EVERY_DEVICE))
        for token in tokens:
            self.assert_refused(token)
        self.assert_valid(friend)

    def test_login_in_the_same_second(self) -> None:
        """A login right after that is admitted: the new token counts as issued after it."""
        self.pass_time(100.25)
        self.revoke(TV)
        self.assert_valid(self.login().token)
        self.assert_valid(self.login(node=self.other).token)

    def test_token_without_a_time(self) -> None:
        """A token that does not say when it was issued counts as issued one lifetime before it expires."""
        self.pass_time(5000)
        self.revoke(TV)
        for expires, is_refused in ((5002 + 3599, True), (5002 + 3600, False)):
            token = forge({"phone": PHONE, "deviceid": "tv888", "exp": expires})
            (self.assert_refused if is_refused else self.assert_valid)(token)

    def test_forgotten_when_expired(self) -> None:
        """Revocations that concern only expired tokens are forgotten, in memory and in the database."""
        self.successResultOf(self.fixture.logins.logout(self.login().token))
        self.pass_time(1)
        self.assertEqual({PHONE}, self.other.revocations.phones)
        self.pass_time(2 * 3600)
        self.pass_time(1)
        self.assertEqual(set(), self.other.revocations.phones)
        self.successResultOf(self.fixture.logins.logout(self.login(address=DeviceAddress(FRIEND, "tv")).token))
        with self.fixture.database.read() as connection:
            self.assertEqual(1, len(connection.exec_driver_sql("SELECT * FROM revocation").all()))

    def test_a_node_that_starts(self) -> None:
        """A node knows the earlier revocations when it starts, and has nobody leave a call for them."""
        token = self.login().token
        self.successResultOf(self.fixture.logins.logout(token))
        self.pass_time(700)
        late = ServiceFixture(database=self.fixture.database)
        late.clock.advance(self.fixture.clock.seconds())
        late.change_feed.start()
        self.addCleanup(late.change_feed.stop)
        self.assertRaises(TokenInvalid, late.tokens.verify, token)
        self.assertEqual(([PHONE], []), (late.closed, late.left))

    def test_only_what_is_new(self) -> None:
        """Something else that changes about a phone has nobody leave a call once more."""
        self.successResultOf(self.fixture.logins.logout(self.login().token))
        self.pass_time(1)
        devices.provision(self.fixture.database, PHONE, ["pad"], self.fixture.clock.seconds())
        self.pass_time(1)
        self.assertEqual(([PHONE], [TV]), (self.other.closed, self.other.left))


class KeysTests(SynchronousTestCase):
    """The seed's own sample."""

    def test_sample(self) -> None:
        """The seed's token is accepted by its claims until it expires, given its key."""
        token = forge({"userName": "13651884967tv888", "ip": "", "exp": 1614569876})
        for now, is_valid in ((1614569875, True), (1614569876, False)):
            clock = Clock()
            clock.advance(now)
            tokens = Tokens(KeyRing.of(Key.of(b"k" * 32)), 7 * 86400, clock.seconds, split_user_name=True)
            if is_valid:
                self.assertEqual(TV, tokens.verify(token).device)
            else:
                self.assertRaises(TokenInvalid, tokens.verify, token)
