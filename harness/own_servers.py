"""Servers of others that tests start in a folder of their own, not as root, and that end with the tests."""

from __future__ import annotations

import os
import pwd
import subprocess
import tempfile
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from harness.daemon import START_LIMIT, STOP_LIMIT, wait_for


def prefix(directory: Path, user: str, ends_by: str) -> list[str]:
    """The prefix of a command that refuses to run as root; its user is given the directory.

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
) -> subprocess.Popen[bytes]:
    """Start a server, and wait until it says that it is ready.

    It writes to a file without a name. A pipe that nobody reads would fill, and the server would stand still.

    :raises RuntimeError: it is not ready in time, or has ended; with what it said. It was killed.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd="/", env=environment)

        def said() -> str:
            # The position in the file is the server's, too: pread(2) leaves it where it is.
            return os.pread(log.fileno(), os.fstat(log.fileno()).st_size, 0).decode(errors="replace")

        await_ready(process, lambda: ready in said(), said)
    return process


def await_ready(process: subprocess.Popen[bytes], is_ready: Callable[[], bool], said: Callable[[], str]) -> None:
    """Wait until a server that has just been started is ready.

    :raises RuntimeError: it is not ready in time, or has ended; with what it ``said``. It was killed.
    """
    with suppress(TimeoutError):
        wait_for(lambda: process.poll() is not None or is_ready(), START_LIMIT, "a server")
    if not is_ready():
        process.kill()
        process.wait()
        raise RuntimeError(f"a server did not start:\n{said()}")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Send SIGTERM to a server, and wait until it has ended.

    :raises subprocess.TimeoutExpired: it had to be killed.
    """
    process.terminate()
    try:
        process.wait(STOP_LIMIT)
    finally:
        process.kill()
        process.wait()
