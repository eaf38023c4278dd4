"""``callnet device --pair``: a device that another one of its phone lets in, and its file."""

from __future__ import annotations

import os
import platform
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final

import click
import msgspec
from msgspec import Struct
from twisted.internet.task import deferLater

from callnet.cli.common import CommandError
from callnet.model import DEVICE_LABEL_MAX
from callnet.util import files, qr_code
from callnet_client import (
    Account,
    AccountError,
    BegunPairing,
    Credentials,
    DeviceAddress,
    ErrorCode,
    Pairing,
    Server,
    Unreachable,
)

_OPTION: Final = "--pair"
_AGAIN: Final = 5.0
"""Seconds until it is tried again to begin."""


class _Waiting(Struct, frozen=True, tag="waiting", tag_field="state"):
    """The content of the file until the device is let in."""

    begun: BegunPairing


class _Paired(Struct, frozen=True, tag="paired", tag_field="state"):
    """The content of the file from then on."""

    phone: str
    device_id: str
    credentials: Credentials


class PairedDevice:
    """The name and the credentials of a device, in a file for this user alone.

    :raises CallnetError: there is a file that cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: _Waiting | _Paired | None = None
        if path.exists():
            try:
                self._kept = msgspec.json.decode(files.read_private(path, _OPTION), type=_Waiting | _Paired)
            except (msgspec.MsgspecError, UnicodeError):
                raise CommandError(f"{_OPTION}: {path} is not a file that {_OPTION} has written") from None
        elif not os.access(path.parent, os.W_OK):
            raise CommandError(f"{_OPTION}: cannot write {path}")

    async def account(self, server: Server) -> Account:
        """The account of the device; without a file, once the person has let it in.

        :raises ClientError: the server refused.
        """
        if isinstance(self._kept, _Paired):
            address = DeviceAddress(self._kept.phone, self._kept.device_id)
            return Account(server, *address, kept=self._kept.credentials, keep=partial(self._keep, address))
        begun = None if self._kept is None else self._kept.begun
        while True:
            if begun is None:
                begun = (await _begin(server)).begun
                self._write(_Waiting(begun))
            pairing = Pairing(server, begun, keep=self._keep)
            _show(pairing)
            try:
                return await pairing.finished()
            except AccountError as error:
                if error.code in (ErrorCode.CODE, ErrorCode.DEVICE):
                    self._forget()
                if error.code != ErrorCode.CODE:
                    raise
                begun = None
                click.echo("The code has expired.")

    def _keep(self, address: DeviceAddress, credentials: Credentials) -> None:
        if credentials.secret is None:  # it was removed: the next start is that of a new device
            self._forget()
        else:
            self._write(_Paired(*address, credentials))

    def _forget(self) -> None:
        with suppress(FileNotFoundError):
            self._path.unlink()

    def _write(self, kept: _Waiting | _Paired) -> None:
        files.overwrite(str(self._path), msgspec.json.encode(kept), files.PRIVATE)


async def _begin(server: Server) -> Pairing:
    """Begin as soon as the server can be reached and lets another device wait."""
    while True:
        try:
            return await Pairing.begin(server, platform.node()[:DEVICE_LABEL_MAX])
        except Unreachable as error:
            if error.is_untrusted:
                raise
            problem, wait = str(error), _AGAIN
        except AccountError as error:
            if error.code not in (None, ErrorCode.INTERNAL, ErrorCode.RATE_LIMITED):
                raise
            problem, wait = str(error), max(_AGAIN, error.retry_after or 0)
        click.echo(f"{problem}; trying again in {wait:.0f} s")
        await deferLater(server.reactor, wait)


def _show(pairing: Pairing) -> None:
    click.echo("On a device that is logged in, open Settings, Add a device, and enter")
    click.echo(f"\n    {click.style(' '.join(pairing.user_code), bold=True)}\n")
    click.echo(f"within ten minutes, or scan this:\n{qr_code.drawn(pairing.link)}{pairing.link}")
