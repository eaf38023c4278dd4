"""Every block of shell in the manual is run: each is listed with the test or the proof that types it."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from acceptance import readme
from harness import ROOT
from tests.unit.test_pages import EVERYWHERE

HERE: Final = "tests.integration.test_page_commands"
NEWCOMER: Final = "acceptance.newcomer"
SWITCH: Final = "tests.integration.test_migrating_page"
TELEVISION: Final = "tests.browser.test_tutorial_javascript"
OPERATOR: Final = "acceptance.operators_guide"
CONTAINER: Final = "acceptance.container"

RUN_BY: Final[Mapping[str, Mapping[str, str]]] = {
    "README.md": {
        "apt-get install": NEWCOMER,
        "make run": NEWCOMER,
        "curl": NEWCOMER,
        ".venv/bin/callnet device 13651884967": NEWCOMER,
        ".venv/bin/callnet device 13800138000": NEWCOMER,
    },
    "docs/admin-api.md": {"order() {": HERE},
    "docs/backup.md": {
        "install -d -o callnet": OPERATOR,
        "(umask 077; podman-compose": CONTAINER,
        "systemctl stop callnet": OPERATOR,
    },
    "docs/households.md": {"callnet setup": "tests.integration.test_setup_command"},
    "docs/incidents.md": {
        "callnet status": OPERATOR,
        "callnet webhook retry": HERE,
        "callnet account revoke": HERE,
        "callnet account export": HERE,
    },
    "docs/many-machines.md": {"python3 -c": HERE, "runuser -u postgres": HERE},
    "docs/migrating.md": {
        "apt-get install": SWITCH,
        "install -m 0600": SWITCH,
        "callnet migrate --dry-run": SWITCH,
        "callnet migrate --url-file": SWITCH,
        "systemctl stop live-server": SWITCH,
        "systemctl stop callnet": SWITCH,
    },
    "docs/monitoring.md": {"ssh -L": OPERATOR},
    "docs/operating.md": {
        "adduser --system": OPERATOR,
        "cp etc/callnet.target": OPERATOR,
        "callnet contact add": HERE,
        "callnet account settings": HERE,
        "callnet() (": OPERATOR,
        "rsync --archive": OPERATOR,
        "callnet device 13651884967 tv888 --media": HERE,
    },
    "docs/packages.md": {
        "make deb": "acceptance.debian_package",
        "apt install": "acceptance.debian_package",
        "install -d": "acceptance.debian_package",
        "podman build": CONTAINER,
        "podman run": CONTAINER,
        "sed s/": CONTAINER,
    },
    "docs/tls.md": {"#!/bin/sh": "acceptance.acme", "certbot certonly": "acceptance.acme"},
    "docs/turn.md": {"(umask 077": OPERATOR},
    "docs/tutorial-javascript.md": {"mkdir": TELEVISION, ".venv/bin/callnet contact add": TELEVISION},
    "docs/upgrading.md": {"cd /opt/callnet": OPERATOR},
    "docs/webhooks.md": {"callnet webhook list": HERE},
}
"""The module that types each block, by page and by the beginning of the block."""


def same_as_elsewhere() -> set[str]:
    """The text of the blocks of README.md: the quick start has the same (tests/unit/test_pages.py)."""
    return set(readme.commands(ROOT / "README.md"))


def types(module: str, page: str, beginning: str) -> bool:
    """True if a module types this block of this page: it passes both by name to the function that finds them."""
    tree = ast.parse((ROOT / Path(*module.split("."))).with_suffix(".py").read_text())
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call) and len(node.args) > 1]
    return any(
        Path(page).stem.lower() in ast.unparse(call.args[0]).lower()
        for call in calls
        if isinstance(call.func, ast.Attribute) and call.func.attr in ("command", "read", "type")
        if isinstance(call.args[1], ast.Constant) and call.args[1].value == beginning
    )


class ShellBlocksTests(SynchronousTestCase):
    """Pages, tests and proofs."""

    def test_every_block_is_run(self) -> None:
        """Each block of shell is listed, or README's own; a new one that is not listed fails."""
        known = same_as_elsewhere()
        for page in EVERYWHERE:
            name = str(page.relative_to(ROOT))
            for block in (block for block in readme.blocks(page) if block.language == "sh"):
                begins = [beginning for beginning in RUN_BY.get(name, {}) if block.text.startswith(beginning)]
                same = name != "README.md" and block.text.strip() in known
                self.assertEqual(1, len(begins) + same, f"nothing runs {name}:{block.line}, or it is not clear what")

    def test_no_entry_is_idle(self) -> None:
        """Each entry of the list is a block that is there, once."""
        for name, entries in RUN_BY.items():
            for beginning in entries:
                self.assertTrue(readme.command(ROOT / name, beginning))

    def test_each_is_typed_where_it_is_said_to_be(self) -> None:
        """The module of an entry takes that very block from the page."""
        for name, entries in RUN_BY.items():
            for beginning, module in entries.items():
                self.assertTrue(types(module, name, beginning), f"{module} does not type {beginning!r} of {name}")

    def test_modules_are_run(self) -> None:
        """A proof is one of ``make acceptance``, and a test one that ``make test`` finds."""
        proofs = (ROOT / "acceptance" / "__main__.py").read_text()
        for module in {module for entries in RUN_BY.values() for module in entries.values()}:
            package, _, last = module.rpartition(".")
            if package == "acceptance":
                self.assertTrue(re.search(rf"^    {last},$", proofs.partition("MODULES = (")[2], re.MULTILINE), module)
            else:
                self.assertTrue(last.startswith("test_"), module)
