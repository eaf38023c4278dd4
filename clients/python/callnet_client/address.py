"""The address of a device."""

from __future__ import annotations

from typing import Final, NamedTuple

EVERY_DEVICE: Final = "*"
"""The device id that means every device of a phone (protocol §2.2)."""
_GUEST: Final = "guest:"


class DeviceAddress(NamedTuple):
    """One device of a phone, or with ``*`` every device of it."""

    phone: str
    device_id: str

    def covers(self, other: DeviceAddress) -> bool:
        """Tell whether a call to this address may ring ``other``."""
        return self.phone == other.phone and self.device_id in (other.device_id, EVERY_DEVICE)


def is_guest(phone: str) -> bool:
    """Return whether a phone is that of a guest, who came by a link: it cannot be called back."""
    return phone.startswith(_GUEST)
