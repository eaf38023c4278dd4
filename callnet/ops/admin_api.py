"""The admin API (docs/admin-api.md): its key, the orders of the operator, and their outcomes.

One process does an order by itself (:mod:`callnet.app.operations`); the parent of workers asks all of them, and sums
up.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Final, Literal, TypeAlias

from msgspec import Meta, Struct
from msgspec.structs import replace

from callnet.errors import StartError
from callnet.model import DEVICE_ID_MAX, EVERY_DEVICE, PHONE_MAX
from callnet.util import files
from callnet.util.schema_hints import LINK_ID

KEY_MIN: Final = 32
"""The shortest key, in characters."""
_SETTING: Final = "admin.key_file"


class AdminKey:
    """The key that is good now. It may be changed at any time."""

    def __init__(self, value: bytes) -> None:
        self.value = value

    def is_right(self, shown: str | None) -> bool:
        """Tell whether somebody has shown it."""
        return shown is not None and hmac.compare_digest(shown.encode("utf-8", "replace"), self.value)


def load_or_make_admin_key(path: str) -> bytes:
    """Read the key. If its file is missing it is made, with a new one.

    :raises StartError: the file cannot be read or made, is open to others, or holds no key.
    """
    if not Path(path).exists():
        try:
            files.make_once(path, secrets.token_hex(KEY_MIN).encode() + b"\n")
        except OSError as error:
            raise StartError(f"{_SETTING}: {path}: {error.strerror}") from None
    return load_admin_key(path)


def load_admin_key(path: str) -> bytes:
    """Read the key.

    :raises StartError: there is none, its file is open to others, or it is too short for one.
    """
    key = files.read_private(path, _SETTING).strip()
    if len(key) < KEY_MIN or not key.isascii() or not key.decode("ascii").isprintable() or b" " in key:
        raise StartError(f"{_SETTING}: {path} must contain at least {KEY_MIN} ASCII characters without spaces")
    return key


Level: TypeAlias = Literal["debug", "info", "warn", "error"]
SHOWN_MAX: Final = 500
"""The most of a kind that one answer names."""

_Limit: TypeAlias = Annotated[int, Meta(ge=1, le=SHOWN_MAX)]
_Phone: TypeAlias = Annotated[str, Meta(min_length=1, max_length=PHONE_MAX)]
_DeviceId: TypeAlias = Annotated[str, Meta(min_length=1, max_length=DEVICE_ID_MAX)]
_SHOWN: Final = 100


class _Order(Struct, frozen=True, tag=True, tag_field="$order"):
    """An order, as it is in the body of a request and in a message to a worker, which has its name as well."""


class ListCalls(_Order, frozen=True):
    """Name calls that go on."""

    limit: _Limit = _SHOWN


class ListDevices(_Order, frozen=True):
    """Name devices that are connected."""

    limit: _Limit = _SHOWN
    phone: _Phone | None = None
    """Only those of this phone."""


class ListFailures(_Order, frozen=True):
    """List calls that failed recently, or ended as nobody wanted."""

    limit: _Limit = _SHOWN


class ListNodes(_Order, frozen=True):
    """Name the nodes that meet over Redis."""


class EndCall(_Order, frozen=True):
    """End a call, by its name in the log."""

    call: Annotated[str, Meta(max_length=64)]


class Disconnect(_Order, frozen=True):
    """Close the socket of a device, which may connect again."""

    phone: _Phone
    device_id: _DeviceId


class Revoke(_Order, frozen=True):
    """Refuse all tokens of a device, or of all of its phone's, that were issued until now."""

    phone: _Phone
    device_id: _DeviceId = EVERY_DEVICE


class ListLinks(_Order, frozen=True):
    """Name the links that ring a phone."""

    phone: _Phone


class RemoveLink(_Order, frozen=True):
    """Remove a link: it rings no more."""

    phone: _Phone
    link_id: Annotated[str, LINK_ID]


class ChooseLevel(_Order, frozen=True):
    """Log from this level on."""

    level: Level


AdminCommand: TypeAlias = (
    ListCalls
    | ListDevices
    | ListFailures
    | ListNodes
    | EndCall
    | Disconnect
    | Revoke
    | ListLinks
    | RemoveLink
    | ChooseLevel
)
OF_DATABASE: Final = (Revoke, ListLinks, RemoveLink)
"""Orders that need the database alone: one of several workers does them for all."""
MAY_BE_LATE: Final = (*OF_DATABASE, EndCall, Disconnect)
"""Orders that a worker carries out even if nobody waits for it any more: their answer waits for one that is late."""


class Named(Struct, frozen=True):
    """A device. Of somebody who is called it may be ``*``."""

    phone: str
    device_id: str


class CallShown(Struct, frozen=True):
    """A call that goes on."""

    call: str
    """Its name in the log: anyone who knows its room could enter."""
    state: Literal["ringing", "active"]
    caller: Named
    callee: Named
    seconds: float
    """Since it was placed."""
    answered: float | None
    """Seconds since it was answered."""


class DeviceShown(Struct, frozen=True):
    """A device that is connected."""

    phone: str
    device_id: str
    extended: bool
    """True if it speaks ``callnet.v2``."""
    seconds: float
    """For so long."""
    address: str
    """The address that it connects from."""
    call: str | None
    """The call that it is in, or that rings it."""


class FailureShown(Struct, frozen=True):
    """A call that failed."""

    call: str | None
    """``None``: it never rang."""
    seconds: float
    """So long ago."""
    caller: Named
    callee: Named
    reason: str


class LinkShown(Struct, frozen=True):
    """A link that rings a phone, without the secret. Times are seconds since 1970."""

    link_id: str
    name: str
    is_on: bool
    expires_at: float | None
    calls_left: int | None
    made_at: float
    last_used_at: float | None


class NodeShown(Struct, frozen=True):
    """A node of the cluster."""

    node: str
    here: bool
    """True if it is the process that was asked, or one of its workers."""
    lease: float
    """For how many seconds it is surely alive; less than 0: it is not, since then."""
    holds: int
    """Devices and pages, and what else it looks after."""


class AdminResult(Struct, frozen=True):
    """The outcome of an order: the requested data, and how often it was done."""

    calls: Sequence[CallShown] = ()
    devices: Sequence[DeviceShown] = ()
    failures: Sequence[FailureShown] = ()
    nodes: Sequence[NodeShown] = ()
    links: Sequence[LinkShown] = ()
    done: int = 0
    silent: int = 0
    """The number of workers that have not answered."""


SILENT: Final = AdminResult(silent=1)
"""The outcome of an order to a worker that does not answer."""


def together(outcomes: Iterable[AdminResult]) -> AdminResult:
    """The outcome of an order to several workers. A call may have devices on two of them."""
    each = list(outcomes)
    calls = {call.call: call for outcome in each for call in outcome.calls}
    failures = sorted((one for outcome in each for one in outcome.failures), key=lambda failure: failure.seconds)
    nodes = {node.node: node for outcome in each for node in outcome.nodes}
    own = {node.node for outcome in each for node in outcome.nodes if node.here}
    return AdminResult(
        list(calls.values()),
        [device for outcome in each for device in outcome.devices],
        failures,
        [replace(node, here=name in own) for name, node in sorted(nodes.items())],
        [link for outcome in each for link in outcome.links],
        sum(outcome.done for outcome in each),
        sum(outcome.silent for outcome in each),
    )
