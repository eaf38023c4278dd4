"""Processes of `callnet` and `twistd`, forked from one that has loaded what they load.

A start of the daemon costs 0.7 s of CPU, of which its imports are 0.6; a fork of a process that has made them costs
0.1. It is a process of its own like any other: its program is the real one, with its own arguments, environment,
folder, files and exit status, and no reactor and no thread existed before it. It differs from one that was executed
in what the kernel says of it (``/proc/PID/cmdline``), it shares the memory of the modules, its objects are not
finalized in the end, and all have the same first half of the ids of HTTP requests: what measures, and what looks at
the start itself, starts processes with :mod:`subprocess`.
"""

from __future__ import annotations

import atexit
import ctypes
import gc
import json
import os
import runpy
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import BinaryIO, Final

LOADED: Final = (
    "twisted.cred.strcred",
    "twisted.scripts.twistd",
    "twisted.trial.itrial",
    "twisted.words.iwords",
    "encodings.ascii",
    "tomllib",
    "callnet.tap",
    "callnet.redis.limits",
    "callnet.redis.node",
    "callnet.cli.account",
    "callnet.cli.contact",
    "callnet.cli.device",
    "callnet.cli.doctor",
    "callnet.cli.setup",
    "callnet.cli.status",
)
"""Modules of a daemon and of most commands, but none that uses the reactor when it is imported."""
LONGEST: Final = 100_000
"""Bytes of a request for a process."""
_REACTOR: Final = "twisted.internet.reactor"
_NUMBER: Final = struct.Struct("i")
_LIBC: Final = ctypes.CDLL(None, use_errno=True)


class Fork:
    """A process. It has the methods of :class:`subprocess.Popen` that it needs.

    Its number stays its own until it is known here that it has ended, so no signal reaches another process.

    :param command: the path of a program in Python, and its arguments.
    :param output: the file that it writes to.
    :param errors: the file that it writes errors to, if that is another one.
    :param given: the file that it reads; without it, it reads nothing.
    :param umask: its file mode creation mask; ``None``: that of this process when it forked the first.
    :param network: the name of the network namespace that it is in (ip-netns(8)), if not that of this process.
    :param loads: modules that it needs besides those of a daemon. They are loaded for those that come later, too.
    """

    def __init__(
        self,
        command: Sequence[str],
        cwd: Path,
        env: Mapping[str, str],
        output: BinaryIO,
        errors: BinaryIO | None = None,
        given: BinaryIO | None = None,
        umask: int | None = None,
        network: str = "",
        loads: Sequence[str] = (),
    ) -> None:
        self._command = command
        self._status, status = os.pipe()
        try:
            request = json.dumps([loads, command, str(cwd), dict(env), umask, network]).encode()
            files = [each.fileno() for each in (output, errors or output, given) if each is not None]
            socket.send_fds(_server(), [request], [status, *files])
        finally:
            os.close(status)
        self.returncode: int | None = None
        """The exit status, or minus the number of the signal that ended it."""
        self.pid: Final[int] = self._read()

    def _read(self) -> int:
        said = os.read(self._status, _NUMBER.size)
        assert said, "the process that forks has ended"
        (number,) = _NUMBER.unpack(said)
        return int(number)

    def poll(self) -> int | None:
        """Its exit status if it has ended."""
        return self._await(0)

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended, and return its exit status.

        :raises subprocess.TimeoutExpired: it has not within ``timeout`` seconds.
        """
        status = self._await(None if timeout is None else timeout * 1000)
        if status is None:
            assert timeout is not None
            raise subprocess.TimeoutExpired(self._command, timeout)
        return status

    def _await(self, milliseconds: float | None) -> int | None:
        if self.returncode is None:
            poll = select.poll()
            poll.register(self._status, select.POLLIN)
            if poll.poll(milliseconds):
                self.returncode = self._read()
                os.close(self._status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL."""
        self.send_signal(signal.SIGKILL)


