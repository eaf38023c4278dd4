"""The names that the operator's listener answers to."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from callnet.web.hosts import is_ours

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
        """Who names no host is no browser."""
        self.assertTrue(is_ours(None, NAMES))

    @given(st.text(max_size=60))
    def test_anything_else(self, label: str) -> None:
        """Whatever stands before somebody else's domain, it is theirs."""
        self.assertFalse(is_ours(f"{label}.evil.example", NAMES))
