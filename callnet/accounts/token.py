"""The content of a verified token."""

from __future__ import annotations

from msgspec import Struct

from callnet.model import DeviceAddress


class Token(Struct, frozen=True, gc=False):
    """A verified token. All times are seconds since 1970."""

    device: DeviceAddress
    auth_time: float
    """The time of the login that began the session, by the clock of revocations (see ``SqlChanges``)."""
    expires_at: float
    sid: str | None
    """The id of the login session, if it has one."""
    claimed: bool = False
    """True if the login has shown the secret of the device."""
    is_renewable: bool = False
    """True if it names the current signing key."""