@cache
def _server() -> socket.socket:
    """The socket of a process that forks. It is started once, and ends with this one."""
    ours, its = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with its:
        subprocess.Popen(
            (sys.executable, "-m", "harness.forks", str(its.fileno())),
            cwd=Path(__file__).parent.parent,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=[its.fileno()],
        )
    return ours


def _next(requests: socket.socket) -> Sequence[str]:
    """Serve requests. Returns its command in each process that is asked for; exits when nobody can ask any more."""
    poll = select.poll()
    poll.register(requests, select.POLLIN)
    running: dict[int, tuple[int, int]] = {}
    ended: dict[int, int] = {}
    while True:
        for ready, _ in poll.poll():
            if ready in running:
                pid, status = running.pop(ready)
                os.write(status, _NUMBER.pack(_exit_status(pid)))
                poll.unregister(ready)
                os.close(ready)
                ended[status] = pid
                poll.register(status, 0)  # until its reader has closed it
                continue
            if ready in ended:
                os.waitpid(ended.pop(ready), 0)
                poll.unregister(ready)
                os.close(ready)
                continue
            request, descriptors, _, _ = socket.recv_fds(requests, LONGEST, 4)
            if not request:
                sys.exit()
            loads, *settings = json.loads(request)
            _load(loads)
            status, output, errors, *given = descriptors
            pid = os.fork()
            if not pid:
                for descriptor, own in zip((output, errors, *given), (1, 2, 0), strict=False):
                    os.dup2(descriptor, own)
                requests.close()
                kept = (status for _, status in running.values())
                os.closerange(3, max(*running, *ended, *descriptors, *kept) + 1)
                return _become(*settings)
            for descriptor in (output, errors, *given):
                os.close(descriptor)
            os.write(status, _NUMBER.pack(pid))
            end = os.pidfd_open(pid)
            poll.register(end, select.POLLIN)
            running[end] = pid, status


def _exit_status(pid: int) -> int:
    """The exit status of a process that has ended, or minus the number of a signal. It keeps its number."""
    ended = os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    return ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status


def _become(
    command: Sequence[str], cwd: str, environ: Mapping[str, str], umask: int | None, network: str
) -> Sequence[str]:
    if umask is not None:
        os.umask(umask)
    if network:
        _enter(network)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(cwd)
    os.environ.clear()
    os.environ.update(environ)
    time.tzset()
    sys.argv = list(command)
    sys.path[0] = os.path.dirname(command[0])
    return command


def _enter(network: str) -> None:
    """Enter a network namespace (setns(2))."""
    with open(f"/run/netns/{network}", "rb") as file:
        if _LIBC.setns(file.fileno(), 0):
            raise OSError(ctypes.get_errno(), f"cannot enter the network namespace {network}")


def _run(program: str) -> None:
    """Run a program.

    One that ends by ``sys.exit(number)`` leaves its objects to the kernel: to finalize them writes to all memory that
    it shares with the others, which costs ten times as much as the fork.
    """
    try:
        runpy.run_path(program, run_name="__main__")
    except SystemExit as end:
        if not isinstance(end.code, int) or threading.active_count() > 1:
            raise
        atexit._run_exitfuncs()  # noqa: SLF001
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(end.code)


def _load(modules: Sequence[str]) -> None:
    """Import modules, none of which may use the reactor then."""
    for name in modules:
        import_module(name)
    gc.freeze()
    assert _REACTOR not in sys.modules
    assert threading.active_count() == 1


def _load_klein() -> None:
    """Klein imports the reactor for its own ``run``, which callnet does not call: it gets an empty module."""
    sys.modules[_REACTOR] = ModuleType(_REACTOR)
    import_module("klein")
    del sys.modules[_REACTOR]


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # those who asked end their processes, and want to know how they ended
    _load_klein()
    _load(LOADED)
    _run(_next(socket.socket(fileno=int(sys.argv[1])))[0])
