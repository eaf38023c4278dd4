"""Secrets in logs: tokens, room ids and phone numbers (docs/monitoring.md).

:class:`harness.daemon.Daemon` looks for them in its log when it has ended; `make test` also in the logs of its own
run::

    python -m harness.leaks _trial_temp-0/test.log
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from itertools import takewhile
from pathlib import Path
from typing import Final

_TOKEN: Final = re.compile(r"eyJ[\w-]+\.eyJ[\w-]+", re.ASCII)
_ROOM: Final = re.compile(r"(?<![0-9A-Za-z-])[0-9a-f]{32}(?![0-9A-Za-z-])")
_PHONE: Final = re.compile(r"(?<![0-9A-Za-z.:-])\+?(?:86)?(?!1380000000[12]\b)1[3-9][0-9]{9}(?![0-9A-Za-z.-])")
"""A number as the tests and the proofs dial them. A daemon that starts names two to try it with."""
# "2026-11-25T00:41:09+0000 [callnet.tap#warn] …"
_LOUD: Final = re.compile(r"^\S+ \[[^\]]*#(warn|error|critical)\]|^Traceback|Unhandled")


def leaks(log: str) -> list[str]:
    """The lines that hold one."""
    return [line for line in log.splitlines() if any(secret.search(line) for secret in (_TOKEN, _ROOM, _PHONE))]


def check(log: str) -> None:
    """Look at a log.

    :raises AssertionError: it holds something that it may not.
    """
    found = leaks(log)
    if found:
        raise AssertionError("a token, a room or a phone number was logged:\n" + "\n".join(found[:10]))


def complaints(log: str) -> list[str]:
    """Lines of a log above info, with the end of the traceback that may follow; then those that hold secrets."""
    lines = log.splitlines()
    loud = [f"{line}{_cause(lines[place + 1 :])}" for place, line in enumerate(lines) if _LOUD.search(line)]
    return [*loud, *(f"a secret: {line}" for line in leaks(log))]


def errors(log: str) -> list[str]:
    """Lines of a log that are above a warning, and those that hold secrets."""
    return [line for line in complaints(log) if "#warn]" not in line or line.startswith("a secret")]


def _cause(lines: Iterable[str]) -> str:
    block = [line.strip() for line in takewhile(lambda line: not line or line.startswith("\t"), lines)]
    return next((f": {line}" for line in reversed(block) if line), "")


def main(paths: list[str]) -> int:
    """Look at log files. The exit status: 1 if one holds a secret."""
    status = 0
    for path in map(Path, paths):
        for line in leaks(path.read_text(encoding="utf-8", errors="replace")):
            sys.stderr.write(f"{path}: {line}\n")
            status = 1
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
