"""Rate limits."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Coroutine
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.config.schema import LimitSettings
from callnet.errors import RateLimited
from callnet.model import DeviceAddress
from callnet.ops import limits
from callnet.ops.limits import GuestLimits, Limiter, LimitsAlone, LoginLimits
from callnet.storage.contacts import pairs_of
from callnet.util.net import site_of
from tests.support.account_fixture import FRIEND, PHONE, ServiceFixture
from tests.support.api_case import ADD, CHANGES, CONTACTS, LOGIN, ApiTestCase
from tests.unit.test_pictures import jpeg

steps = st.lists(st.tuples(st.floats(0, 30), st.sampled_from("ab")), max_size=60)


class LimiterTests(SynchronousTestCase):
    """Three in six seconds."""

    def setUp(self) -> None:
        """Begin at some time."""
        self.clock = Clock()
        self.clock.advance(1e9)
        self.limiter = Limiter(3, 6.0, self.clock.seconds)

    def test_at_once(self) -> None:
        """A burst is allowed, and then one after each interval."""
        self.assertEqual([0, 0, 0, 2], [self.limiter.wait("a") for _ in range(4)])
        self.clock.advance(1.5)
        self.assertEqual(0.5, self.limiter.wait("a"))
        self.clock.advance(0.5)
        self.assertEqual([0, 2], [self.limiter.wait("a") for _ in range(2)])
        self.clock.advance(6)
        self.assertEqual([0, 0, 0, 2], [self.limiter.wait("a") for _ in range(4)])

    def test_each_for_itself(self) -> None:
        """Each key has a count of its own."""
        for _ in range(4):
            self.limiter.wait("a")
        self.assertEqual(0, self.limiter.wait("b"))

    def test_any_number(self) -> None:
        """Zero is no limit."""
        unlimited = Limiter(0, 6.0, self.clock.seconds)
        self.assertEqual({0.0}, {unlimited.wait("a") for _ in range(1000)})

    def test_forgetting(self) -> None:
        """Nothing is kept of a key whose limit is full again."""
        for number in range(1000):
            self.assertEqual(0.0, self.limiter.wait(str(number)))
            self.clock.advance(1)
        self.assertLess(len(self.limiter._free_at), 10)

    def test_memory(self) -> None:
        """Those that have not come for the longest are forgotten when there are too many."""
        self.patch(limits, "KEYS_MAX", 10)
        for _ in range(3):
            self.limiter.wait("old")
        for number in range(9):
            self.limiter.wait(str(number))
        self.assertEqual(2, self.limiter.wait("old"))
        for number in range(10):
            self.limiter.wait(f"new {number}")
        self.assertEqual(0, self.limiter.wait("old"))

    @given(steps)
    def test_never_too_many(self, steps: list[tuple[float, str]]) -> None:
        """However they come: in no six seconds more than six are let through, and who waits as told is."""
        clock = Clock()
        limiter = Limiter(3, 6.0, clock.seconds)
        taken: dict[str, list[float]] = {"a": [], "b": []}
        for pause, key in steps:
            clock.advance(pause / 10)
            wait = limiter.wait(key)
            if wait:
                self.assertLessEqual(wait, 2.000001)
                clock.advance(wait)
                self.assertEqual(0, limiter.wait(key))
            taken[key].append(clock.seconds())
        for times in taken.values():
            for first, last in zip(times, times[6:], strict=False):
                self.assertGreaterEqual(last - first, 5.99)


class SiteTests(SynchronousTestCase):
    """The client address of a request."""

    def test_sites(self) -> None:
        """An IPv4 address is one client, as is the /64 of an IPv6 address; addresses that identify nobody are none."""
        for host, site in (
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("2001:db8::1", "2001:db8::/64"),
            ("2001:db8::ffff:ffff:ffff:ffff", "2001:db8::/64"),
            ("2001:db8:0:1::1", "2001:db8:0:1::/64"),
            ("127.0.0.1", None),
            ("127.1.2.3", None),
            ("::1", None),
            ("::ffff:127.0.0.1", None),
            ("", None),
            ("-", None),
            ("/run/socket", None),
        ):
            self.assertEqual(site, site_of(host), host)

    @given(st.text(max_size=50) | st.ip_addresses().map(str))
    def test_any_text(self, host: str) -> None:
        """Any text has a site or none, and the same one each time."""
        self.assertEqual(site_of(host), site_of(host))


class LoginLimitsTests(SynchronousTestCase):
    """The limits of logins and codes."""

    def setUp(self) -> None:
        """Small ones."""
        self.clock = Clock()
        self.limits = LoginLimits(LimitSettings(3, 2, codes_an_hour_from_an_address=1), LimitsAlone(self.clock.seconds))

    def login(self, host: str, phone: str | None) -> None:
        """A device logs in."""
        self.successResultOf(Deferred.fromCoroutine(self.limits.login(host, phone)))

    def code(self, host: str) -> None:
        """Somebody asks for a code."""
        self.successResultOf(Deferred.fromCoroutine(self.limits.code(host)))

    def assert_limited(self, limited: Coroutine[Any, Any, None]) -> int:
        """This is one too many; when to try again, in whole seconds."""
        error: Any = self.failureResultOf(Deferred.fromCoroutine(limited), RateLimited).value
        return int(error.retry_after)

    def test_from_an_address(self) -> None:
        """The number of logins from an address is limited, of whatever phones."""
        for phone in "123":
            self.login("192.0.2.1", phone)
        self.assertEqual(20, self.assert_limited(self.limits.login("192.0.2.1", "4")))
        self.login("192.0.2.2", "4")

    def test_of_a_phone(self) -> None:
        """The number of logins of a phone is limited, from whatever addresses, those of this machine included."""
        for host in ("192.0.2.1", "127.0.0.1"):
            self.login(host, "1")
        self.assertEqual(30, self.assert_limited(self.limits.login("", "1")))

    def test_networks(self) -> None:
        """From an IPv6 /48 come ten times as many logins, codes, and requests without a token, as from an address."""
        for most, count in (
            (30, lambda host: self.limits.login(host, None)),
            (10, self.limits.code),
            (30, self.limits.without_token),
        ):
            for number in range(most):
                self.successResultOf(Deferred.fromCoroutine(count(f"2001:db8:1:{number:x}::1")))
            self.assert_limited(count("2001:db8:1:ffff::1"))
            self.successResultOf(Deferred.fromCoroutine(count("2001:db8:2::1")))

    def test_codes(self) -> None:
        """The number of requests for codes from an address is limited."""
        self.code("192.0.2.1")
        self.assertEqual(3600, self.assert_limited(self.limits.code("192.0.2.1")))
        self.code("192.0.2.2")
        for _ in range(5):
            self.code("127.0.0.1")

    def test_photos(self) -> None:
        """The number of photos from an address is limited, and that of an IPv6 /48 to ten times as many."""
        settings = LimitSettings(photos_an_hour_from_an_address=2)
        limits = LoginLimits(settings, LimitsAlone(self.clock.seconds))

        def store(host: str) -> None:
            self.successResultOf(Deferred.fromCoroutine(limits.photo(host)))

        for host in ("192.0.2.1", *(f"2001:db8:1:{site:x}::1" for site in range(10))):
            store(host)
            store(host)
            self.assertEqual(1800, self.assert_limited(limits.photo(host)))
        self.assertEqual(180, self.assert_limited(limits.photo("2001:db8:1:ffff::1")))
        for host in ("192.0.2.2", "2001:db8:2::1", "127.0.0.1"):
            store(host)
        settings.photos_an_hour_from_an_address = 0
        limits.changed()
        store("192.0.2.1")

    def test_requests(self) -> None:
        """The number of requests with a token is limited for a device, and for its phone, whichever device it is."""
        settings = LimitSettings(account_requests_a_minute_of_a_device=2, account_requests_a_minute_of_a_phone=3)
        limits = LoginLimits(settings, LimitsAlone(self.clock.seconds))
        tv, pad, other = DeviceAddress("1", "tv"), DeviceAddress("1", "pad"), DeviceAddress("2", "tv")
        for device in (tv, tv, pad, other):
            limits.request(device)
        for device, wait in ((tv, 30), (pad, 20)):
            self.assertEqual(wait, self.assertRaises(RateLimited, limits.request, device).retry_after)
        settings.account_requests_a_minute_of_a_phone = settings.account_requests_a_minute_of_a_device = 9
        limits.changed()
        self.clock.advance(7)
        limits.request(pad)

    def test_what_is_no_phone(self) -> None:
        """A text that is no phone number counts for no phone, and costs no memory."""
        for _ in range(10):
            self.login("", None)

    def test_of_a_device(self) -> None:
        """A device may refresh its token, and log out, so often in an hour, whatever another does."""
        one, other = DeviceAddress("1", "tv"), DeviceAddress("1", "pad")
        usual = LoginLimits(LimitSettings(), LimitsAlone(self.clock.seconds))
        for count, wait, limited in ((6, 600, usual.refresh), (20, 180, usual.logout)):
            for _ in range(count):
                self.successResultOf(Deferred.fromCoroutine(limited(one)))
            self.assertEqual(wait, self.assert_limited(limited(one)))
            self.successResultOf(Deferred.fromCoroutine(limited(other)))


class GuestLimitsTests(SynchronousTestCase):
    """Guests and their calls."""

    def refusal(self, counted: Coroutine[Any, Any, None]) -> str:
        """The error of something that is counted, if it is one too many."""
        done = Deferred.fromCoroutine(counted)
        return self.successResultOf(done.addCallbacks(lambda _: "", lambda failure: str(failure.value)))

    def test_network(self) -> None:
        """From an IPv6 /48, of which one guest may have all addresses, come ten times as many as from one, and call."""
        limits = GuestLimits(LimitSettings(), LimitsAlone(lambda: 0.0))
        for count, what in ((limits.enter, "guests"), (limits.call, "calls of guests")):
            of_one, of_network = (f"too many {what} from this {where}" for where in ("address", "network"))
            self.assertEqual([""] * 20 + [of_one], [self.refusal(count("2001:db8:1:1::1")) for _ in range(21)])
            hosts = [f"2001:db8:1:{number:x}::1" for number in range(2, 201)]
            self.assertEqual([""] * 180 + [of_network] * 19, [self.refusal(count(host)) for host in hosts])
            self.assertEqual(["", ""], [self.refusal(count(host)) for host in ("2001:db8:2::1", "192.0.2.1")])


class LimitedApiTests(ApiTestCase):
    """The same over HTTP."""

    def test_too_many(self) -> None:
        """Too many tries are answered 429 with errorCode 6 and when to try again; then it works."""
        self.fixture.limits = LoginLimits(
            LimitSettings(2, 0, codes_an_hour_from_an_address=1), LimitsAlone(self.fixture.clock.seconds)
        )
        self.serve(self.fixture.logins, self.fixture.lists)
        for _ in range(2):
            self.login()
        answer = self.post(LOGIN, {"phone": "13651884968", "device_id": "tv"})
        self.assertEqual((429, 6, "30"), (answer.status, answer.json()["errorCode"], answer.headers["retry-after"]))
        self.fixture.clock.advance(30)
        self.login()

    def test_spellings(self) -> None:
        """The spellings of a number count for one phone, which has one account and one list of contacts."""
        self.fixture = ServiceFixture(phone_format="number")
        self.addCleanup(self.fixture.database.close)
        self.fixture.limits = LoginLimits(LimitSettings(2, 0), LimitsAlone(self.fixture.clock.seconds))
        self.serve(self.fixture.logins, self.fixture.lists)
        first, second = (
            self.post(LOGIN, {"phone": phone, "device_id": f"tv{phone}"}).json()["token"]
            for phone in ("13651884967", "(136) 5188-4967")
        )
        self.assert_error(6, LOGIN, {"phone": "136 5188 4967", "device_id": "tv"}, 429)
        self.assert_error(0, ADD, {"contact_phone": "136-5188-4968", "token": first})
        for phone in ("13651884967", "136 5188 4967"):
            self.assert_error(0, CONTACTS, {"phone": phone, "token": second})
        self.assert_error(4, CONTACTS, {"phone": "+13651884967", "token": second})
        self.assertEqual(["13651884968"], [pair.contact for pair in pairs_of(self.fixture.database, "13651884967")])

    def test_tokens(self) -> None:
        """So are refreshes and logouts of a device; an invalid token is not counted."""
        settings = LimitSettings(refreshes_an_hour_of_a_device=1, logouts_an_hour_of_a_device=1)
        self.fixture.limits = LoginLimits(settings, LimitsAlone(self.fixture.clock.seconds))
        self.serve(self.fixture.logins, self.fixture.lists)
        first, second = self.login(), self.login()
        for path in ("/account/refresh", "/account/logout"):
            self.assert_error(4, path, {"token": first + "x"})
            self.assert_error(0, path, {"token": first})
            self.assert_error(6, path, {"token": second}, 429)

    def test_codes(self) -> None:
        """So are too many codes."""
        self.fixture = ServiceFixture("otp")
        self.addCleanup(self.fixture.database.close)
        self.fixture.limits = LoginLimits(
            LimitSettings(0, 0, codes_an_hour_from_an_address=1), LimitsAlone(self.fixture.clock.seconds)
        )
        self.serve(self.fixture.logins, self.fixture.lists)
        self.assert_error(0, "/account/code", {"phone": "13651884968"})
        self.assert_error(6, "/account/code", {"phone": "13651884969"}, 429)
        self.assertEqual(1, len(self.fixture.sent))

    def test_photos(self) -> None:
        """So are too many photos, of a phone or its contacts; what stores none is not counted."""
        self.fixture.limits = LoginLimits(
            LimitSettings(photos_an_hour_from_an_address=2), LimitsAlone(self.fixture.clock.seconds)
        )
        self.serve(self.fixture.logins, self.fixture.lists)
        token, friends = self.login(), self.login(FRIEND, "tv")
        photo = b64encode(jpeg(256, 256)).decode("ascii")
        own: dict[str, Any] = {"token": token}
        given = {"token": friends, "contact_phone": PHONE}
        for path, body in (("/account/profile", own), (ADD, given)):
            self.assert_error(4, path, body | {"token": "x", "photo": photo})
            self.assert_error(0, path, body | {"photo": photo})
        for path, body in (("/account/profile", own), (ADD, given)):
            self.assert_error(6, path, body | {"photo": photo}, 429)
            self.assert_error(0, path, body | {"photo": None})
            self.assert_error(0, path, body)

    def test_requests(self) -> None:
        """Too many requests that carry a token are answered so; a request with a bad token is charged to nobody."""
        token = self.login()
        contact = {"token": token, "contact_phone": FRIEND}
        requests: tuple[tuple[str, dict[str, Any]], ...] = (
            (CONTACTS, {"phone": PHONE, "token": token}),
            *((path, contact) for path in CHANGES),
            ("/account/settings", {"token": token}),
            ("/calls/history", {"token": token}),
            ("/devices/push", {"token": token, "kind": "none", "target": ""}),
            ("/ice", {"token": token}),
        )
        for path, body in requests:
            self.fixture.limits = LoginLimits(
                LimitSettings(account_requests_a_minute_of_a_device=1), LimitsAlone(self.fixture.clock.seconds)
            )
            self.serve(self.fixture.logins, self.fixture.lists)
            self.assert_error(4, path, body | {"token": "x"})
            self.assert_error(0, path, body)
            answer = self.post(path, body)
            found = answer.status, answer.json()["errorCode"], answer.headers.get("retry-after")
            self.assertEqual((429, 6, "60"), found, path)
