"""A client of callnet for Python programs, on Twisted; :mod:`callnet_client.aio` adapts it to asyncio.

::

    server = Server("https://calls.example.org:8080", reactor)
    account = Account(server, "13800000001", "tv", kept=kept, keep=keep)
    device = Device(account)
    device.listen(print)
    device.connect()
    await device.until("online")
    call = device.place("13800000002")
    await call.until("active")

An :class:`Account` sends requests to the account service. A :class:`Device` places and receives calls, and reconnects
automatically when its connection is lost. Methods that wait return a Deferred, and all errors are
:class:`ClientError`. docs/python-client.md is a guide. For raw requests and frames there are :meth:`Server.post` and
:meth:`Server.connect`.

The JavaScript client (``clients/javascript``) has the same model and the same names.
"""

from callnet_client.account import (
    Account,
    Adder,
    ContactRow,
    Credentials,
    ErrorCode,
    Link,
    OwnDevice,
    PastCall,
    PastCalls,
    Person,
    Photo,
    Profile,
    Settings,
    WaitingDevice,
)
from callnet_client.address import EVERY_DEVICE, DeviceAddress, is_guest
from callnet_client.call import Call, CallState, Direction
from callnet_client.connection import Connection, Watch
from callnet_client.device import Device
from callnet_client.errors import AccountError, ClientError, ConnectionClosed, Unreachable, UpgradeRefused
from callnet_client.events import (
    CallEvent,
    ChangedEvent,
    DeviceState,
    Event,
    Listener,
    MissedEvent,
    PresenceEvent,
    SignalEvent,
    StateEvent,
)
from callnet_client.frames import CallOfPhone, CloseReason, Frame, MissedCall, PresentCall, parse_frame
from callnet_client.guest import GuestCall, GuestState
from callnet_client.pairing import BegunPairing, Pairing
from callnet_client.reconnecting_socket import Loss
from callnet_client.server import EXTENDED, Server
from callnet_client.trust import certificate_trust, no_trust, public_trust

__all__ = [
    "EVERY_DEVICE",
    "EXTENDED",
    "Account",
    "AccountError",
    "Adder",
    "BegunPairing",
    "Call",
    "CallEvent",
    "CallOfPhone",
    "CallState",
    "ChangedEvent",
    "ClientError",
    "CloseReason",
    "Connection",
    "ConnectionClosed",
    "ContactRow",
    "Credentials",
    "Device",
    "DeviceAddress",
    "DeviceState",
    "Direction",
    "ErrorCode",
    "Event",
    "Frame",
    "GuestCall",
    "GuestState",
    "Link",
    "Listener",
    "Loss",
    "MissedCall",
    "MissedEvent",
    "OwnDevice",
    "Pairing",
    "PastCall",
    "PastCalls",
    "Person",
    "Photo",
    "PresenceEvent",
    "PresentCall",
    "Profile",
    "Server",
    "Settings",
    "SignalEvent",
    "StateEvent",
    "Unreachable",
    "UpgradeRefused",
    "WaitingDevice",
    "Watch",
    "certificate_trust",
    "is_guest",
    "no_trust",
    "parse_frame",
    "public_trust",
]
