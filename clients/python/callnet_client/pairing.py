"""Pairing: another device of a phone lets this one in by the letters that it shows (protocol §1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final

from msgspec import Struct
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from callnet_client.account import Account, Credentials, ErrorCode, read_field
from callnet_client.address import DeviceAddress
from callnet_client.errors import AccountError, Unreachable
from callnet_client.server import Server

_TRIED_AGAIN: Final = (None, ErrorCode.INTERNAL, ErrorCode.RATE_LIMITED)
"""Errors that say nothing of the pairing."""


class BegunPairing(Struct, frozen=True):
    """A device that waits to be let in, to be stored in private."""

    secret: str
    user_code: str
    """The letters to show, such as ``BCDF-GHJK``."""
    expires_at: float
    """The time until which they are valid, in seconds since 1970."""
    interval: int
    """Seconds between two questions."""


class Pairing:
    """A device that waits to be let in. :meth:`begin` makes one.

    :param begun: one that was kept and waits on.
    """

    def __init__(
        self,
        server: Server,
        begun: BegunPairing,
        *,
        keep: Callable[[DeviceAddress, Credentials], object] | None = None,
    ) -> None:
        self._server = server
        self._keep = keep
        self.begun: Final = begun
        """This device, to be stored in private: it is not lost if it is let in while it is away."""

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
        begun = server.post("/pairing/begin", {"name": name}).addCallback(_read, server.reactor.seconds())
        return begun.addCallback(lambda begun: cls(server, begun, keep=keep))

    @property
    def user_code(self) -> str:
        """See :class:`BegunPairing`."""
        return self.begun.user_code

    @property
    def expires_at(self) -> float:
        """See :class:`BegunPairing`."""
        return self.begun.expires_at

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
        interval = self.begun.interval
        wait: float = interval
        while True:
            await deferLater(self._server.reactor, wait)
            try:
                account = account or await self._ask()
                if account is not None:
                    await account.login()
                    return account
                wait = interval
            except Unreachable:
                wait = interval
            except AccountError as error:
                if error.code not in _TRIED_AGAIN:
                    raise
                wait = max(interval, error.retry_after or 0)

    async def _ask(self) -> Account | None:
        """The account of this device, once it has one."""
        answer = await self._server.post("/pairing/poll", {"device_secret": self.begun.secret})
        phone = read_field(answer, "phone", str | None)
        if phone is None:
            return None
        address = DeviceAddress(phone, read_field(answer, "device_id", str))
        keep = None if self._keep is None else partial(self._keep, address)
        return Account(self._server, *address, kept=Credentials(secret=self.begun.secret), keep=keep)


def _read(answer: Mapping[str, Any], now: float) -> BegunPairing:
    return BegunPairing(
        read_field(answer, "device_secret", str),
        read_field(answer, "user_code", str),
        now + read_field(answer, "expires_in", int),
        read_field(answer, "interval", int),
    )
