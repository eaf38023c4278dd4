"""``tools/check_language.py``: banned words, and docstrings that begin with a relative clause."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from harness import ROOT
from tools.check_language import faults, files

TOOL: Final = ROOT / "tools" / "check_language.py"
BANNED: Final = [
    words.replace("_", "")
    for words in (
        *("a_new", "who_m", "be_ it", "le_st", "so_ many", "is no_ good", "in_ vain", "of_ late", "that_ is all"),
        *("comes to_ nothing", "came to_ nothing"),
    )
]
"""The words to find, written so that they are not found here."""


def check(*paths: Path | str) -> subprocess.CompletedProcess[str]:
    """Run the tool."""
    return subprocess.run([sys.executable, TOOL, *paths], cwd=ROOT, capture_output=True, text=True, check=False)


class LanguageTests(SynchronousTestCase):
    """A folder with one file."""

    def setUp(self) -> None:
        """Make the folder."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def assert_found(self, name: str, text: str, *found: int) -> None:
        """Assert that these lines of a file are named, and no others."""
        path = self.folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text, encoding="utf-8")
        shown = [fault for file in files(self.folder) for fault in faults(file)]
        path.unlink()
        lines = text.splitlines()
        self.assertEqual([f"{path}:{number}: {lines[number - 1].strip()}" for number in found], shown)

    def python(self, words: str) -> Sequence[str]:
        """Lines of Python with these words in each kind of prose."""
        return (
            f"# It {words} ended.",
            f'"""It {words} ended."""',
            f"a = f'It {words} {{b}}.'",
            f"a = '{words.title()} x'",
        )

    def test_words(self) -> None:
        """Each word is found in Python, whatever its case, and in Markdown and TOML."""
        for words in BANNED:
            lines = self.python(words)
            self.assert_found("a.py", "\n".join(lines), *range(1, len(lines) + 1))
            self.assert_found("a.md", f"# Heading\n\nIt {words} ended.\n", 3)
            self.assert_found("a.toml", f"a = 1  # It {words} ended.\n# {words}\n", 1, 2)

    def test_script(self) -> None:
        """A script of Python without a suffix is checked as well, and no other one."""
        self.assert_found("a", f"#!/usr/bin/env python3\n# {BANNED[0]}", 2)
        self.assert_found("a", f"#!/bin/bash\n# {BANNED[0]}")

    def test_across_lines(self) -> None:
        """Words on two lines are found at the first; those of two strings do not belong together."""
        first, second = "so_ many".replace("_", "").split()
        self.assert_found("a.py", f'# It is {first}\n# {second}.\n\n"""A {first}\n{second}."""', 1, 4)
        self.assert_found("a.md", f"It is {first}\n{second}.", 1)
        self.assert_found("a.py", f"a = ['x {first}', '{second} x']")

    def test_code(self) -> None:
        """Code is not checked, nor are names in strings, parts of words, and code in Markdown."""
        word = BANNED[1]
        self.assert_found("a.py", f"{word} = {{'{word}': {word}.x}}\n# {word}soever, semi{word}")
        self.assert_found("a.toml", f'{word} = "the {word} # {word}"')
        self.assert_found("a.md", f"```toml\n# {word}\n```\n`a {word}` and\n``{word}\n` {word}`` are.\n\n{word}", 8)

    def test_clauses(self) -> None:
        """A docstring that begins with a relative clause is found, of attributes too, and no other string."""
        for word in ("What", "How", "Who", "Whose", "Whether"):
            self.assert_found(
                "a.py",
                f'"""{word} is."""\n'
                f'A = 1\n"""{word} it is."""\n'
                f'class B:\n    """\n    {word} it is.\n    """\n    a: int\n    """{word} it is."""\n'
                f'    async def c():\n        """{word} it is."""\n        return "{word} it is."',
                *(1, 3, 5, 9, 11),
            )
        self.assert_found("a.py", '"""However it is."""\n\n\n"""The whole. What is it?"""')

    def test_exempt(self) -> None:
        """Files of others, Chinese pages and the changelog are not checked."""
        for name in ("vendor/a.py", "zh/a.md", "CHANGELOG.md"):
            self.assert_found(name, f"# {BANNED[0]}")

    def test_status(self) -> None:
        """The status of faults, and of a path that does not exist, is 1."""
        path = self.folder / "a.md"
        self.assertEqual(1, check(path).returncode)
        path.write_text(BANNED[0])
        done = check(path)
        self.assertEqual((1, "", f"{path}:1: {BANNED[0]}\n"), (done.returncode, done.stdout, done.stderr))

    def test_here(self) -> None:
        """The paths that `make lint` names pass."""
        found = re.search(r"tools/check_language\.py (.+)", (ROOT / "Makefile").read_text())
        assert found is not None
        done = check(*found[1].split())
        self.assertEqual((0, "", ""), (done.returncode, done.stdout, done.stderr))
