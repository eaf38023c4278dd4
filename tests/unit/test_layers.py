"""The layering of docs/architecture.md, read off the imports of every module."""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator
from functools import cache
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from harness import ROOT

MOST_LINES: Final = 600

LAYERS: Final = (
    {"model", "errors", "util"},
    {"frames", "config"},
    {"calls"},
    {"accounts", "acme", "ops", "storage", "push", "store", "redis", "relay"},
    {"ws", "web", "supervision"},
    {"schemas", "doctor", "migration", "setup", "app", "cli", "tap", "worker"},
)
"""The parts of callnet, lowest first. A part imports itself and the parts of lower layers ..."""

WITHIN: Final = {
    "util": {"errors", "model"},
    "config": {"frames"},
    "accounts": {"storage"},
    "acme": {"ops"},
    "ops": {"storage"},
    "push": {"accounts", "ops", "storage"},
    "store": {"ops"},
    "redis": {"ops", "store"},
    "relay": {"ops"},
    "web": {"ws"},
    "setup": {"doctor"},
    "cli": {"schemas", "doctor", "migration", "setup"},
    "tap": {"app"},
    "worker": {"app", "tap"},
}
"""... and of its own layer these."""

CALLS_MAY_USE: Final = {
    "twisted.internet.defer",
    "twisted.internet.interfaces",
    "twisted.logger",
    "twisted.python.failure",  # the failure of a Deferred
}
REACTOR: Final = "twisted.internet.reactor"


def modules_under(*folders: str) -> list[Path]:
    """Every Python module in these folders of the project."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def name_of(path: Path) -> str:
    """The dotted name of a module."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports_of(path: Path) -> Collection[str]:
    """The dotted name of everything that a module imports, wherever in it; of ``from a import b`` it is ``a.b``."""
    return set(_imports_of(path))


def _imports_of(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_within(name: str, allowed: set[str]) -> bool:
    """Tell whether ``name`` is one of ``allowed``, or something in one of them."""
    return any(name == one or name.startswith(f"{one}.") for one in allowed)


class LayersTests(SynchronousTestCase):
    """Imports point downwards only."""

    def layer_of(self, part: str) -> int:
        """The layer of a part of callnet."""
        layers = [number for number, parts in enumerate(LAYERS) if part in parts]
        self.assertEqual(1, len(layers), f"callnet.{part} has no place in the layers")
        return layers[0]

    def test_every_part_imports_lower_layers_only(self) -> None:
        """A part imports itself, parts of lower layers, and few of its own layer."""
        for path in modules_under("callnet"):
            name = name_of(path)
            for imported in imports_of(path):
                if not imported.startswith("callnet.") or name == "callnet":
                    continue
                part, other = name.split(".")[1], imported.split(".")[1]
                is_lower = self.layer_of(other) < self.layer_of(part)
                self.assertTrue(is_lower or other in {part, *WITHIN.get(part, ())}, f"{name} imports {imported}")

    def test_no_circles(self) -> None:
        """Within a layer no part imports itself by way of others."""
        left = dict(WITHIN)
        while left:
            free = [part for part, others in left.items() if not others & left.keys()]
            self.assertTrue(free, f"a circle among {sorted(left)}")
            for part in free:
                del left[part]

    def test_calls_use_little_of_twisted(self) -> None:
        """The heart knows Deferreds, interfaces and the logger: no sockets and no global clock."""
        for path in modules_under("callnet/calls"):
            for imported in imports_of(path):
                if is_within(imported, {"twisted", "autobahn", "klein", "sqlalchemy"}):
                    self.assertTrue(is_within(imported, CALLS_MAY_USE), f"{name_of(path)} imports {imported}")

    def test_calls_do_not_operate(self) -> None:
        """It does not import the operator's parts either."""
        for path in modules_under("callnet/calls"):
            for imported in imports_of(path):
                self.assertFalse(is_within(imported, {"callnet.ops"}), f"{name_of(path)} imports {imported}")

    def test_client_stands_alone(self) -> None:
        """The client is installed without the daemon, and imports nothing of it."""
        for path in modules_under("clients/python"):
            for imported in imports_of(path):
                self.assertFalse(is_within(imported, {"callnet"}), f"{path.name} imports {imported}")

    def test_the_daemon_knows_no_schemas(self) -> None:
        """Schemas are for documents and tests: only a command of the command line imports them."""
        for path in modules_under("callnet"):
            for imported in imports_of(path):
                if is_within(imported, {"callnet.schemas"}):
                    self.assertTrue(is_within(name_of(path), {"callnet.schemas", "callnet.cli.schema"}), path)

    def test_one_module_knows_redis(self) -> None:
        """Only ``redis/connection.py`` may import txredisapi, which imports the global reactor."""
        for path in modules_under("callnet", "tests", "bench", "acceptance"):
            if "txredisapi" in path.read_text() and name_of(path) != "callnet.redis.connection":
                for imported in imports_of(path):
                    self.assertFalse(is_within(imported, {"txredisapi"}), name_of(path))

    def test_a_program_of_its_own_knows_acme(self) -> None:
        """Only the program that orders certificates imports the library of ACME, and no other module imports it."""
        for path in modules_under("callnet"):
            of_acme = {each for each in imports_of(path) if is_within(each, {"acme", "josepy", "callnet.acme.order"})}
            self.assertFalse(of_acme and name_of(path) != "callnet.acme.order", name_of(path))

    def test_reactor_is_an_argument(self) -> None:
        """Code that is run as a program picks the reactor, and hands it to everyone else."""
        for path in modules_under("callnet"):
            if REACTOR in imports_of(path):
                programs = {"callnet.tap", "callnet.worker", "callnet.cli"}
                self.assertTrue(is_within(name_of(path), programs), name_of(path))

    def test_plugin_only_declares(self) -> None:
        """The plugin imports nothing of callnet: twistd loads every plugin there is, to list them."""
        for path in modules_under("twisted"):
            for imported in imports_of(path):
                self.assertFalse(is_within(imported, {"callnet"}), f"{name_of(path)} imports {imported}")


class SizeTests(SynchronousTestCase):
    """Modules stay small."""

    def test_no_module_is_long(self) -> None:
        """No module, in Python or JavaScript, is over 600 lines."""
        scripts = (script for folder in ("callnet", "clients") for script in (ROOT / folder).rglob("*.js"))
        for path in (
            *modules_under("callnet", "clients", "twisted", "tests", "tools", "bench", "acceptance", "examples"),
            *scripts,
        ):
            lines = len(path.read_text().splitlines())
            self.assertLessEqual(lines, MOST_LINES, f"{path.relative_to(ROOT)} has {lines} lines")
