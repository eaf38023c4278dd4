"""Pairing: another device of a phone lets this one in by the letters that it shows (protocol §1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from callnet_client.account import Account, Credentials, ErrorCode, read_field
from callnet_client.address import DeviceAddress
from callnet_client.errors import AccountError, Unreachable
from callnet_client.server import Server

_TRIED_AGAIN: Final = (None, ErrorCode.INTERNAL, ErrorCode.RATE_LIMITED)
"""Errors that say nothing of the pairing."""


class Pairing:
    """A device that waits to be let in. :meth:`begin` makes one."""

    def __init__(
        self, server: Server, answer: Mapping[str, Any], keep: Callable[[DeviceAddress, Credentials], object] | None
    ) -> None:
        self._server = server
        self._keep = keep
        self._secret: str = read_field(answer, "device_secret", str)
        self._interval: int = read_field(answer, "interval", int)
        self.user_code: Final[str] = read_field(answer, "user_code", str)
        """The letters to show, such as ``BCDF-GHJK``."""
        self.expires_at: Final[float] = server.reactor.seconds() + read_field(answer, "expires_in", int)
        """The time until which they are valid, in seconds since 1970."""

    @classmethod
    def begin(
        cls,
        server: Server,
        name: str = "",
        *,
        keep: Callable[[DeviceAddress, Credentials], object] | None = None,
    ) -> Deferred[Pairing]:
        """Begin to wait.

        :param name: what this device calls itself, for the person who lets it in.
        :param keep: called with the name of the device and its credentials whenever they change, as that of
            :class:`Account`. They must not get lost: later logins need the secret.
        """
        return server.post("/pairing/begin", {"name": name}).addCallback(partial(cls, server), keep)

    @property
    def link(self) -> str:
        """The link that opens the phone with the letters filled in, for a QR code."""
        return f"{self._server.site}/#pair={self.user_code}"

    def finished(self) -> Deferred[Account]:
        """Wait until this device is let in, and log in. Connections that are lost meanwhile do no harm.

        :return: a Deferred with the account. It fails with an :class:`AccountError`: with ``ErrorCode.CODE`` the
            letters are not valid any more, and with ``ErrorCode.DEVICE`` the device was refused, or removed since.
        """
        return Deferred.fromCoroutine(self._finish())

    async def _finish(self) -> Account:
        account: Account | None = None
        wait: float = self._interval
        while True:
            await deferLater(self._server.reactor, wait)
            try:
                account = account or await self._ask()
                if account is not None:
                    await account.login()
                    return account
                wait = self._interval
            except Unreachable:
                wait = self._interval
            except AccountError as error:
                if error.code not in _TRIED_AGAIN:
                    raise
                wait = max(self._interval, error.retry_after or 0)

    async def _ask(self) -> Account | None:
        """The account of this device, once it has one."""
        answer = await self._server.post("/pairing/poll", {"device_secret": self._secret})
        phone = read_field(answer, "phone", str | None)
        if phone is None:
            return None
        address = DeviceAddress(phone, read_field(answer, "device_id", str))
        keep = None if self._keep is None else partial(self._keep, address)
        return Account(self._server, *address, kept=Credentials(secret=self._secret), keep=keep)
