"""The manual pages, as they are made for the Debian package."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import click
from twisted.trial.unittest import SynchronousTestCase

from callnet.cli.main import main
from callnet.config.schema import Settings
from tests.unit.test_config import EXAMPLE, setting_paths
from tools.manual import commands, roff, settings

MEANT: Final = re.compile(r"\.(TH|SH|SS|TP|TQ|PP|IP|RS|RE|EX|EE|B|BR|I|IR|br)\b.*")
"""The requests with which a line of a page may begin, if it begins with a dot."""


def shown(line: str) -> str:
    """The visible text of a line of a page."""
    line = re.sub(r"\\f[BR]|\\&", "", line)
    for written, character in (("\\-", "-"), ("\\(ti", "~"), ("\\(ga", "`"), ("\\e", "\\")):
        line = line.replace(written, character)
    return line


def below(command: click.Command, path: str) -> Iterator[tuple[str, click.Command]]:
    """Each command in a group, with the words to type for it."""
    context = click.Context(command, info_name="callnet")
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            inner = command.get_command(context, name)
            assert inner is not None
            yield f"{path} {name}", inner
            yield from below(inner, f"{path} {name}")


class CommandsTests(SynchronousTestCase):
    """callnet(1)."""

    def test_each_command_has_its_help_and_its_options(self) -> None:
        """Each command is there, with its help and its options."""
        lines = list(map(shown, commands.page(main, "1")))
        found = list(below(main, "callnet"))
        self.assertIn("callnet account add", [path for path, _ in found])
        for path, command in found:
            [start] = [number for number, line in enumerate(lines) if line.startswith(f"{path} [OPTIONS]")]
            text = lines[start : lines.index(".RE", start)]
            assert command.help is not None
            self.assertIn(command.help.splitlines()[0], text)
            for option in (each for each in command.params if isinstance(each, click.Option)):
                self.assertTrue([line for line in text if option.opts[0] in line.split()], f"{path} {option.opts}")

    def test_options_of_all(self) -> None:
        """The options before a command are there as well."""
        for option in ("--config PATH", "--version", "--help"):
            self.assertIn(option, map(shown, commands.page(main, "1")))


class SettingsTests(SynchronousTestCase):
    """callnet.toml(5)."""

    def test_each_setting_is_there(self) -> None:
        """Each setting is there, in its section, with its default."""
        found, section = [], ""
        for line in settings.page(EXAMPLE.read_text(encoding="utf-8"), "1"):
            if heading := re.fullmatch(r'\.SS "\[([\w.]+)\]"', line):
                section = f"{heading[1]}."
            elif setting := re.match(r"(\w+) = \S", shown(line)):
                found.append(section + setting[1])
        self.assertEqual(sorted(found), sorted(setting_paths(Settings())))

    def test_each_comment_is_there_once(self) -> None:
        """Every comment of the settings' file is there once, line by line."""
        text = EXAMPLE.read_text(encoding="utf-8")
        lines = [shown(line) for line in settings.page(text, "1")]
        said = re.findall(r"^# +(.*)", text, re.MULTILINE)
        self.assertEqual([line for line in lines if line in said], said)


class RoffTests(SynchronousTestCase):
    """Text that could act as markup of a page."""

    def test_text_is_no_macro(self) -> None:
        """Whatever text begins with or has in it, it is shown as it is."""
        for text, written in {
            ".TH of it": r"\&.TH of it",
            "'quoted'": r"\&'quoted'",
            r"tcp6:\\:1": r"tcp6:\e\e:1",
            "--yes": r"\-\-yes",
            "~/x": r"\(ti/x",
        }.items():
            self.assertEqual(roff.plain(text), written)

    def test_examples(self) -> None:
        """Indented lines stay lines of their own, and end with the indentation."""
        text = ["Such as", "    a", "    b", "", "or not."]
        self.assertEqual(list(roff.paragraphs(text)), ["Such as", ".IP", ".EX", "a", "b", ".EE", ".IP", "or not."])

    def test_nothing_else_is_a_macro(self) -> None:
        """In both pages only intended lines begin with a dot."""
        pages = (*commands.page(main, "1"), *settings.page(EXAMPLE.read_text(encoding="utf-8"), "1"))
        for line in pages:
            self.assertTrue(line[0] not in ".'" or MEANT.fullmatch(line), line)
