"""The names by which the operator's listener and the account service may be asked, and the pages that may ask."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.config.schema import SignalingSettings
from callnet.web.http import CappedSite, HostGuard, is_foreign, is_ours
from tests.support.account_fixture import PHONE, ServiceFixture
from tests.support.http_wire import HttpWire

NAMES = frozenset({"callnet.example.org"})


class HostTests(SynchronousTestCase):
    """``Host``, and whether it is one of ours."""

    def test_addresses(self) -> None:
        """An address is: no name of anybody's leads to it."""
        for host in ("127.0.0.1", "127.0.0.1:8084", "[::1]:8084", "[::1]", "10.1.2.3:1"):
            self.assertTrue(is_ours(host, NAMES), host)

    def test_names(self) -> None:
        """The names are that the operator has given it, and ``localhost``, however they are written."""
        for host in ("localhost", "localhost:8084", "callnet.example.org:8084", "CALLNET.example.org", "localhost."):
            self.assertTrue(is_ours(host, NAMES), host)

    def test_other_names(self) -> None:
        """Other names are not, whatever they look like."""
        for host in (
            "evil.example",
            "callnet.example.org.evil.example",
            "localhost.evil.example:8084",
            "127.0.0.1.evil.example",
            "[::1].evil.example",
            "[evil]",
            "[]",
            "",
            "2130706433.",
            "127.0.0.1@evil.example",
            "callnet.example.org:80:80",
        ):
            self.assertFalse(is_ours(host, NAMES), host)

    def test_none(self) -> None:
        """A client that names no host is no browser."""
        self.assertTrue(is_ours(None, NAMES))

    @given(st.text(max_size=60))
    def test_anything_else(self, label: str) -> None:
        """Whatever stands before somebody else's domain, it is theirs."""
        self.assertFalse(is_ours(f"{label}.evil.example", NAMES))


class PageTests(SynchronousTestCase):
    """``Origin``, and whether it is another host's."""

    def test_devices(self) -> None:
        """A device's WebView, which says nothing, ``null``, ``file:`` or a scheme of its own, is no foreign page."""
        for origin in (None, "", "null", "file:", "file://", "app://tv", "capacitor://localhost"):
            self.assertFalse(is_foreign(origin, "10.1.2.3:8083"), origin)

    def test_the_same_host(self) -> None:
        """A page of the same host is none, whatever its scheme and port: it may be the site's."""
        for host in ("callnet.example.org", "callnet.example.org:8083", "CALLNET.example.org."):
            for origin in (
                "https://callnet.example.org:8080",
                "http://callnet.example.org",
                "HTTPS://Callnet.Example.org",
            ):
                self.assertFalse(is_foreign(origin, host), (origin, host))
        self.assertFalse(is_foreign("https://[::1]:8080", "[::1]:8083"))

    def test_other_hosts(self) -> None:
        """A page of another host is one, and whatever looks like a page and is none."""
        for origin in (
            "https://evil.example",
            "http://evil.example:8083",
            "https://callnet.example.org.evil.example",
            "https://callnet.example.org@evil.example",
            "https://evil.example/callnet.example.org",
            "https://",
            "https://[evil",
        ):
            self.assertTrue(is_foreign(origin, "callnet.example.org:8083"), origin)
            self.assertTrue(is_foreign(origin, None), origin)


class GuardTests(SynchronousTestCase):
    """The account service, by its names and from pages."""

    def serve(self, names: frozenset[str] = frozenset(), origins: tuple[str, ...] = ()) -> None:
        """Serve it under these names, for pages of these origins too."""
        fixture = ServiceFixture()
        self.addCleanup(fixture.database.close)
        self.signaling = SignalingSettings(origins)
        self.wire = HttpWire(CappedSite(HostGuard(fixture.api(), names, self.signaling), Clock()))

    def login(self, host: str, origin: str | None = None) -> tuple[int, int]:
        """The status and the errorCode of a login that is asked for so."""
        body = b'{"phone": "%s", "device_id": "tv"}' % PHONE.encode()
        lines = [f"Host: {host}", f"Content-Length: {len(body)}", *([] if origin is None else [f"Origin: {origin}"])]
        self.wire.send("\r\n".join(["POST /account/login HTTP/1.1", *lines, "", ""]).encode("latin-1") + body)
        answer = self.wire.answers()[-1]
        return answer.status, answer.json()["errorCode"]

    def test_without_settings(self) -> None:
        """Without settings it is asked by any name, by devices and by its own site's pages; other pages are refused."""
        self.serve()
        for host in ("10.1.2.3:8083", "callnet.example.org:8083", "rebound.evil.example:8083"):
            for origin in (None, "null", "file://"):
                self.assertEqual(self.login(host, origin), (200, 0), (host, origin))
        self.assertEqual(self.login("callnet.example.org:8080", "https://callnet.example.org:8080"), (200, 0))
        self.assertEqual(self.login("10.1.2.3:8083", "https://evil.example"), (403, 2))

    def test_names(self) -> None:
        """With names it accepts these, ``localhost`` and addresses only, and no rebound name."""
        self.serve(NAMES)
        for host in ("callnet.example.org:8083", "localhost:8083", "10.1.2.3:8083"):
            self.assertEqual(self.login(host), (200, 0), host)
        for origin in (None, "null", "http://rebound.evil.example:8083"):
            self.assertEqual(self.login("rebound.evil.example:8083", origin), (421, 2), origin)

    def test_bytes_that_are_no_text(self) -> None:
        """Bytes that are no UTF-8 are a name like any other: none of ours, and no traceback."""
        self.serve(NAMES)
        self.assertEqual(self.login("call\xeanet.example.org"), (421, 2))
        self.assertEqual(self.login("callnet.example.org", "https://call\xeanet.example.org"), (403, 2))
        self.serve()
        self.assertEqual(self.login("call\xeanet.example.org"), (200, 0))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_allowed_origins(self) -> None:
        """Pages of the origins that signaling allows may ask, as the settings now are."""
        self.serve(origins=("https://phones.example.org/",))
        self.assertEqual(self.login("10.1.2.3", "https://Phones.example.org"), (200, 0))
        self.assertEqual(self.login("10.1.2.3", "https://phones.example.org:8443"), (403, 2))
        self.signaling.allowed_origins = ()
        self.assertEqual(self.login("10.1.2.3", "https://phones.example.org"), (403, 2))
