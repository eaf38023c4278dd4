"""The program `callnet` for shells and scripts, whose commands are forked (:mod:`harness.forks`) and not executed.

A shell finds it if its folder is the first in ``PATH``. A command has the arguments, folder, environment, umask and
files of who runs it, but neither its terminal nor its limits, user and namespaces.
"""

from __future__ import annotations

import atexit
import json
import os
import shlex
import shutil
import socket
import sys
import tempfile
from contextlib import ExitStack
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Final

from harness.daemon import BIN
from harness.forks import LONGEST, Fork

_CLIENT: Final = Path(__file__).parent / "fork_client.py"


@cache
def forked_program() -> Path:
    """The program, which is made once and works until this process ends. It is ``bin/callnet`` in a folder."""
    folder = Path(tempfile.mkdtemp(prefix="callnet-forks-"))
    atexit.register(shutil.rmtree, folder)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    server.bind(str(folder / "socket"))
    server.listen()
    Thread(target=_serve, args=(server,), daemon=True).start()
    program = folder / "bin" / "callnet"
    program.parent.mkdir()
    command = (sys.executable, "-IS", str(_CLIENT), str(folder / "socket"), os.path.join(BIN, "callnet"))
    program.write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
    program.chmod(0o755)
    return program


def _serve(server: socket.socket) -> None:
    while True:
        client, _ = server.accept()
        Thread(target=_run, args=(client,), daemon=True).start()


def _run(client: socket.socket) -> None:
    """Fork the command of a client, and tell it how that ends."""
    with client:
        request, descriptors, _, _ = socket.recv_fds(client, LONGEST, 3)
        command, cwd, environ, umask = json.loads(request)
        with ExitStack() as stack:
            given, output, errors = (stack.enter_context(open(each, "rb", buffering=0)) for each in descriptors)
            process = Fork(command, Path(cwd), environ, output, errors, given, umask=umask)
        client.send(str(process.wait()).encode())
