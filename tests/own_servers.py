"""Servers of others that tests start in a folder of their own, not as root, and that end with the tests."""

from __future__ import annotations

import os
import pwd
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path


def prefix(directory: Path, user: str, ends_by: str) -> list[str]:
    """What to put before the command of a server that refuses to run as root, to which the directory is given.

    :param user: who it is to be instead.
    :param ends_by: the name of the signal that it gets when this process ends, however that ends.
    """
    words = ["setpriv", "--pdeathsig", ends_by]
    if os.geteuid() == 0:
        other = pwd.getpwnam(user)
        os.chown(directory, other.pw_uid, other.pw_gid)
        words += [f"--reuid={other.pw_uid}", f"--regid={other.pw_gid}", "--clear-groups"]
    return words


def start(
    command: Sequence[str | Path], ready: str, environment: Mapping[str, str] | None = None
) -> subprocess.Popen[str]:
    """Start a server, and wait until it says that it is ready.

    :raises RuntimeError: it ended before that, with what it said.
    """
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, cwd="/", env=environment)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if ready in line:
            return process
    raise RuntimeError(f"it ended before it said {ready!r}:\n{''.join(said)}")
