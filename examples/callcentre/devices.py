"""The devices of the queue's phone, for the desk and for its agents.

All of them go by the environment:

    CALLNET_SITE          where callnet is, such as https://calls.example.org:8080
    CALLNET_CERTIFICATE   a file with its certificate, if no authority has signed that
    QUEUE_PHONE           the number that callers ring
    QUEUE_STATE           the folder with the secrets of the devices (README.md); the present one without it
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec
from twisted.internet.interfaces import IReactorTime

from callnet_client import Account, Call, Credentials, Device, Server, certificate_trust

BELL = "bell"
"""The device that rings agents."""
AGENT = "agent-"
"""The prefix of the ids of the agents' devices."""
LINES_TAKE = 3.0
"""Seconds in which a line has certainly accepted a call to all devices of the phone, if one is free."""


def server_of(reactor: IReactorTime) -> Server:
    """Where callnet is."""
    certificate = os.environ.get("CALLNET_CERTIFICATE")
    trust = certificate_trust(Path(certificate).read_bytes()) if certificate else None
    return Server(os.environ["CALLNET_SITE"], reactor, trust=trust)


def device_of(server: Server, device_id: str) -> Device:
    """A device of the queue's phone, which connects; its secret is in a file (README.md).

    :raises OSError: there is no such file.
    :raises ValueError: it is none.
    """
    file = Path(os.environ.get("QUEUE_STATE", "."), f"{device_id}.json")

    def keep(credentials: Credentials) -> None:
        new = file.with_suffix(".new")
        new.touch(0o600)
        new.write_bytes(msgspec.json.encode(credentials))
        new.replace(file)

    kept = msgspec.json.decode(file.read_bytes(), type=Credentials)
    device = Device(Account(server, os.environ["QUEUE_PHONE"], device_id, kept=kept, keep=keep))
    device.connect()
    return device


def leave_to_lines(device: Device, call: Call) -> None:
    """A caller has rung all devices of the phone: to refuse that at once would refuse it for all of them."""
    device.account.server.reactor.callLater(LINES_TAKE, call.refuse)
