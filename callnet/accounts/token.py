"""What a token says, once it is known to be one of ours."""

from __future__ import annotations

from msgspec import Struct

from callnet.model import DeviceAddress


class Token(Struct, frozen=True, gc=False):
    """A token that was verified. All times are seconds since 1970."""

    device: DeviceAddress
    issued_at: float
    """If the token does not say so: its lifetime before it expires."""
    expires_at: float
    jti: str | None
    """Its id, if it has one."""
    claimed: bool = False
    """Whoever logged in had shown the secret of the device."""
