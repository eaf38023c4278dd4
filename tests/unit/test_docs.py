"""README.md, CONTRIBUTING.md and docs/ are true of the project as it is."""

from __future__ import annotations

import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from textwrap import dedent
from typing import Final

from click import Group
from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from acceptance import readme
from acceptance.__main__ import PROOFS
from callnet.cli.main import main
from callnet.config.load import load
from callnet.config.schema import Settings
from harness import ROOT
from tests.unit.test_layers import imports_of, modules_under
from tools.supply_chain.locks import LOCKS

PAGES: Final = (
    "README.md",
    "CONTRIBUTING.md",
    "SECURITY.md",
    "CODE_OF_CONDUCT.md",
    *sorted(str(page.relative_to(ROOT)) for page in (ROOT / "docs").rglob("*.md")),
)


def text_of(name: str) -> str:
    """One page."""
    return (ROOT / name).read_text()


def requirement_names(requirements: list[str]) -> set[str]:
    """The names of distributions, as lock files spell them."""
    found = (re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in requirements)
    return {re.sub(r"[-_.]+", "-", name[0]).lower() for name in found if name}


class PagesTests(SynchronousTestCase):
    """Commands, files and links in the pages."""

    def test_targets_of_make(self) -> None:
        """Every ``make`` command in a page is a target of the Makefile."""
        targets = set(re.findall(r"^([a-z][a-z-]*):", text_of("Makefile"), re.MULTILINE))
        for page in PAGES:
            for target in re.findall(r"(?:`|^)make ([a-z-]+)", text_of(page), re.MULTILINE):
                self.assertIn(target, targets, page)

    def test_links(self) -> None:
        """Every link to a file of the project leads somewhere."""
        for page in PAGES:
            for link in re.findall(r"\]\(([^):#]+)\)", text_of(page)):
                self.assertTrue((ROOT / page).parent.joinpath(link).exists(), f"{page}: {link}")

    def test_files(self) -> None:
        """Every path in backticks that begins with a folder of the project is there, or is one that the page lets its
        reader make. Capitals stand for something else.
        """
        folders = "acceptance|bench|callnet|changes|clients|debian|docs|etc|examples|harness|tests|tools|twisted"
        count = 0
        for page in PAGES:
            text = text_of(page)
            made = tuple(re.findall(r"^mkdir (\S+)$", text, re.MULTILINE))
            for name in re.findall(rf"`((?:{folders})/[\w.*/-]+)`", text):
                if not re.search(r"[A-Z]{2}", name) and not name.startswith(made):
                    self.assertTrue(list(ROOT.glob(name)), f"{page}: {name}")
                    count += 1
        self.assertGreater(count, 100)

    def test_searches(self) -> None:
        """Every ``git grep`` that CONTRIBUTING.md advises finds its text, in the module that its row names."""
        rows = re.findall(
            r"^(?:\| [^|]+ \| (?:`(\w+\.py)`)?.*)?`git grep -n '?(.+?)'? (callnet[\w/]*)`",
            text_of("CONTRIBUTING.md"),
            re.MULTILINE,
        )
        self.assertGreater(len(rows), 10)
        for module, text, place in rows:
            sources = (ROOT / place).rglob(module or "*.py")
            self.assertTrue(any(text in source.read_text(encoding="utf-8") for source in sources), text)

    def test_quoted_code(self) -> None:
        """The code that architecture.md quotes is in a module of callnet, line by line."""
        sources = [path.read_text(encoding="utf-8") for path in (ROOT / "callnet").rglob("*.py")]
        quoted = re.findall(r"```python\n(.*?)```", text_of("docs/architecture.md"), re.DOTALL)
        self.assertTrue(quoted)
        for code in quoted:
            lines = "".join(rf" *{re.escape(line)}\n" for line in dedent(code).rstrip().splitlines())
            self.assertTrue([source for source in sources if re.search(lines, source)], code)

    def test_layout(self) -> None:
        """architecture.md places every part of callnet and every module of its heart and the clients, and names no
        module that is not there.
        """
        layout = next(
            block for block in text_of("docs/architecture.md").split("```") if block.startswith("\ncallnet.tac")
        )
        for module in re.findall(r"[a-z_]+\.py", layout):
            self.assertTrue([path for part in ("callnet", "clients") for path in (ROOT / part).rglob(module)], module)
        for part in (ROOT / "callnet").iterdir():
            if (part.suffix == ".py" and part.name != "__init__.py") or (part / "__init__.py").exists():
                self.assertIn(part.name, layout)
        for folder in ("callnet/util", "callnet/frames", "callnet/calls", "clients/python/callnet_client"):
            for path in (ROOT / folder).glob("[a-z]*.py"):
                self.assertIn(path.name, layout)
        for path in (ROOT / "clients/javascript").glob("*.js"):
            self.assertIn(path.name, layout)

    def test_examples(self) -> None:
        """examples.md lists every folder of examples/, and each has a page that says how to run it."""
        listed = re.findall(r"^\| `(examples/[a-z]+)` ", text_of("docs/examples.md"), re.MULTILINE)
        self.assertEqual(sorted(listed), sorted(f"examples/{path.name}" for path in (ROOT / "examples").iterdir()))
        for folder in listed:
            self.assertIn("```sh\n", text_of(f"{folder}/README.md"))

    def test_settings(self) -> None:
        """The settings that pages show are settings, which callnet would take."""
        for page in PAGES:
            for block in (block for block in readme.blocks(ROOT / page) if block.language == "toml"):
                path = self.mktemp()
                Path(path).write_text(block.text, encoding="utf-8")
                load(path, {"CALLNET_REDIS_URL": "redis://127.0.0.1"})

    def test_shared_settings(self) -> None:
        """many-machines.md says of each setting whether all nodes need the same value."""
        _, _, section = text_of("docs/many-machines.md").partition("## Shared settings\n")
        named = set(re.findall(r"`(\w+)(?:\.[\w.]+)?`", section.partition("\n## ")[0]))
        self.assertEqual([], sorted(set(Settings.__struct_fields__) - named))

    def test_device_commands(self) -> None:
        """The device commands of README.md are commands of ``callnet``, with options that it has."""
        devices = [text for text in readme.commands(ROOT / "README.md") if "callnet device" in text]
        self.assertEqual(2, len(devices))
        assert isinstance(main, Group)
        help_text = CliRunner().invoke(main, ["device", "--help"]).output
        for command in devices:
            for option in re.findall(r"--[a-z-]+", command):
                self.assertIn(option, help_text)


