"""``tools/check_words.py``: the words of the pages."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from harness import ROOT
from tools.check_words import faults, language_faults, leaves

TOOL: Final = ROOT / "tools" / "check_words.py"

ENGLISH: Final[Mapping[str, Any]] = {
    "close": "Close",
    "calls": "Calls",
    "over": {"busy": "{name} is on another call."},
    "missed": {"plural": {"one": "One missed call", "other": "{count} missed calls"}},
    "emoji": ["dog", "cat"],
}
GERMAN: Final[Mapping[str, Any]] = {
    "close": "Schließen",
    "calls": "Anrufe",
    "over": {"busy": "{name} telefoniert gerade."},
    "missed": {"plural": {"one": "Ein verpasster Anruf", "other": "{count} verpasste Anrufe"}},
    "emoji": ["Hund", "Katze"],
}


def changed(tree: Mapping[str, Any], path: str, text: Any) -> dict[str, Any]:
    """The same words with another text in one place; ``None``: with none."""
    made: dict[str, Any] = json.loads(json.dumps(tree))
    *groups, name = path.split(".")
    branch = made
    for group in groups:
        branch = branch[group]
    if text is None:
        del branch[name]
    else:
        branch[name] = text
    return made


class LanguageTests(SynchronousTestCase):
    """One language beside the English one."""

    def found(self, language: str, own: Mapping[str, Any], english: Mapping[str, Any] = ENGLISH) -> list[str]:
        """The faults."""
        return list(language_faults(language, dict(leaves(own)), dict(leaves(english))))

    def test_right(self) -> None:
        """Two files that say the same have no fault."""
        self.assertEqual([], self.found("de", GERMAN))
        self.assertEqual([], self.found("en", ENGLISH))

    def test_keys(self) -> None:
        """A key that is missing is named, and one too many."""
        self.assertEqual(["calls: missing"], self.found("de", changed(GERMAN, "calls", None)))
        self.assertEqual(["more: not in English"], self.found("de", changed(GERMAN, "more", "Mehr")))
        self.assertEqual(["emoji.1: missing"], self.found("de", changed(GERMAN, "emoji", ["Hund"])))

    def test_placeholders(self) -> None:
        """A placeholder that is misspelt or left out is named."""
        for text, found in (("{nmae} telefoniert.", "['nmae']"), ("Sie telefoniert.", "[]")):
            fault = f"over.busy: placeholders {found} instead of ['name']"
            self.assertEqual([fault], self.found("de", changed(GERMAN, "over.busy", text)))

    def test_plural_forms(self) -> None:
        """The forms are those of the language, each with its number, which a form for one number may leave out."""
        forms = {"one": "1 {count}", "other": "2 {count}"}
        for language, own, fault in (
            ("de", {"other": "{count} Anrufe"}, "plural forms other instead of one other"),
            ("de", {**forms, "few": "3 {count}"}, "plural forms few one other instead of one other"),
            ("de", {"one": "{count} Anruf", "other": "viele Anrufe"}, "form 'other' lacks {count}"),
            ("fr", {**forms, "one": "Un appel", "many": "3 {count}"}, "form 'one' lacks {count}"),
        ):
            tree = {"missed": {"plural": own}}
            self.assertEqual([f"missed: {fault}"], self.found(language, tree, {"missed": {"plural": forms}}))
        fault = "missed: plural forms in one language and none in the other"
        self.assertIn(fault, self.found("de", changed(GERMAN, "missed", "{count} Anrufe")))

    def test_empty(self) -> None:
        """A text is not empty, no number, and has no space around it."""
        for text in ("", " Anrufe", "Anrufe\n", 1):
            fault = "calls: empty, or space around it"
            self.assertEqual([fault], self.found("de", changed(GERMAN, "calls", text)))

    def test_ellipsis(self) -> None:
        """No line begins with an ellipsis."""
        fault = "calls: an ellipsis that may begin a line: a no-break space stands before it"
        self.assertEqual([fault], self.found("de", changed(GERMAN, "calls", "Anrufe …")))
        self.assertEqual([], self.found("de", changed(GERMAN, "calls", "Anrufe\u00a0…")))

    def test_left_in_english(self) -> None:
        """A text that was not translated is named. One word may be the same, and what has no letters of a language."""
        text = "{name} is on another call."
        for language, own, is_found in (
            ("de", text, True),
            ("ru", text, True),
            ("ru", "{name} calling", True),
            ("ru", "{name} kbit/s", False),
            ("ru", "{name}: HTML", False),
            ("ru", "{name} в Chrome", False),
            ("ru", "{name}: Redis", False),
            ("de", "{name} Chat", False),
        ):
            english = {"a": "{name} Chat" if own.endswith("Chat") else text}
            self.assertEqual(["a: left in English"] if is_found else [], self.found(language, {"a": own}, english), own)

    def test_rows(self) -> None:
        """The names in a list differ from each other."""
        fault = "emoji.1: the same as emoji.0"
        self.assertEqual([fault], self.found("de", changed(GERMAN, "emoji", ["Hund", "Hund"])))


class UseTests(SynchronousTestCase):
    """A folder with a page, and one with another."""

    def setUp(self) -> None:
        """Make the folder: everything in it is right."""
        self.folder = Path(self.mktemp()).absolute()
        self.write("phone/words/en.json", json.dumps(ENGLISH))
        self.write("phone/words/de.json", json.dumps(GERMAN))
        self.write("index.html", '<p data-say="calls"></p><button data-label="close"></button>')
        self.write("phone/view.js", "// busier\nshow(words.over[reason]({ name }), words.missed({ count: 1 }));")
        self.write("shared/faces.js", "draw(words.emoji[number]);")
        self.write("shared/start.js", 'var SPOKEN = ["en", "de"];')
        self.write("shared/words.js", 'export const LANGUAGES = {\n  en: "English",\n  "de": "Deutsch",\n};')

    def write(self, name: str, text: str) -> None:
        """Write a file."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def assert_found(self, *found: str) -> None:
        """Assert that there are these faults."""
        self.assertEqual(list(found), list(faults(self.folder)))

    def test_right(self) -> None:
        """Nothing is found, and the tool says so."""
        self.assert_found()
        done = subprocess.run([sys.executable, TOOL, self.folder], capture_output=True, text=True, check=False)
        self.assertEqual((0, "", ""), (done.returncode, done.stdout, done.stderr))

    def test_not_used(self) -> None:
        """A key that no page uses is named; a comment is no use."""
        for language, tree in (("en", ENGLISH), ("de", GERMAN)):
            self.write(f"phone/words/{language}.json", json.dumps(changed(tree, "busier", "x")))
        self.assert_found("phone/words/en.json: busier: not used")

    def test_missing(self) -> None:
        """A word that a page uses and no file has is named; a method of a text, and a word of the loader, are none."""
        self.write("phone/view.js", "show(words.over.busy({ name }), words.missed, words.calls.length, words.lang);")
        self.assert_found()
        self.write("phone/view.js", "show(words.over.busy({ name }), words.missed, words.over.late);")
        self.assert_found("phone/words/en.json: over.late: used and missing")
        self.write("index.html", '<p data-say="calls"></p><button data-label="closed"></button>')
        self.write("phone/view.js", "show(words.over[reason], words.missed, words.close);")
        self.assert_found("phone/words/en.json: closed: used and missing")

    def test_lists(self) -> None:
        """The scripts list the languages that there are."""
        self.write("shared/start.js", 'var SPOKEN = ["en", "zh-CN"];')
        self.assert_found("shared/start.js: lists en zh; there are de en")

    def test_unknown_language(self) -> None:
        """A language whose plural forms nobody has looked up is named."""
        self.write("phone/words/eo.json", json.dumps(GERMAN))
        self.write("shared/start.js", 'var SPOKEN = ["en", "de", "eo"];')
        self.write("shared/words.js", "LANGUAGES = {\n  en: 1,\n  de: 1,\n  eo: 1,\n}")
        self.assert_found("phone/words/eo.json: a language whose plural forms are not known")

    def test_broken(self) -> None:
        """A file that is no JSON is named, and one that has a key twice; the tool fails."""
        self.write("phone/words/de.json", '{"a": 1, "a": 2}')
        self.assert_found("phone/words/de.json: duplicate key 'a'")
        self.write("phone/words/de.json", "{")
        done = subprocess.run([sys.executable, TOOL, self.folder], capture_output=True, text=True, check=False)
        self.assertEqual(1, done.returncode)
        self.assertIn(f"{self.folder}/phone/words/de.json: ", done.stdout)

    def test_another_page(self) -> None:
        """Each page has words of its own."""
        self.write("words/en.json", json.dumps({"calls": "Calls", "close": "Close", "late": "No answer yet"}))
        self.write("words/de.json", json.dumps({"calls": "Anrufe", "close": "Zu", "late": "Noch keine Antwort"}))
        self.write("shared/faces.js", "")
        self.write("phone/faces.js", "draw(words.emoji[number]);")
        self.assert_found("words/en.json: late: not used")
        self.write("health.js", "put(words.late);")
        self.assert_found()


class OurTests(SynchronousTestCase):
    """The words of this project."""

    def test_words(self) -> None:
        """They have no fault."""
        for folder in ("static", "dashboard"):
            self.assertEqual([], list(faults(ROOT / "callnet" / folder)))
