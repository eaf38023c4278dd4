"""Ports for servers of tests that a shared daemon sends to: each outlives the test, the server does not."""

from __future__ import annotations

import socket
from functools import cache
from typing import Any

from twisted.internet import reactor as installed
from twisted.internet.interfaces import IProtocolFactory
from twisted.trial.unittest import TestCase

reactor: Any = installed


@cache
def _listening(_name: str) -> socket.socket:
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    return listening


def serve(case: TestCase, name: str, factory: IProtocolFactory) -> str:
    """Serve at the port with this name until the test is over; its host and port as URLs have them."""
    listening = _listening(name)
    port = reactor.adoptStreamPort(listening.fileno(), socket.AF_INET, factory)
    case.addCleanup(port.stopListening)
    return "{}:{}".format(*listening.getsockname())
