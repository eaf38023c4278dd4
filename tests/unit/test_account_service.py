"""The account service without HTTP."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from callnet.accounts.contact_lists import ContactRow
from callnet.errors import DataInvalid, DeviceInvalid, PhoneInvalid, TokenInvalid, Unavailable
from callnet.model import DeviceAddress
from callnet.storage import contacts
from callnet.storage.contacts import Account, Pair
from tests.support.account_fixture import FRIEND, PHONE, TV, ServiceFixture


class LoginTests(SynchronousTestCase):
    """Logging in."""

    def setUp(self) -> None:
        """A service that nobody has used."""
        self.fixture = ServiceFixture()
        self.addCleanup(self.fixture.database.close)
        self.logins, self.lists = self.fixture.logins, self.fixture.lists

    def accounts(self) -> list[Account]:
        """All accounts in the database."""
        return list(contacts.accounts(self.fixture.database))

    def test_first_login(self) -> None:
        """A first login makes the account and the device, and answers a token of that device."""
        login = self.successResultOf(self.logins.login(PHONE, "tv888"))
        self.assertEqual(self.fixture.tokens.verify(login.token).device, TV)
        self.assertEqual(login.expires_in, 3600)
        self.assertEqual(self.accounts(), [Account(PHONE, 1)])

    def test_second_login(self) -> None:
        """A second login of the same device answers another token and makes nothing."""
        first = self.successResultOf(self.logins.login(PHONE, "tv888"))
        second = self.successResultOf(self.logins.login(PHONE, "tv888"))
        self.assertNotEqual(first.token, second.token)
        self.assertEqual(self.accounts(), [Account(PHONE, 1)])

    def test_bad_phone(self) -> None:
        """An unacceptable phone number is refused before anything else is looked at."""
        for phone in ("", "1", "+8613651884967", PHONE + "\n", "1365188496\0", "\ud800", "1" * 10_000_000):
            self.failureResultOf(self.logins.login(phone, ""), PhoneInvalid)
        self.assertEqual(self.accounts(), [])

    def test_bad_device_id(self) -> None:
        """A device id that is not acceptable is refused, and leaves no account behind."""
        for device_id in ("", "*", "x" * 51, "a\0", "\ud800", "a\nb", "x" * 10_000_000):
            self.failureResultOf(self.logins.login(PHONE, device_id), DeviceInvalid)
        self.assertEqual(self.accounts(), [])

    def test_database_is_away(self) -> None:
        """While the database cannot be used, a login fails with an error that says that it is worth trying again."""
        with self.fixture.database.write() as connection:
            connection.exec_driver_sql("DROP TABLE account_device")
        self.failureResultOf(self.logins.login(PHONE, "tv888"), Unavailable)


class ContactsTests(SynchronousTestCase):
    """Listing contacts."""

    def setUp(self) -> None:
        """A phone with two contacts, one with three devices and one without any."""
        self.fixture = ServiceFixture()
        self.addCleanup(self.fixture.database.close)
        self.logins, self.lists = self.fixture.logins, self.fixture.lists
        contacts.add(self.fixture.database, [Pair(PHONE, FRIEND, "朋友"), Pair(PHONE, "13651884969")], 0.0)
        for device_id in ("tv", "pad", "Phone"):
            self.successResultOf(self.logins.login(FRIEND, device_id))
        self.token = self.successResultOf(self.logins.login(PHONE, "tv888")).token

    def test_one_row_for_each_device(self) -> None:
        """There is a row for each device of each contact, with the contact's name, in order."""
        page = self.successResultOf(self.lists.contacts(PHONE, self.token))
        rows = [ContactRow(FRIEND, device_id, "朋友", False) for device_id in ("Phone", "pad", "tv")]
        self.assertEqual(page.contacts, rows)
        self.assertIsNone(page.next)

    def test_online(self) -> None:
        """A row tells whether that device is connected."""
        self.fixture.put_online(DeviceAddress(FRIEND, "pad"))
        self.fixture.put_online(DeviceAddress(PHONE, "tv"))
        page = self.successResultOf(self.lists.contacts(PHONE, self.token))
        self.assertEqual([row.device_id for row in page.contacts if row.online], ["pad"])

    def test_nobody(self) -> None:
        """Without contacts the list is empty."""
        token = self.successResultOf(self.logins.login("13651884969", "tv")).token
        self.assertEqual(self.successResultOf(self.lists.contacts("13651884969", token)).contacts, [])

    def test_pages(self) -> None:
        """Pages of any size make up the list; the last has no cursor."""
        whole = self.successResultOf(self.lists.contacts(PHONE, self.token)).contacts
        for size in (1, 2, 3, 4, 500):
            rows: list[ContactRow] = []
            after = None
            while True:
                page = self.successResultOf(self.lists.contacts(PHONE, self.token, size, after))
                rows.extend(page.contacts)
                if page.next is None:
                    break
                self.assertEqual(len(page.contacts), size)
                after = page.next
            self.assertEqual(rows, whole)

    def test_rest(self) -> None:
        """A cursor without a limit answers all the rest."""
        first = self.successResultOf(self.lists.contacts(PHONE, self.token, 1))
        rest = self.successResultOf(self.lists.contacts(PHONE, self.token, None, first.next))
        self.assertEqual([row.device_id for row in rest.contacts], ["pad", "tv"])

    def test_bad_cursor(self) -> None:
        """A cursor that is not from an earlier answer is refused."""
        for cursor in ("", "x", "é", "\0", "W10=", "WyIxIiwiXHUwMDAwIl0=", "bnVsbA==", "W" * 10_000_000, "\ud800"):
            self.failureResultOf(self.lists.contacts(PHONE, self.token, 1, cursor), DataInvalid)

    def test_token_of_another_phone(self) -> None:
        """A token opens the list of its own phone only, whatever the other phone looks like."""
        for phone in (FRIEND, "", PHONE + "\n", "x" * 10_000_000):
            self.failureResultOf(self.lists.contacts(phone, self.token), TokenInvalid)

    def test_bad_token(self) -> None:
        """An empty, malformed or expired token is refused."""
        for token in ("", "x", self.token + "x"):
            self.failureResultOf(self.lists.contacts(PHONE, token), TokenInvalid)
        self.fixture.clock.advance(3600)
        self.failureResultOf(self.lists.contacts(PHONE, self.token), TokenInvalid)


class CursorProperties(SynchronousTestCase):
    """Properties of any cursor."""

    @given(st.text(max_size=60) | st.from_regex(r"[A-Za-z0-9_=-]{0,40}", fullmatch=True))
    def test_any_text(self, cursor: str) -> None:
        """Any text is a cursor or is refused; none does worse."""
        token = _fixture.tokens.issue(TV)
        _fixture.lists.contacts(PHONE, token, 1, cursor).addErrback(lambda failure: failure.trap(DataInvalid))


_fixture = ServiceFixture()
