"""The content of a verified token."""

from __future__ import annotations

from msgspec import Struct

from callnet.model import DeviceAddress


class Token(Struct, frozen=True, gc=False):
    """A token that was verified. All times are seconds since 1970."""

    device: DeviceAddress
    auth_time: float
    """The time of the login that began the session, by the clock that revocations go by (see ``IChanges``)."""
    expires_at: float
    sid: str | None
    """The id of the login session, if it has one."""
    claimed: bool = False
    """Whoever logged in had shown the secret of the device."""
    is_renewable: bool = False
    """It names the key that signs now."""
