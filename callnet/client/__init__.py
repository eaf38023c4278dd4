"""A client of the base protocol (protocol §1 and §2), on Twisted.

::

    account = Account("http://127.0.0.1:8083", reactor)
    token = await account.login("13651884967", "tv888")
    device = await connect("ws://127.0.0.1:8082/socket.io", token, reactor, on_frame=print)
    answer = await device.call("13651884968", "phone1")

Whatever waits answers with a Deferred, and whatever goes wrong is a :class:`ClientError`.
"""

from callnet.client.account import Account, ContactRow
from callnet.client.device import Device, connect
from callnet.client.errors import (
    AccountError,
    CallWithdrawn,
    ClientError,
    ConnectionClosed,
    Unreachable,
    UpgradeRefused,
)
from callnet.client.frames import CallAnswer, CloseReason, Frame
from callnet.client.trust import certificate_trust, no_trust, public_trust

__all__ = [
    "Account",
    "AccountError",
    "CallAnswer",
    "CallWithdrawn",
    "ClientError",
    "CloseReason",
    "ConnectionClosed",
    "ContactRow",
    "Device",
    "Frame",
    "Unreachable",
    "UpgradeRefused",
    "certificate_trust",
    "connect",
    "no_trust",
    "public_trust",
]
