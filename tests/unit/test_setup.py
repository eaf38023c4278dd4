"""The checks and the settings of ``callnet setup``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from callnet.doctor.findings import Level
from callnet.doctor.network import behind_nat
from callnet.setup.machine import PORTS, Facts, SetupError, check
from callnet.setup.steps import Wanted, rendered, settings_in

NAME: Final = "calls.example.org"
PUBLIC: Final = "8.8.8.8"
PRIVATE: Final = "192.168.1.7"
UNIT: Final = "etc/systemd/system/callnet.service"


def facts(
    resolved: Mapping[str, Sequence[str]],
    addresses: Sequence[str] = (PUBLIC,),
    taken: Mapping[str, str] | None = None,
    seen_as: str = "",
) -> Facts:
    """The state of a machine on which all else is right."""
    return Facts(addresses, resolved, taken or {}, seen_as, True, True, True)


class CheckTests(SynchronousTestCase):
    """The checks, which are functions of facts."""

    def assert_found(self, state: Facts, level: Level, *words: str) -> None:
        """One finding is not good: it has this level, and these words in its text or advice."""
        [found] = [each for each in check(state) if each.level is not Level.GOOD]
        self.assertIs(level, found.level)
        for word in words:
            self.assertIn(word, f"{found.about}: {found.text} -> {found.advice}")

    def test_all_is_right(self) -> None:
        """A name that leads here, and free ports."""
        self.assertEqual({Level.GOOD}, {each.level for each in check(facts({NAME: [PUBLIC]}))})

    def test_names(self) -> None:
        """A name that leads nowhere, elsewhere, to IPv6 only, or by a NAT."""
        self.assert_found(facts({NAME: []}), Level.BAD, NAME, "not in the DNS", f"A record with {PUBLIC}")
        self.assert_found(facts({NAME: ["9.9.9.9"]}), Level.BAD, "9.9.9.9", "not an address of this machine", PUBLIC)
        both = (PUBLIC, "2001:4860::1")
        self.assert_found(facts({NAME: [PUBLIC, "2001:4860::2"]}, both), Level.BAD, "2001:4860::2", "AAAA")
        self.assert_found(facts({NAME: ["2001:4860::1"]}, both), Level.DOUBT, "IPv6 only", "A record")
        self.assert_found(facts({NAME: ["127.0.1.1"]}), Level.DOUBT, "/etc/hosts")
        behind = facts({NAME: [PUBLIC]}, (PRIVATE,))
        self.assert_found(behind, Level.DOUBT, "NAT", "forward TCP 80, 443", f"to {PRIVATE}")
        self.assertEqual([PUBLIC], behind_nat([PUBLIC], [PRIVATE]))
        self.assertFalse(behind_nat([PUBLIC], [PUBLIC]))
        self.assert_found(
            facts({NAME: [PUBLIC]}, (PRIVATE,), seen_as="9.9.9.9"), Level.BAD, "others see this machine as 9.9.9.9"
        )

    def test_ports(self) -> None:
        """A port that another program has is in the way; those of callnet's own programs are not."""
        for kind, port in PORTS:
            taken = facts({NAME: [PUBLIC]}, taken={f"{kind} {port}": "nginx"})
            self.assert_found(taken, Level.BAD, f"port {kind} {port}", "in use by nginx", "disable --now", "ss -")
        own = facts({NAME: [PUBLIC]}, taken={"tcp 443": "twistd", "udp 3478": "turnserver"})
        self.assertEqual({Level.GOOD}, {each.level for each in check(own)})
        foreign = facts({NAME: [PUBLIC]}, taken={"udp 3478": "turnserver"})
        self.assert_found(foreign, Level.BAD, "in use by turnserver")


class WantedTests(SynchronousTestCase):
    """The settings."""

    def test_written(self) -> None:
        """The file has every setting that is wanted, each in its section."""
        wanted = Wanted([NAME], "me@example.org", external=[PUBLIC])
        self.assertEqual(wanted.settings(), settings_in(wanted.written()))
        self.assertFalse(wanted.missing(wanted.written()))
        without = wanted.written().replace(f'host = "{NAME}"', "")
        self.assertEqual({"turn.supervised.host": NAME}, wanted.missing(without))
        self.assertEqual(f'[turn.supervised]\nhost = "{NAME}"\n', rendered(wanted.missing(without)))

    def test_not_toml(self) -> None:
        """A file that is no TOML is said to be none."""
        self.assertIn("not TOML", str(self.assertRaises(SetupError, Wanted([NAME]).missing, "=")))
