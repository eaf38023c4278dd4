"""The numbers of releases (tools/release/versions.py)."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as some
from packaging.version import Version
from twisted.trial.unittest import SynchronousTestCase

from tools.release import Refused
from tools.release.versions import for_npm, newest, parse, tag_of

NUMBERS = some.integers(0, 1000)
RELEASES = some.builds(
    "{}.{}.{}{}".format,
    NUMBERS,
    NUMBERS,
    NUMBERS,
    some.one_of(some.just(""), some.from_regex("(a|b|rc)[0-9]", fullmatch=True)),
)


class VersionTests(SynchronousTestCase):
    """Valid versions of a release."""

    @given(RELEASES)
    def test_releases(self, text: str) -> None:
        """Three numbers, and a pre-release part: parsing and formatting return the same text."""
        self.assertEqual(text, str(parse(text)))
        self.assertEqual(f"v{text}", tag_of(parse(text)))

    def test_no_releases(self) -> None:
        """Whatever else may be a version for Python or for npm is none."""
        for text in (
            *(
                "",
                "1",
                "1.0",
                "1.0.0.0",
                "v1.0.0",
                " 1.0.0",
                "1.0.0\n",
                "01.0.0",
                "1.0.01",
                "1.0.0-rc.1",
                "1.0.0rc",
                "1.0.0rc01",
            ),
            *("1.0.0.dev1", "1.0.0.post1", "1.0.0+local", "1!1.0.0", "1.0.0alpha1", "١.0.0", "1.0.0; rm"),
        ):
            self.assertRaises(Refused, parse, text)

    def test_newest(self) -> None:
        """The newest release is found among several tags; others count for nothing."""
        self.assertEqual(Version("1.10.0"), newest(["v1.9.0", "v1.10.0", "v1.10.0rc1", "v2", "1.11.0", "van", ""]))
        self.assertIsNone(newest(["latest"]))

    def test_for_npm(self) -> None:
        """Each version is written in the way of npm too; the order is the same."""
        versions = {
            "0.1.0.dev441+g061239187": "0.1.0-dev.441+g061239187",
            "1.0.0a1": "1.0.0-alpha.1",
            "1.0.0b2": "1.0.0-beta.2",
            "1.0.0rc3": "1.0.0-rc.3",
            "1.0.0": "1.0.0",
            "1.0.1.dev3+gabc.d20261127": "1.0.1-dev.3+gabc.d20261127",
        }
        self.assertEqual(list(versions.values()), list(map(for_npm, versions)))
        self.assertTrue(all(Version(one) < Version(other) for one, other in pairwise(versions)))
