"""The findings of ``callnet doctor`` in the metrics of the daemon: the pages that needed a relay."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.trial.unittest import SynchronousTestCase

from callnet.cli.doctor import relayed
from callnet.config.schema import TurnSettings
from callnet.doctor.findings import Finding, Level

RELAY = TurnSettings(urls=("turn:turn.example.org",))


class RelayedTests(SynchronousTestCase):
    """Numbers of pages, and the finding."""

    def found(self, settings: TurnSettings, used: int, without: int, unreachable: int) -> Sequence[Finding]:
        """The findings of these numbers of pages."""
        numbers = {
            ("callnet_media_setup_seconds_count", "host"): 100.0,
            ("callnet_media_setup_seconds_count", "relay"): float(used),
            ("callnet_media_setup_failed_total", ""): 100.0,
            ("callnet_media_setup_failed_without_relay_total", ""): float(without),
            ("callnet_media_setup_failed_relay_unreachable_total", ""): float(unreachable),
        }
        return list(relayed(numbers, settings))

    def test_nobody(self) -> None:
        """Where nobody needed one there is nothing to say; nor of a daemon that does not count it yet."""
        self.assertEqual([], self.found(TurnSettings(), 0, 0, 0))
        self.assertEqual([], list(relayed({}, TurnSettings())))

    def test_all_had_one(self) -> None:
        """All that needed one had one."""
        [finding] = self.found(RELAY, 4, 0, 0)
        self.assertEqual(
            (Level.GOOD, "4 pages needed a relay since the start; 4 had one"), (finding.level, finding.text)
        )

    def test_none(self) -> None:
        """A server without a relay is told to have one."""
        [finding] = self.found(TurnSettings(), 0, 6, 0)
        self.assertEqual(Level.DOUBT, finding.level)
        self.assertEqual("6 pages needed a relay since the start; 0 had one, 6 had none", finding.text)
        self.assertIn("turn.relay", finding.advice)

    def test_unreachable(self) -> None:
        """A relay that some do not reach has a firewall before it, or before them."""
        [finding] = self.found(RELAY, 5, 0, 2)
        self.assertEqual("7 pages needed a relay since the start; 5 had one, 2 could not reach it", finding.text)
        self.assertIn("firewalls", finding.advice)

    def test_not_offered(self) -> None:
        """Where there is a relay, those that were offered none had no call."""
        [finding] = self.found(RELAY, 0, 2, 0)
        self.assertIn("turn.adhoc", finding.advice)
