"""The licences of all that is locked, as packages declare them, and whether they are among those that we take."""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from tools.supply_chain import MANUAL, ROOT, TOOLS, Failed, cyclonedx
from tools.supply_chain.locks import LOCKS, SCRIPTS, Pin, locked, scripts

TABLE: Final = ROOT / "docs" / "licences.md"
UNNUMBERED: Final = "BSD"
"""Not an SPDX identifier: one of the licences of that name, but it is not said which."""
_CLASSIFIERS: Final = {
    "License :: OSI Approved :: Apache Software License": "Apache-2.0",
    "License :: OSI Approved :: BSD License": UNNUMBERED,
    "License :: OSI Approved :: Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
}
"""The classifiers of older packages that stand for an SPDX identifier."""
_HEAD: Final = """# Licences

Licences of everything in the lock files, and of the scripts for the page, as declared by the packages themselves.
`make licences` writes this page ([supply-chain.md](supply-chain.md)). An installation of callnet contains *daemon* and
*page*. `BSD` is one of the licences of that name; the package does not say which.

| package | version | licence | for |
|---|---|---|---|
"""


class Rules(NamedTuple):
    """The rules of ``pyproject.toml`` about licences."""

    allowed: frozenset[str]
    """The words of SPDX that we take."""
    stated: Mapping[str, str]
    """The licences of packages that are locked for other platforms and Pythons, so that nobody here can look."""
    clarified: Mapping[str, str] = {}
    """The licences of packages that declare several, without saying which part each is for."""


class Row(NamedTuple):
    """A package and its licence."""

    name: str
    version: str
    licence: str
    purpose: str


def rules() -> Rules:
    """Read them."""
    said = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["licences"]
    return Rules(frozenset(said["allowed"]), said["stated"], said["clarified"])


def declared(component: Mapping[str, Any]) -> str | None:
    """The licence that a component of CycloneDX declares; ``None``: none.

    An expression or words of SPDX, if there are some; else what its classifiers mean, or whatever it says.
    """
    entries = component.get("licenses", [])
    words = [entry.get("expression") or entry["license"].get("id") for entry in entries]
    names = [entry["license"]["name"] for entry in entries if "license" in entry and "name" in entry["license"]]
    found = [word for word in words if word] or [_CLASSIFIERS.get(name, name) for name in names]
    return " AND ".join(dict.fromkeys(found)) or None


def is_allowed(licence: str, allowed: frozenset[str]) -> bool:
    """Tell whether we take an expression of SPDX: of one with ``OR`` any part will do. One in brackets is not read."""
    return any(all(word in allowed for word in part.split(" AND ")) for part in licence.split(" OR "))


class Licences:
    """The licences of installed packages, and the stated ones.

    :param installed: components of CycloneDX by name and version.
    """

    def __init__(self, installed: Mapping[tuple[str, str], Mapping[str, Any]], rules: Rules) -> None:
        self._installed = installed
        self._rules = rules

    def of(self, pin: Pin) -> str | None:
        """The licence of a package; ``None``: it declares none, or it is not installed and none is stated."""
        if pin.name in self._rules.clarified:
            return self._rules.clarified[pin.name]
        component = self._installed.get((pin.name, pin.version))
        return self._rules.stated.get(pin.name) if component is None else declared(component)

    def faults(self, pins: Sequence[Pin]) -> Iterator[str]:
        """The faults of the licences of packages, and of the stated licences."""
        for pin in pins:
            licence = self.of(pin)
            stated = self._rules.stated.get(pin.name)
            named = f"{pin.name} {pin.version}"
            if pin.name in self._rules.clarified and stated is not None:
                yield f"a licence is both stated and clarified for {pin.name}"
            elif licence is None and (pin.name, pin.version) not in self._installed:
                yield f"{named} is not installed here, and no licence is stated for it"
            elif licence is None:
                yield f"{named} declares no licence"
            elif not is_allowed(licence, self._rules.allowed):
                yield f"{named} has the licence {licence!r}, which is none of those that we take"
            elif stated not in (None, licence):
                yield f"{named} declares {licence}, and {stated} is stated for it"
        told = self._rules.stated.keys() | self._rules.clarified.keys()
        for name in sorted(told - {pin.name for pin in pins}):
            yield f"a licence is stated for {name}, which is not locked"


def here() -> Licences:
    """The licences of the packages in the environment that this runs in, in the tools', and in the manual's."""
    environments = (Path(sys.executable), TOOLS / "python", MANUAL / "python")
    installed = {at: component for python in environments for at, component in cyclonedx.installed(python).items()}
    return Licences(installed, rules())


def rows(licences: Licences) -> Sequence[Row]:
    """Every package, with its first use and its licence."""
    found: dict[tuple[str, str], Row] = {}
    for purpose in LOCKS:
        for pin in locked(purpose):
            found.setdefault(pin[:2], Row(pin.name, pin.version, licences.of(pin) or "", purpose))
    kept = [Row(s.name, s.version, s.licence, purpose) for purpose in SCRIPTS for s in scripts(purpose)]
    return sorted([*found.values(), *kept])


def table(of: Sequence[Row]) -> str:
    """Write the page."""
    return _HEAD + "".join(f"| {' | '.join(row)} |\n" for row in of)


def read_table(text: str) -> Sequence[Row]:
    """Read the page."""
    return [Row(*found) for found in re.findall(r"^\| (\S+) \| (\S+) \| (.+) \| (.+) \|$", text, re.MULTILINE)][1:]


def write(licences: Licences, pins: Sequence[Pin], path: Path = TABLE) -> None:
    """Check the licences and renew the page.

    :raises Failed: of a licence, or the page was not up to date.
    """
    faults = list(licences.faults(pins))
    if faults:
        raise Failed(*faults)
    text = table(rows(licences))
    if path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")
        raise Failed(f"{path.name} was not up to date. It is now: commit it")
