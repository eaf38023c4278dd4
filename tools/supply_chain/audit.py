"""Known vulnerabilities of the locked packages. A package that was not looked up does not pass.

pip-audit asks a database of vulnerabilities. It goes on when it has to skip a package, and its exit status tells
neither that nor a database that is away from a vulnerability. What counts is what its report says of each package.
"""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from packaging.utils import canonicalize_name

from tools.supply_chain import BUILD, TOOLS, Failed
from tools.supply_chain.locks import Pin

CACHE: Final = BUILD / "supply-chain" / "cache"
_UNREACHED: Final = re.compile(
    r"^([\w.]+\.)?(ConnectionError|ConnectTimeout|ReadTimeout|ProxyError|SSLError|ServiceError)\b", re.MULTILINE
)
"""The last line of pip-audit when it gets no answer, or one of an error."""


class NotRun(Exception):
    """The database cannot be asked, so nothing is known."""


def pylock(pins: Iterable[Pin]) -> str:
    """A ``pylock.toml`` for pip-audit (PEP 751).

    A requirements file would not do: pip-audit leaves out what is for other platforms, and takes one version of a
    package only.
    """
    packages = (f'[[packages]]\nname = "{pin.name}"\nversion = "{pin.version}"\n' for pin in pins)
    return "".join(('lock-version = "1.0"\ncreated-by = "callnet"\n', *packages))


def faults(pins: Sequence[Pin], report: Mapping[str, Any]) -> Iterator[str]:
    """The vulnerabilities in a report of pip-audit, and the locked packages that it omits."""
    audited: set[tuple[str, str]] = set()
    for found in report["dependencies"]:
        if "skip_reason" in found:
            continue
        audited.add((canonicalize_name(found["name"]), found["version"]))
        for known in found["vulns"]:
            repaired = ", ".join(known["fix_versions"]) or "no version yet"
            yield f"{found['name']} {found['version']}: {known['id']}, repaired in {repaired}"
    missed = [pin for pin in pins if pin[:2] not in audited]
    if missed:
        names = ", ".join(f"{pin.name} {pin.version}" for pin in missed)
        yield f"audited {len(pins) - len(missed)} of {len(pins)} locked packages, not {names}"


def audit(pins: Sequence[Pin], database: str | None = None, folder: Path = BUILD / "audit") -> None:
    """Ask a database about every package.

    :param database: the URL of one that answers as OSV does, instead of OSV itself.
    :param folder: for what is asked and answered.
    :raises NotRun: it cannot be asked.
    :raises Failed: something is known to be wrong, or not all were asked about.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "pylock.toml").write_text(pylock(pins), encoding="utf-8")
    wrong = list(faults(pins, _ask(folder, database)))
    if wrong:
        raise Failed(*wrong)


def _ask(folder: Path, database: str | None) -> Mapping[str, Any]:
    report = folder / "report.json"
    report.unlink(missing_ok=True)
    command = (
        *(TOOLS / "pip-audit", "--locked", folder, "--vulnerability-service", "osv"),
        *("--format", "json", "--output", report, "--progress-spinner", "off", "--cache-dir", CACHE),
        *(() if database is None else ("--osv-url", database)),
    )
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if report.exists():
        answer: Mapping[str, Any] = json.loads(report.read_text(encoding="utf-8"))
        return answer
    last = (done.stderr.strip().splitlines() or [f"exit status {done.returncode}"])[-1]
    if _UNREACHED.search(done.stderr):
        raise NotRun(last)
    raise Failed(f"pip-audit gave no report: {last}")
