"""The devices of a phone as its own devices see and change them, without HTTP (protocol §1)."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from functools import partial
from typing import Annotated, Final

from msgspec import Struct, UnsetType
from twisted.internet.defer import Deferred

from callnet.accounts.tokens import Tokens
from callnet.accounts.validation import new_secret, require_device_id, require_name, secret_hash
from callnet.calls.ports import IPresence
from callnet.errors import CodeInvalid, DeviceInvalid, RateLimited
from callnet.model import DEVICE_LABEL_MAX, DeviceAddress
from callnet.storage.devices import SqlDevices
from callnet.util.deferreds import as_deferred
from callnet.util.schema_hints import DEVICE_ID, LABEL

_SALT: Final = 16
"""Bytes of a salt."""


def pin_hash(pin: str, kept: bytes | None = None) -> bytes:
    """The stored hash of a PIN, with its salt in front. A few digits are soon guessed from any hash: it costs
    time, 22 ms, so it is computed in a thread.

    :param kept: a hash whose salt is taken; ``None``: a new one.
    """
    salt = secrets.token_bytes(_SALT) if kept is None else kept[:_SALT]
    return salt + hashlib.scrypt(pin.encode("ascii"), salt=salt, n=4096, r=8, p=1, dklen=32)


class OwnDeviceRow(Struct, frozen=True):
    """One device of the requesting phone."""

    device_id: Annotated[str, DEVICE_ID]
    label: Annotated[str, LABEL]
    """The name that its owner gave it, or the empty string."""
    last_used_at: float | None
    """When it last connected, in seconds since 1970, to the day; ``null``: not known."""
    online: bool
    this: bool
    """It is the requesting device."""
    kiosk: bool
    """It shows its contacts, and calls them, and nothing else, until somebody enters its PIN."""
    auto_answers: bool
    """It answers the callers in the phone's ``auto_answer`` automatically."""


class OwnDeviceList(Struct, frozen=True):
    """All devices of the requesting phone."""

    devices: list[OwnDeviceRow]
    """One row for each device."""


class OwnDevices:
    """Shows devices those of their phone, and changes them.

    A device may change others if it has shown its secret: without one, anybody who knows its phone can pose as it.

    All methods raise :class:`TokenInvalid` if the token is not valid, and :class:`Unavailable` if the database
    cannot be reached.

    :param look: makes this node read the revocations now; fires when that is done.
    """

    def __init__(
        self, devices: SqlDevices, presence: IPresence, tokens: Tokens, look: Callable[[], Deferred[None]]
    ) -> None:
        self._devices = devices
        self._presence = presence
        self._tokens = tokens
        self._look = look

    @as_deferred
    async def devices(self, token: str) -> OwnDeviceList:
        """The devices of the token's phone, by their ids."""
        own = self._tokens.verify(token).device
        found = await self._devices.of(own.phone)
        addresses = {device.device_id: DeviceAddress(own.phone, device.device_id) for device in found}
        online = await self._presence.online(addresses.values())
        return OwnDeviceList(
            [
                OwnDeviceRow(
                    device.device_id,
                    device.label,
                    device.last_used_at,
                    addresses[device.device_id] in online,
                    device.device_id == own.device_id,
                    device.kiosk,
                    device.auto_answers,
                )
                for device in found
            ]
        )

    @as_deferred
    async def rename(self, token: str, device_id: str, label: str) -> None:
        """Give a device of the token's phone a label; the empty string: none.

        :raises DeviceInvalid: there is no such device, or the token's may not change it.
        :raises DataInvalid: the label is not acceptable.
        """
        device = self._changed(token, device_id)
        _require(await self._devices.rename(device, require_name(label, DEVICE_LABEL_MAX, "label")))
        await self._look()

    @as_deferred
    async def configure(
        self, token: str, device_id: str, kiosk_pin: str | UnsetType | None, auto_answers: bool | UnsetType
    ) -> None:
        """Change settings of a device of the token's phone.

        :param kiosk_pin: the digits that end its kiosk; ``None``: it is no kiosk.
        :param auto_answers: whether it answers the callers in the phone's ``auto_answer`` automatically.
        :raises DeviceInvalid: there is no such device, or the token's may not change it: a kiosk that is one does not
            end by itself.
        """
        device = self._changed(token, device_id)
        by_itself = device == self._tokens.verify(token).device
        pin = partial(pin_hash, kiosk_pin) if isinstance(kiosk_pin, str) else kiosk_pin
        if not await self._devices.configure(device, pin, auto_answers, by_itself):
            raise DeviceInvalid("the phone has no such device, or it is a kiosk, which only its PIN ends")
        await self._look()

    @as_deferred
    async def unlock(self, token: str, pin: str) -> None:
        """End the kiosk of the token's device. It may be said again.

        :raises CodeInvalid: the PIN is wrong.
        :raises RateLimited: too many were wrong; this one was not looked at.
        """
        device = self._tokens.verify(token).device
        found = await self._devices.unlock(device, lambda kept: secrets.compare_digest(pin_hash(pin, kept), kept))
        if found.retry_after > 0:
            raise RateLimited("too many wrong PINs", found.retry_after)
        if not found.is_over:
            raise CodeInvalid("wrong pin")
        await self._look()

    @as_deferred
    async def log_out(self, token: str, device_id: str) -> None:
        """Revoke all tokens of a device of the token's phone, and its secret: it does not come back by itself.

        It may log in again with a code, or when it has been removed; without a secret it always may.

        :raises DeviceInvalid: there is no such device, or the token's may not change it.
        """
        device = self._changed(token, device_id)
        _require(await self._devices.log_out(device, secret_hash(new_secret())))
        await self._look()

    @as_deferred
    async def remove(self, token: str, device_id: str) -> None:
        """Remove a device of the token's phone, and revoke all its tokens.

        With enrolment ``open`` it may log in again, as a new device.

        :raises DeviceInvalid: there is no such device, or the token's may not change it.
        """
        _require(await self._devices.remove(self._changed(token, device_id)))
        await self._look()

    def _changed(self, text: str, device_id: str) -> DeviceAddress:
        """The device that is to be changed."""
        token = self._tokens.verify(text)
        require_device_id(device_id)
        if device_id != token.device.device_id and not token.claimed:
            raise DeviceInvalid("only a device that has logged in with its secret may change others")
        return DeviceAddress(token.device.phone, device_id)


def _require(is_there: bool) -> None:
    if not is_there:
        raise DeviceInvalid("the phone has no such device")
