"""A command of `callnet` for a shell: it has another process fork the command, and ends as that ends.

It is executed, with the path of a socket and the command (:mod:`harness.forked_program`). It imports little, for it is
to cost less than what it stands for.
"""

import json
import os
import socket
import sys

umask = os.umask(0)  # umask(2) tells it only to who sets another
os.umask(umask)
with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as line:
    line.connect(sys.argv[1])
    socket.send_fds(line, [json.dumps([sys.argv[2:], os.getcwd(), dict(os.environ), umask]).encode()], [0, 1, 2])
    status = int(line.recv(16))
sys.exit(status if status >= 0 else 128 - status)
