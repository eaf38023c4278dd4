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

from callnet.cli.common import CommandError
from callnet.model import DEVICE_LABEL_MAX
from callnet.util import files, qr_code
from callnet_client import Account, AccountError, Credentials, DeviceAddress, ErrorCode, Pairing, Server

_OPTION: Final = "--pair"


class _Kept(Struct, frozen=True):
    """The content of the file."""

    phone: str
    device_id: str
    credentials: Credentials


class PairedDevice:
    """The name and the credentials of a device, in a file for this user alone.

    :raises CallnetError: there is a file that cannot be used.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._kept: _Kept | None = None
        if path.exists():
            try:
                self._kept = msgspec.json.decode(files.read_private(path, _OPTION), type=_Kept)
            except (msgspec.MsgspecError, UnicodeError):
                raise CommandError(f"{_OPTION}: {path} is not a file that {_OPTION} has written") from None
        elif not os.access(path.parent, os.W_OK):
            raise CommandError(f"{_OPTION}: cannot write {path}")

    async def account(self, server: Server) -> Account:
        """The account of the device; without a file, once the person has let it in.

        :raises ClientError: the server refused.
        """
        if self._kept is not None:
            address = DeviceAddress(self._kept.phone, self._kept.device_id)
            return Account(server, *address, kept=self._kept.credentials, keep=partial(self._keep, address))
        while True:
            pairing = await Pairing.begin(server, platform.node()[:DEVICE_LABEL_MAX], keep=self._keep)
            _show(pairing)
            try:
                return await pairing.finished()
            except AccountError as error:
                if error.code != ErrorCode.CODE:
                    raise
                click.echo("The code has expired.")

    def _keep(self, address: DeviceAddress, credentials: Credentials) -> None:
        if credentials.secret is None:  # it was removed: the next start is that of a new device
            with suppress(FileNotFoundError):
                self._path.unlink()
            return
        files.overwrite(str(self._path), msgspec.json.encode(_Kept(*address, credentials)), files.PRIVATE)


def _show(pairing: Pairing) -> None:
    click.echo("On a device that is logged in, open Settings, Add a device, and enter")
    click.echo(f"\n    {click.style(' '.join(pairing.user_code), bold=True)}\n")
    click.echo(f"within ten minutes, or scan this:\n{qr_code.drawn(pairing.link)}{pairing.link}")
