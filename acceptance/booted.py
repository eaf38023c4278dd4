"""A system that is booted: its systemd is the first process of namespaces of its own. For root only.

It is started as by systemd-nspawn, whose container interface this follows (systemd.io/CONTAINER_INTERFACE).
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from acceptance.namespaces import Namespace
from acceptance.systems import BARE, System
from harness.daemon import wait_for

_NOT_OF_A_CONTAINER: Final = "-sys_module,-sys_rawio,-sys_time,-sys_boot,-syslog"
"""Capabilities that would reach this machine."""
_BOOT: Final = f"""
mount --bind "$ROOT" "$ROOT"
cd "$ROOT"
mount -t proc proc proc
mount -t sysfs -o ro sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mkdir "sys/fs/cgroup/$NAME"
echo 0 >"sys/fs/cgroup/$NAME/cgroup.procs"
umount sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for device in null zero full random urandom tty; do touch dev/$device; mount --bind /dev/$device dev/$device; done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666,mode=620 devpts dev/pts
ln -s pts/ptmx dev/ptmx
mount -t tmpfs -o mode=1777 tmpfs dev/shm
mount -t tmpfs -o mode=755 tmpfs run
mkdir run/outside
exec unshare --cgroup sh -euc '
    mount -t cgroup2 cgroup2 sys/fs/cgroup
    pivot_root . run/outside
    umount --lazy /run/outside
    exec env --ignore-environment container=callnet PATH={BARE["PATH"]} \\
        setpriv --bounding-set={_NOT_OF_A_CONTAINER} /sbin/init --log-target=journal
'
"""
_SWEEP: Final = """
mount -t cgroup2 cgroup2 "$ROOT/mnt"
[ ! -d "$ROOT/mnt/$NAME" ] || find "$ROOT/mnt/$NAME" -depth -type d -exec rmdir {} +
"""
_BOOTS_WITHIN: Final = 120.0
_SETTLED: Final = ("running", "degraded")


class Booted:
    """A system that runs from the start until it is closed.

    :param network: the network that it is in.
    """

    def __init__(self, system: System, network: Namespace) -> None:
        self._environment: Final = {"ROOT": str(system.root), "NAME": network.name, **BARE}
        own = ("--mount", "--propagation=private", "--uts", "--ipc", "--pid", "--fork", "--kill-child")
        self._process = subprocess.Popen(
            [*network.command, "unshare", *own, "sh", "-euc", _BOOT],
            env=self._environment,
            stdin=subprocess.DEVNULL,
        )
        try:
            wait_for(self._is_up, _BOOTS_WITHIN, "the end of the boot")
        except BaseException:
            self.close()
            raise

    def _is_up(self) -> bool:
        if self._process.poll() is not None:
            raise ChildProcessError(f"the system has ended with status {self._process.returncode}")
        with suppress(LookupError):
            return self.run("systemctl is-system-running").stdout.strip() in _SETTLED
        return False

    def command(self, script: str) -> list[str]:
        """The command that runs a script of root's in there.

        :raises LookupError: it has not begun to boot.
        """
        environment = (f"{name}={value}" for name, value in {**BARE, "LANG": "C.UTF-8"}.items())
        entered = ("nsenter", "--all", f"--target={self._first()}", "--", "env", "--ignore-environment")
        return [*entered, *environment, "bash", "-euo", "pipefail", "-c", script]

    def run(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script of root's.

        :raises LookupError: it has not begun to boot.
        """
        return subprocess.run(
            self.command(script), stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    def do(self, script: str) -> str:
        """Run a script of root's. Returns its output.

        :raises ChildProcessError: it failed.
        """
        ran = self.run(script)
        if ran.returncode:
            raise ChildProcessError(f"{script!r} ended with {ran.returncode}: {(ran.stdout + ran.stderr)[-2000:]}")
        return ran.stdout

    def close(self) -> None:
        """End all that runs there, at once."""
        with suppress(OSError):
            for child in self._children():
                os.kill(child, signal.SIGKILL)
        self._process.wait()
        swept = ("unshare", "--mount", "--propagation=private", "sh", "-euc", _SWEEP)
        subprocess.run(swept, env=self._environment, check=True)

    def _first(self) -> int:
        """Its first process, as this machine names it."""
        for child in self._children():
            if os.readlink(f"/proc/{child}/exe") == "/usr/lib/systemd/systemd":
                return child
        raise LookupError("it has not begun to boot")

    def _children(self) -> Sequence[int]:
        pid = self._process.pid
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
