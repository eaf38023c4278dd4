"""Commands of ``callnet`` and ``twistd`` that end by themselves, with the settings of a daemon.

They are forked (:mod:`harness.forks`): of what such a command costs, nine tenths are its imports.
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from tempfile import TemporaryFile
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from harness.daemon import BIN, Daemon
from harness.forks import Fork

LIMIT: Final = 60.0
"""Seconds that a command may take on a machine that is busy with other tests."""


def callnet(daemon: Daemon, *arguments: str) -> Deferred[tuple[str, str, int]]:
    """Run a command of ``callnet``: see :func:`ended`."""
    return ended(daemon, (os.path.join(BIN, "callnet"), *arguments))


def ended(daemon: Daemon, command: Sequence[str]) -> Deferred[tuple[str, str, int]]:
    """Run a command; fires with its output, its errors and its exit status.

    It is killed after :data:`LIMIT` seconds, since the reactor waits for its threads in the end.

    :raises subprocess.TimeoutExpired: it was.
    """
    return deferToThread(_run, daemon, command)


def _run(daemon: Daemon, command: Sequence[str]) -> tuple[str, str, int]:
    daemon.folder.mkdir(parents=True, exist_ok=True)
    with TemporaryFile() as output, TemporaryFile() as errors:
        process = Fork(command, daemon.folder, daemon.environ, output, errors)
        try:
            status = process.wait(LIMIT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise
        said = []
        for each in (output, errors):
            each.seek(0)
            said.append(each.read().decode())
    return said[0], said[1], status
