"""The program that becomes coturn: ``python child.py PARENT LOWEST_PORT PROGRAM ARGUMENT …``.

The kernel ends it with its parent, however that ends (PR_SET_PDEATHSIG, prctl(2)); this outlives exec(3). Ctrl-C in a
terminal is for the parent alone. It keeps no capability that it was given for callnet, unless its own port needs that,
and gets no other.
"""

import ctypes
import os
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1
_SET_NO_NEW_PRIVILEGES = 38
_CAP_AMBIENT = 47
_CLEAR_ALL = 4
_UNPRIVILEGED_PORT = 1024

if __name__ == "__main__":
    parent, lowest_port, *arguments = sys.argv[1:]
    if sys.platform == "linux":
        prctl = ctypes.CDLL(None).prctl
        prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL))
        prctl(_SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0)
        if int(lowest_port) >= _UNPRIVILEGED_PORT:
            prctl(_CAP_AMBIENT, _CLEAR_ALL, 0, 0, 0)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.getppid() == int(parent):  # it may have ended before
        os.execvp(arguments[0], arguments)  # noqa: S606
