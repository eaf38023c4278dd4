"""One-time codes: a new device of a phone proves by one that it is the phone's (enrolment ``otp``)."""

from __future__ import annotations

import hashlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.logins import Login
from callnet.errors import CodeInvalid, DataInvalid, DeviceInvalid, PhoneInvalid, Unavailable
from callnet.model import DeviceAddress
from callnet.storage import contacts, devices
from tests.support.account_fixture import FRIEND, PHONE, TV, ServiceFixture


class CodesTests(SynchronousTestCase):
    """A service where nobody has logged in."""

    def setUp(self) -> None:
        """Codes are needed."""
        self.fixture = ServiceFixture("otp")
        self.addCleanup(self.fixture.database.close)
        self.logins = self.fixture.logins
        self.fixture.clock.advance(1_600_000_000)

    def code(self, phone: str = PHONE) -> str:
        """Have a code sent."""
        self.successResultOf(self.logins.send_code(phone))
        to, code = self.fixture.sent[-1]
        self.assertEqual(phone, to)
        return code

    def login(self, code: str | None = None, secret: str | None = None, address: DeviceAddress = TV) -> Login:
        """Log a device in."""
        return self.successResultOf(self.logins.login(*address, secret, code))

    def assert_refused(self, code: str | None, address: DeviceAddress = TV) -> None:
        """Assert that the device is refused."""
        self.failureResultOf(self.logins.login(*address, None, code), CodeInvalid)

    def test_new_device(self) -> None:
        """A device that is not known needs a code, and leaves nothing behind without one."""
        for wrong in (None, "", "000000x", "1", "１２３４５６", "\ud800", "1" * 100_000):
            self.assert_refused(wrong)
        self.assertEqual([], contacts.accounts(self.fixture.database))
        self.login(self.code())
        self.assertEqual([contacts.Account(PHONE, 1)], contacts.accounts(self.fixture.database))

    def test_six_digits(self) -> None:
        """A code is six digits, and another one each time."""
        codes = {self.code(f"136518849{number:02}") for number in range(50)}
        self.assertGreater(len(codes), 40)
        for code in codes:
            self.assertRegex(code, r"\A[0-9]{6}\Z")

    def test_once(self) -> None:
        """A code is good once."""
        code = self.code()
        self.login(code)
        self.assert_refused(code, DeviceAddress(PHONE, "pad"))

    def test_five_minutes(self) -> None:
        """A code is good for five minutes."""
        code = self.code()
        self.fixture.clock.advance(299)
        self.login(code)
        code = self.code()
        self.fixture.clock.advance(300)
        self.assert_refused(code)

    def test_the_newest(self) -> None:
        """The newest code counts alone, and only for its phone."""
        first, second = self.code(), self.code()
        friend = self.code(FRIEND)
        if first != second:
            self.assert_refused(first)
        if friend != second:
            self.assert_refused(friend)
        self.login(second)

    def test_five_tries(self) -> None:
        """After five wrong guesses the right one is refused, too; a new code resets the count."""
        code = self.code()
        wrong = f"{(int(code) + 1) % 1_000_000:06}"
        for _ in range(4):
            self.assert_refused(wrong)
        self.login(code)
        code = self.code()
        wrong = f"{(int(code) + 1) % 1_000_000:06}"
        for _ in range(5):
            self.assert_refused(wrong)
        self.assert_refused(code)
        self.login(self.code())

    def test_what_is_no_code_is_no_guess(self) -> None:
        """A text that cannot be a code does not count as a guess."""
        code = self.code()
        for _ in range(10):
            self.assert_refused("x")
        self.login(code)

    def test_five_an_hour(self) -> None:
        """A phone is sent five codes in an hour, and the answer is the same when it is not."""
        last = [self.code() for _ in range(5)][-1]
        self.successResultOf(self.logins.send_code(PHONE))
        self.assertEqual(5, len(self.fixture.sent))
        self.code(FRIEND)
        self.login(last)
        self.fixture.clock.advance(3600)
        self.assert_refused(last)
        self.fixture.clock.advance(1)
        self.login(self.code())

    def test_claimed_by_code(self) -> None:
        """A login with a code is offered a secret, be the device new or not; the one before is good until then."""
        first = self.login(self.code()).device_secret
        self.login(secret=first)
        self.failureResultOf(self.logins.login(*TV), DeviceInvalid)
        second = self.login(self.code()).device_secret
        self.login(secret=first)
        self.login(secret=second)
        self.failureResultOf(self.logins.login(*TV, first), DeviceInvalid)
        self.login(secret=second)

    def test_device_of_old(self) -> None:
        """A device without a secret needs a code at each login, like one that is not known, and is claimed by one."""
        devices.provision(self.fixture.database, PHONE, ["tv888"], 0)
        self.assert_refused(None)
        self.login(self.code())
        self.assert_refused(None)
        secret = self.login(self.code()).device_secret
        self.login(secret=secret)
        self.failureResultOf(self.logins.login(*TV), DeviceInvalid)

    def test_let_in_without_a_code(self) -> None:
        """Where the operator says so, a device without a secret that is known needs no code."""
        other = ServiceFixture("otp", database=self.fixture.database, code_without_secret=False)
        self.failureResultOf(other.logins.login(*TV), CodeInvalid)
        devices.provision(self.fixture.database, PHONE, ["tv888"], 0)
        self.assertIsNone(self.successResultOf(other.logins.login(*TV)).device_secret)

    def test_bad_phone(self) -> None:
        """Nothing is sent to an invalid phone number."""
        for phone in ("", "1", PHONE + "\n", "\ud800"):
            self.failureResultOf(self.logins.send_code(phone), PhoneInvalid)
        self.assertEqual([], self.fixture.sent)

    def test_where_none_is_needed(self) -> None:
        """Where enrolment is another, no code is sent, and one that is shown does not matter."""
        for enrolment in ("open", "known"):
            other = ServiceFixture(enrolment, database=self.fixture.database)
            self.failureResultOf(other.logins.send_code(PHONE), DataInvalid)
            devices.provision(self.fixture.database, PHONE, ["tv888"], 0)
            self.successResultOf(other.logins.login(*TV, None, "000000"))

    def test_database_is_away(self) -> None:
        """Without the database nothing is sent, and the answer says that it is worth trying again."""
        with self.fixture.database.write() as connection:
            connection.exec_driver_sql("DROP TABLE one_time_code")
        self.failureResultOf(self.logins.send_code(PHONE), Unavailable)
        self.failureResultOf(self.logins.login(*TV, None, "123456"), Unavailable)
        self.assertEqual([], self.fixture.sent)

    def test_nothing_is_known_in_clear(self) -> None:
        """The database has neither the code, nor a hash that could be reversed without the secret."""
        code = self.code()
        with self.fixture.database.read() as connection:
            kept: Any = connection.exec_driver_sql("SELECT digest FROM one_time_code").scalar()
        self.assertEqual(32, len(kept))
        self.assertNotIn(code.encode(), kept)
        self.assertNotEqual(hashlib.sha256(code.encode()).digest(), kept)


class CodeProperties(SynchronousTestCase):
    """Properties of any code."""

    @given(st.text(max_size=12))
    def test_any_text(self, text: str) -> None:
        """Any text is refused that was not sent; none does worse."""
        self.failureResultOf(_fixture.logins.login(*TV, None, text), CodeInvalid)


_fixture = ServiceFixture("otp")
