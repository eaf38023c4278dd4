"""The packages that are locked, and the scripts of others that are kept here."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tools.supply_chain import ROOT, Failed

LOCKS: Final = {
    "daemon": "requirements.lock",
    "build": "requirements-build.lock",
    "development": "requirements-dev.lock",
    "manual": "requirements-manual.lock",
    "supply chain": "requirements-supply-chain.lock",
}
"""The lock files, by their use."""
SCRIPTS: Final = {"page": "callnet/static/vendor", "development": "tests/browser/vendor"}
"""The folders with scripts of others, by their use (tools/check-vendored)."""


class Pin(NamedTuple):
    """A package that is locked, for whichever platform and version of Python."""

    name: str
    version: str
    hashes: frozenset[str]
    """SHA-256 of all its files, in hex."""


class Script(NamedTuple):
    """A package of the npm registry of which files are kept here."""

    name: str
    version: str
    licence: str
    hashes: frozenset[str]


def pins(text: str) -> Sequence[Pin]:
    """Read a lock file.

    :raises Failed: a line of it locks nothing.
    """
    return list(_pins(text.replace("\\\n", " ").splitlines()))


def _pins(lines: Sequence[str]) -> Iterator[Pin]:
    for line in lines:
        required, *hashes = line.partition("#")[0].split(" --hash=sha256:")
        if not required.strip():
            continue
        requirement = Requirement(required)
        [specifier, *others] = requirement.specifier or [None]
        if specifier is None or others or specifier.operator != "==" or not hashes:
            raise Failed(f"{required.strip()} is not locked")
        yield Pin(
            canonicalize_name(requirement.name), specifier.version, frozenset(digest.strip() for digest in hashes)
        )


def locked(purpose: str) -> Sequence[Pin]:
    """The packages that are locked for something."""
    return pins((ROOT / LOCKS[purpose]).read_text(encoding="utf-8"))


def everything() -> Sequence[Pin]:
    """Every package that is locked for anything, once."""
    return sorted({pin[:2]: pin for purpose in LOCKS for pin in locked(purpose)}.values())


def scripts(purpose: str) -> Sequence[Script]:
    """The scripts of others that are kept for something."""
    manifest = json.loads((ROOT / SCRIPTS[purpose] / "MANIFEST.json").read_text(encoding="utf-8"))
    return [
        Script(
            package["name"],
            package["version"],
            package["licence"],
            frozenset(file["sha256"] for file in package["files"].values()),
        )
        for package in manifest["packages"]
    ]