class SecurityTests(SynchronousTestCase):
    """security.md has a test, or a proof, beside everything that it says."""

    NAMED: Final = re.compile(r"`(tests/[\w/]+\.py|make acceptance \w+)`")

    def blocks(self) -> list[str]:
        """The paragraphs, lists and rows of tables of all sections; no headings, heads of tables and introductions."""
        text = text_of("docs/security.md").split("\n## ", 1)[1]
        found: list[str] = []
        for block in text.split("\n\n"):
            found += block.splitlines()[2:] if block.startswith("|") else block.split("\n- ")
        return [block for block in found[1:] if not block.startswith(("#", "```")) and not block.endswith((":", ","))]

    def test_everything_is_shown(self) -> None:
        """Each paragraph, list and row names its test; a row that does not apply says that none does."""
        blocks = self.blocks()
        self.assertGreater(len(blocks), 80)
        for block in blocks:
            if not (block.startswith("|") and block.split("|")[2].strip() == "nothing"):
                self.assertTrue(self.NAMED.search(block), block)

    def test_what_is_named_is_there(self) -> None:
        """Each test that is named is there and has tests, and each proof is one."""
        for name in self.NAMED.findall(text_of("docs/security.md")):
            command, _, proof = name.partition("make acceptance ")
            if proof:
                self.assertIn(proof, sorted(PROOFS))
            else:
                self.assertIn(" def test_", text_of(command), name)


class RequirementsTests(SynchronousTestCase):
    """``pyproject.toml`` and the lock files say the same."""

    def test_locks_hold_what_is_required(self) -> None:
        """Each requirement of the daemon, of a build and of development is locked, with the same version in all."""
        project = tomllib.loads(text_of("pyproject.toml"))
        wanted = requirement_names(project["project"]["dependencies"])
        groups = project["dependency-groups"]
        tools = requirement_names([entry for entry in groups["dev"] if isinstance(entry, str)])
        to_build = requirement_names(project["build-system"]["requires"])
        self.assertEqual(project["build-system"]["requires"], groups["build"])
        locked, for_building, for_tests = (
            dict(re.findall(r"^([a-z0-9.-]+)==(\S+)", text_of(LOCKS[purpose]), re.MULTILINE))
            for purpose in ("daemon", "build", "development")
        )
        self.assertEqual(set(), wanted - locked.keys())
        self.assertEqual(set(), to_build - for_building.keys())
        self.assertEqual(set(), tools - for_tests.keys())
        self.assertEqual(locked, {name: version for name, version in for_tests.items() if name in locked})
        for_both = for_building.keys() & locked.keys()
        self.assertEqual([], [name for name in for_both if for_building[name] != locked[name]])

    def test_every_line_has_a_hash(self) -> None:
        """No requirement is locked without hashes, and no lock names where packages come from."""
        for name in LOCKS.values():
            text = text_of(name)
            for block in re.split(r"\n(?=\S)", text):
                if "==" in block:
                    self.assertIn("--hash=sha256:", block)
            self.assertNotIn("://", text)

    def test_what_is_imported_is_required(self) -> None:
        """Neither daemon nor client relies on a distribution that only comes along with another, and only the client's
        ``media`` on its extra. The daemon requires the client (hatch_build.py).
        """
        brought = packages_distributions()
        for folder, own in (("callnet", {"callnet", "callnet_client"}), ("clients/python", {"callnet_client"})):
            file = "pyproject.toml" if folder == "callnet" else f"{folder}/pyproject.toml"
            project = tomllib.loads(text_of(file))["project"]
            wanted = requirement_names(project["dependencies"])
            extra = requirement_names(project["optional-dependencies"].get("media", []))
            for path in modules_under(folder):
                allowed = wanted | extra if path.parent.name == "media" else wanted
                for imported in imports_of(path):
                    package = imported.split(".")[0]
                    if package not in own and package not in sys.stdlib_module_names:
                        self.assertTrue(allowed & requirement_names(brought.get(package, [])), f"{path}: {imported}")

    def test_extras_are_tested(self) -> None:
        """Requirements of an extra are requirements of development as well."""
        project = tomllib.loads(text_of("pyproject.toml"))
        client = tomllib.loads(text_of("clients/python/pyproject.toml"))
        both = (project["project"]["optional-dependencies"], client["project"]["optional-dependencies"])
        for extra in (extra for extras in both for extra in extras.values()):
            self.assertLessEqual(set(extra), {str(entry) for entry in project["dependency-groups"]["dev"]})
