"""Root's shell in a system whose root is a folder, where ``systemctl`` starts and stops services by their units.

Systemd does not run there. It enables and disables units all the same; what it would start, stop and reload is done by
whoever made the shell, while the command waits.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Final

from acceptance.systems import BARE, PASSED_ON, System

_ASKED: Final = "run/systemctl.asked"
_ANSWERED: Final = "run/systemctl.answered"
_SYSTEMCTL: Final = f"""#!/bin/sh
case $1 in
daemon-reload) exit 0 ;;
enable | disable)
    verb=$1
    shift
    now=no
    [ "$1" != --now ] || {{ now=yes; shift; }}
    /usr/bin/systemctl --quiet $verb "$@" || exit
    [ $now = yes ] || exit 0
    case $verb in enable) set -- start "$@" ;; disable) set -- stop "$@" ;; esac
    ;;
esac
echo "$*" >/{_ASKED}
exit "$(cat /{_ANSWERED})"
"""
_TAKES: Final = 300.0
"""Seconds that a block may take: one of them installs callnet."""


class RootShell:
    """The shell.

    :param order: is given what ``systemctl`` was asked for, its verb and each unit, and answers whether it was done.
    """

    def __init__(self, system: System, order: Callable[[str, str], bool]) -> None:
        self._root = system.root
        self._order = order
        command = self._root / "usr/local/bin/systemctl"
        command.parent.mkdir(parents=True, exist_ok=True)
        command.write_text(_SYSTEMCTL)
        command.chmod(0o755)
        for name in (_ASKED, _ANSWERED):
            os.mkfifo(self._root / name)
        # Open at both ends, so that nobody waits for anybody to open it.
        self._asked = os.open(self._root / _ASKED, os.O_RDWR | os.O_NONBLOCK)

    def close(self) -> None:
        """Release its resources."""
        os.close(self._asked)

    def command(self, script: str) -> list[str]:
        """The command that runs a script there, which gives up at the first command that fails."""
        return ["chroot", str(self._root), "bash", "-euo", "pipefail", "-c", script]

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment of root, and the settings to reach packages from here."""
        passed = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
        return {**passed, **BARE, "PATH": f"/usr/local/bin:{BARE['PATH']}", "LANG": "C.UTF-8"}

    def type(self, script: str) -> str:
        """Type a block. Returns its output.

        :raises ChildProcessError: a command of it failed.
        :raises TimeoutError: it took too long.
        """
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                self.command(script),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
            try:
                self._serve(process)
            except BaseException:
                process.kill()
                process.wait()
                raise
            output.seek(0)
            said = output.read()
        if process.returncode:
            raise ChildProcessError(f"{script!r} ended with {process.returncode}: {said[-2000:]}")
        return said

    def _serve(self, process: subprocess.Popen[bytes]) -> None:
        end = time.monotonic() + _TAKES
        while process.poll() is None:
            if time.monotonic() > end:
                raise TimeoutError("a block of the page did not end")
            try:
                verb, *units = os.read(self._asked, 4096).decode().split()
            except BlockingIOError:
                time.sleep(0.05)
                continue
            answers = [self._order(verb, unit) for unit in units]
            (self._root / _ANSWERED).write_text(f"{0 if all(answers) else 1}\n")
