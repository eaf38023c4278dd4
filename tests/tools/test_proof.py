"""The reports of the proofs of ``make acceptance``, and the data that they read from this project."""

from __future__ import annotations

import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random

from twisted.trial.unittest import SynchronousTestCase

from acceptance import bad_frames, bad_http, openapi, readme, release
from acceptance.bad_values import mutated
from acceptance.person import WORDS, Words
from acceptance.proof import Outcome, Proof, report
from callnet.schemas import openapi_document
from harness import ROOT
from harness.leaks import complaints

INFO = "2026-11-25T01:54:09+0000 [callnet.tap.Daemon#info] Received SIGINT"
WARNING = "2026-11-25T01:54:09+0000 [callnet.tap.Daemon#warn] something"


class ReportTests(SynchronousTestCase):
    """The report of one run."""

    def report(self, *misses: str) -> str:
        """The report of a proof that counted three calls."""
        outcome = Outcome({"calls": 3}, misses)
        return report(Proof("calls", "everyone is answered", lambda _brief, _seed: outcome), outcome, True, 7, 61)

    def test_met(self) -> None:
        """It has the target, the date, the commit, the seed, the machine and the counts."""
        text = self.report()
        self.assertTrue(text.startswith("calls: met (a short slice)\ntarget: everyone is answered\ndate: 20"))
        for line in ("\ncommit: ", "\nseed: 7\n", "\nmachine: ", "\ntook: 61 s\n", "\ncalls: 3\n"):
            self.assertIn(line, text)

    def test_missed(self) -> None:
        """It says where the target was missed."""
        text = self.report("nobody answered")
        self.assertTrue(text.startswith("calls: MISSED"))
        self.assertTrue(text.endswith("\nMISSED: nobody answered\n"))


class ComplaintTests(SynchronousTestCase):
    """Lines of a daemon's log above info."""

    def test_found(self) -> None:
        """They are found by their level, and a traceback without any by its first line; the cause is told with them."""
        self.assertEqual([], complaints(INFO))
        for line in (WARNING, WARNING.replace("warn", "error"), WARNING.replace("warn", "critical"), "Traceback (most"):
            self.assertEqual([line], complaints(f"{INFO}\n{line}\n"))
            found = complaints(f"{INFO}\n{line}\n\tTraceback (most recent call last):\n\tValueError: why\n\t\n{INFO}\n")
            self.assertEqual([f"{line}: ValueError: why"], found)


class ReadmeTests(SynchronousTestCase):
    """The commands that a newcomer is told to type."""

    def test_each_is_there_once(self) -> None:
        """The four things that the newcomer's proof does are in README.md, each once."""
        for beginning in ("apt-get install", "make run", "curl"):
            self.assertTrue(readme.command(ROOT / "README.md", beginning))

    def test_a_missing_one(self) -> None:
        """One that is not there is an error."""
        path = Path(self.mktemp())
        path.write_text("```sh\nmake run\n```\n")
        self.assertEqual(["make run"], readme.commands(path))
        self.assertRaises(LookupError, readme.command, path, "make test")


class WordsTests(SynchronousTestCase):
    """The words by which the walk finds what it presses and reads."""

    def matches(self, text: str, path: str, language: str = "en", **values: str) -> bool:
        """Compare a text on the page with the one of this path."""
        return re.fullmatch(Words(language).pattern(path, values), text) is not None

    def test_names(self) -> None:
        """A name is filled in, isolated or not, with all of its signs; without one anything may stand there."""
        self.assertTrue(self.matches("Call A. (b) \u2068", "phone.person.all", name="A. (b) \u2068"))
        self.assertTrue(self.matches("دعوة \u2068Ada\u2069", "phone.person.invite", "ar", name="Ada"))
        self.assertFalse(self.matches("Call Ada", "phone.person.all", name="A.a"))
        self.assertTrue(self.matches("Call Ada", "phone.person.all"))

    def test_plurals(self) -> None:
        """Each form of a plural is found."""
        for text in ("Chat, 1 new message", "Chat, 12 new messages"):
            self.assertTrue(self.matches(text, "page.unread"))
        self.assertFalse(self.matches("Chat", "page.unread"))

    def test_every_path_is_there(self) -> None:
        """Every text that the walk looks for is in the words of each language."""
        source = (ROOT / "acceptance" / "walk.py").read_text()
        paths = re.findall(r'"((?:phone|page)\.[\w.]+)"', source)
        self.assertGreater(len(paths), 50)
        for language in (path.stem for path in WORDS["page"].iterdir()):
            for path in paths:
                self.assertTrue(Words(language).pattern(path, {}), f"{language}: {path}")


class OpenApiTests(SynchronousTestCase):
    """The reading of schemathesis's output by the proof of the OpenAPI document."""

    def test_misses(self) -> None:
        """It names the call and its fault, and every call that never succeeded."""
        done = Counter(f"{path}: good data, errorCode 0" for path in openapi_document()["paths"])
        self.assertEqual([], openapi.misses_of("", done))
        said = "==== FAILURES ====\n____ POST /contacts/add ____\n1. Test Case ID: k94bay\n\n- Server error\n"
        self.assertEqual(["POST /contacts/add", "Server error"], openapi.misses_of(said, done))
        self.assertEqual(["schemathesis failed"], openapi.misses_of("Segmentation fault", done))
        del done["/account/login: good data, errorCode 0"]
        self.assertEqual(["/account/login never succeeded"], openapi.misses_of("", done))


class ReleaseTests(SynchronousTestCase):
    """The findings of the proof of a release."""

    def test_pythons(self) -> None:
        """A Python is found by its version, and only if it is of that version and there."""
        here = f"{sys.version_info.major}.{sys.version_info.minor}"
        found = release.python(here)
        assert found is not None
        told = subprocess.run([str(found), "--version"], check=True, capture_output=True, text=True).stdout
        self.assertTrue(told.startswith(f"Python {here}."))
        self.assertIsNone(release.python("3.1"))

    def test_hashes(self) -> None:
        """The hashes are read as ``sha256sum`` writes them."""
        folder = Path(self.mktemp())
        (folder / "dist").mkdir(parents=True)
        (folder / "dist" / "SHA256SUMS").write_text(
            "00ff  callnet-1.0.0.tar.gz\n11ee  callnet-1.0.0-py3-none-any.whl\n"
        )
        self.assertEqual(
            {"callnet-1.0.0.tar.gz": "00ff", "callnet-1.0.0-py3-none-any.whl": "11ee"}, release.hashes(folder)
        )


class BadInputTests(SynchronousTestCase):
    """The input that the fuzz sends."""

    def test_every_case_has_a_name_of_its_own(self) -> None:
        """A wrong answer is found again by the name of its case."""
        for cases in (bad_http.cases(), bad_frames.cases()):
            names = Counter(case.name for case in cases)
            self.assertGreater(len(names), 50)
            self.assertEqual([], [name for name, count in names.items() if count > 1])

    def test_accidents_are_the_same_for_one_seed(self) -> None:
        """The input depends on the seed alone."""
        good = b'{"type": "call", "to_phone": "13800000001"}'
        one, other = Random(5), Random(5)  # noqa: S311
        self.assertEqual([mutated(good, one) for _ in range(99)], [mutated(good, other) for _ in range(99)])
