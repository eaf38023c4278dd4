"""The program that becomes coturn: ``python child.py PARENT PROGRAM ARGUMENT …``.

The kernel ends it with its parent, however that ends (PR_SET_PDEATHSIG, prctl(2)); this outlives exec(3). Ctrl-C in a
terminal is for the parent alone.
"""

import ctypes
import os
import signal
import sys

_SET_PARENT_DEATH_SIGNAL = 1

if __name__ == "__main__":
    parent, *arguments = sys.argv[1:]
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_SET_PARENT_DEATH_SIGNAL, int(signal.SIGKILL))
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if os.getppid() == int(parent):  # it may have ended before
        os.execvp(arguments[0], arguments)  # noqa: S606
