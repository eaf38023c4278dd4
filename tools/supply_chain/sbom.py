"""The software bill of materials of an installation of callnet: CycloneDX, the same for the same lock file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from tools.supply_chain import BUILD, Failed, cyclonedx
from tools.supply_chain.licences import UNNUMBERED, Licences
from tools.supply_chain.locks import LOCKS, Pin, Script, locked, scripts

FILE: Final = BUILD / "sbom.json"
_CHANGING: Final = ("serialNumber", "timestamp")
"""The fields that would be another each time."""


def completed(bill: dict[str, Any], licences: Licences, kept: Sequence[Script]) -> dict[str, Any]:
    """A bill with the licences of its packages, and with the scripts of others that are part of the page."""
    components = [
        {**component, **_licence(licences.of(Pin(component["name"], component["version"], frozenset())))}
        for component in bill["components"]
    ]
    nodes = [{"ref": _purl(script)} for script in kept]
    return {
        **bill,
        "components": [*components, *map(_script, kept)],
        "dependencies": [*bill["dependencies"], *nodes],
    }


def _script(script: Script) -> dict[str, Any]:
    purl = _purl(script)
    hashes = [{"alg": "SHA-256", "content": digest} for digest in sorted(script.hashes)]
    return {
        "type": "library",
        "bom-ref": purl,
        "name": script.name,
        "version": script.version,
        "purl": purl,
        "hashes": hashes,
        **_licence(script.licence),
    }


def _purl(script: Script) -> str:
    return f"pkg:npm/{script.name}@{script.version}"


def _licence(licence: str | None) -> dict[str, Any]:
    if licence is None:
        return {}
    if " " in licence:
        return {"licenses": [{"expression": licence}]}
    return {"licenses": [{"license": {"name" if licence == UNNUMBERED else "id": licence}}]}


def faults(bill: dict[str, Any], pins: Sequence[Pin], kept: Sequence[Script]) -> Iterator[str]:
    """The packages and files that a bill lacks, and those that it has besides."""
    wanted = {f"pkg:pypi/{pin.name}@{pin.version}": pin.hashes for pin in pins}
    wanted |= {_purl(script): script.hashes for script in kept}
    listed = {component.get("purl", component["name"]): component for component in bill["components"]}
    yield from (f"{purl} is missing" for purl in sorted(wanted.keys() - listed.keys()))
    yield from (f"{purl} is not locked" for purl in sorted(listed.keys() - wanted.keys()))
    for purl in sorted(wanted.keys() & listed.keys()):
        if _hashes(listed[purl]) != wanted[purl]:
            yield f"{purl} has other hashes than are locked"
        if not listed[purl].get("licenses"):
            yield f"{purl} has no licence"
    for name in _CHANGING:
        if name in bill or name in bill["metadata"]:
            yield f"{name} would be another each time"


def _hashes(component: dict[str, Any]) -> frozenset[str]:
    places = [component, *component.get("externalReferences", [])]
    return frozenset(found["content"] for place in places for found in place.get("hashes", []))


def write(licences: Licences, path: Path = FILE) -> int:
    """Write the bill. Returns the number of its components.

    :raises Failed: it would not be complete.
    """
    pins, kept = locked("daemon"), scripts("page")
    bill = completed(cyclonedx.of_lock(LOCKS["daemon"]), licences, kept)
    wrong = list(faults(bill, pins, kept))
    if wrong:
        raise Failed(*wrong)
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(bill, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    return len(bill["components"])
