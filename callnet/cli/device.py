"""``callnet device``: a device in the terminal, which with ``--pair`` another one of its phone lets in."""

from __future__ import annotations

import os
import platform
import signal
from collections.abc import Callable, Coroutine
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click
import msgspec
from msgspec import Struct
from OpenSSL.crypto import Error as NoCertificate
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IReactorFDSet, ITransport
from twisted.internet.protocol import connectionDone
from twisted.internet.stdio import StandardIO
from twisted.internet.task import deferLater, react
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from callnet.cli.common import CommandError
from callnet.cli.handset import Answering, Handset
from callnet.model import DEVICE_LABEL_MAX
from callnet.util import files, qr_code
from callnet_client import (
    Account,
    AccountError,
    BegunPairing,
    ClientError,
    Credentials,
    Device,
    DeviceAddress,
    ErrorCode,
    Pairing,
    Server,
    Unreachable,
    certificate_trust,
    no_trust,
    public_trust,
)
from callnet_client.server import socket_url

if TYPE_CHECKING:
    from callnet.cli.media import Desk

_STDIN: Final = 0
_STDOUT: Final = 1
SITE: Final = "https://127.0.0.1:8080"
SIGNALING: Final = "ws://127.0.0.1:8082"
_OPTION: Final = "--pair"
_AGAIN: Final = 5.0
"""Seconds until it is tried again to begin."""


@implementer(IHalfCloseableProtocol)
class Terminal(LineOnlyReceiver):
    """Standard input and output."""

    delimiter = b"\n"
    MAX_LENGTH = 4096
    transport: ITransport

    def __init__(self) -> None:
        self._reader: Handset | None = None
        self._can_write = True
        self._ended: Deferred[None] = Deferred()

    def open(self, reactor: IReactorFDSet, reader: Handset | None) -> None:
        """Take over standard output, and standard input too if there is someone to read it."""
        self._reader = reader
        # Twisted closes what it is given, so these are duplicates. A program in the background must not read.
        stdin = os.open(os.devnull, os.O_RDONLY) if reader is None else os.dup(_STDIN)
        StandardIO(self, stdin, os.dup(_STDOUT), reactor)  # type: ignore[call-arg]  # mypy reads that of Windows

    def write(self, line: str) -> None:
        """Write a line."""
        self.transport.write(line.encode("utf-8", "replace") + b"\n")

    def close(self) -> Deferred[None]:
        """Stop. Fires when everything has been written."""
        if not self._can_write:
            self._end()
        self.transport.loseConnection()
        return self._ended

    def lineReceived(self, line: bytes) -> None:  # noqa: N802
        """Take a line."""
        if self._reader is not None:
            self._reader.typed(line.decode("utf-8", "replace"))

    def lineLengthExceeded(self, line: bytes) -> None:  # noqa: N802
        """Ignore a line that nobody can have typed."""

    def readConnectionLost(self) -> None:  # noqa: N802
        """Nothing more will be read."""
        if self._reader is not None:
            self._reader.deaf()

    def writeConnectionLost(self) -> None:  # noqa: N802
        """Nobody reads any more."""
        self._can_write = False

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002, N802
        """Leave the terminal as it was: it is shared with the shell."""
        self._end()

    def _end(self) -> None:
        for descriptor in (_STDIN, _STDOUT):
            os.set_blocking(descriptor, True)
        if not self._ended.called:
            self._ended.callback(None)


@click.command()
@click.argument("phone", required=False)
@click.argument("device_id", required=False)
@click.option(
    "--pair",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Be the device that FILE has, instead of PHONE DEVICE_ID. If there is no FILE, show a code by which another"
    " device of the phone lets this one in, and write it.",
)
@click.option(
    "--call", "callee", nargs=2, metavar="PHONE DEVICE_ID", help="Call this device, or all devices of the phone with *."
)
@click.option(
    "--answer",
    "answering",
    type=click.Choice(["accept", "refuse", "ask", "listed"]),
    default="ask",
    show_default=True,
    help="Choose how to answer calls. listed: accept callers listed in the phone's auto_answer, and ask for others.",
)
@click.option(
    "--server", metavar="URL", help="Use this site for all services, for example https://calls.example.org:8080."
)
@click.option("--account-url", metavar="URL", help="Use this account service.  [default: http://127.0.0.1:8083]")
@click.option("--signaling-url", metavar="URL", help="Use this signaling service.  [default: ws://127.0.0.1:8082]")
@click.option("--site-url", metavar="URL", help="Use this site for call pages.  [default: https://127.0.0.1:8080]")
@click.option(
    "--certificate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Trust only this PEM certificate.",
)
@click.option("--insecure", is_flag=True, help="Do not verify certificates.")
@click.option("--media", is_flag=True, help="Send and receive audio and video in calls.")
@click.option(
    "--play",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --media: send this file in a loop instead of a test picture and a tone.",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --media: record the other side's audio and camera to this WebM file.",
)
def device(
    phone: str | None,
    device_id: str | None,
    pair: Path | None,
    callee: tuple[str, str] | None,
    answering: Answering,
    certificate: Path | None,
    insecure: bool,
    media: bool,
    play: Path | None,
    record: Path | None,
    **urls: str | None,
) -> None:
    """Run a device in the terminal.

    It logs in, prints every frame, rings, answers and hangs up. Ctrl-C ends the call, or exits if there is none. With
    --call the command exits when that call ends, with status 0 if it was answered, otherwise 1. It reconnects
    automatically after losing its connection, and its call continues. With --media the device joins the call's room
    itself, without a browser, and rejoins its call after a restart.
    """
    if not media and (play or record):
        raise click.UsageError("--play and --record need --media")
    trust = _trust(certificate, insecure)
    try:
        socket_url(urls["signaling_url"] or urls["server"] or SIGNALING)
    except ClientError as error:
        raise click.BadParameter(str(error)) from None
    server_of = partial(_server, trust=trust, **urls)
    account_of = _account_of(phone, device_id, pair)
    desk_of = _desk_of(urls["site_url"] or urls["server"] or SITE, trust, play, record) if media else None
    react(_main, (account_of, DeviceAddress(*callee) if callee else None, answering, server_of, desk_of))


def _account_of(
    phone: str | None, device_id: str | None, pair: Path | None
) -> Callable[[Server], Coroutine[Any, Any, Account]]:
    if pair is None and phone is not None and device_id is not None:
        return partial(_named, DeviceAddress(phone, device_id))
    if pair is None or phone is not None:
        raise click.UsageError("PHONE and DEVICE_ID are needed, or --pair")
    return PairedDevice(pair).account


async def _named(address: DeviceAddress, server: Server) -> Account:
    return Account(server, *address)


def _desk_of(
    site: str, trust: IPolicyForHTTPS, play: Path | None, record: Path | None
) -> Callable[[DeviceAddress], Desk]:
    try:
        from callnet.cli.media import Desk, install_reactor
    except ModuleNotFoundError as missing:
        if missing.name not in ("aiortc", "av"):
            raise
        raise click.UsageError("--media needs aiortc: pip install 'callnet-client[media]'") from None
    return partial(Desk, site=site, trust=trust, reactor=install_reactor(), play=play, record=record)


def _trust(certificate: Path | None, insecure: bool) -> IPolicyForHTTPS:
    if certificate is not None and insecure:
        raise click.UsageError("--certificate and --insecure cannot be used together")
    if certificate is not None:
        try:
            return certificate_trust(certificate.read_bytes())
        except (OSError, NoCertificate):
            raise click.BadParameter(f"{certificate} is not a PEM certificate") from None
    return no_trust() if insecure else public_trust()


def _server(
    reactor: Any,
    trust: IPolicyForHTTPS,
    server: str | None,
    account_url: str | None,
    signaling_url: str | None,
    site_url: str | None,
) -> Server:
    return Server(
        site_url or server or SITE,
        reactor,
        account_url=account_url or server or "http://127.0.0.1:8083",
        signaling_url=signaling_url or server or SIGNALING,
        trust=trust,
    )


def _main(
    reactor: Any,
    account_of: Callable[[Server], Coroutine[Any, Any, Account]],
    callee: DeviceAddress | None,
    answering: Answering,
    server_of: Callable[[Any], Server],
    desk_of: Callable[[DeviceAddress], Desk] | None,
) -> Deferred[None]:
    running = Deferred.fromCoroutine(_run(reactor, account_of, callee, answering, server_of(reactor), desk_of))
    _on_interrupt(reactor, running.cancel)
    return running.addErrback(_explain).addCallback(_exit)


async def _run(
    reactor: Any,
    account_of: Callable[[Server], Coroutine[Any, Any, Account]],
    callee: DeviceAddress | None,
    answering: Answering,
    server: Server,
    desk_of: Callable[[DeviceAddress], Desk] | None,
) -> int:
    account = await account_of(server)
    desk = None if desk_of is None else desk_of(account.address)
    terminal = Terminal()
    handset = Handset(terminal.write, server, answering, callee, desk)
    terminal.open(reactor, handset if answering in ("ask", "listed") else None)
    device = Device(account, extended=desk is not None, call_waiting=handset.call_waiting, watch=handset.watch)
    return await _be_device(reactor, account, device, handset, terminal, desk)


async def _be_device(
    reactor: Any, account: Account, device: Device, handset: Handset, terminal: Terminal, desk: Desk | None
) -> int:
    if desk is not None:
        # Threads of aiortc's would keep the process.
        reactor.addSystemEventTrigger("before", "shutdown", desk.close)
    try:
        if not account.is_logged_in:
            await account.login()
        _on_interrupt(reactor, handset.interrupted)
        return await handset.run(device)
    finally:
        await device.close()
        if desk is not None:
            await desk.close()
        await terminal.close()


def _on_interrupt(reactor: Any, act: Callable[[], object]) -> None:
    """Call ``act`` at Ctrl-C. The reactor keeps a handler that was installed before it ran."""
    signal.signal(signal.SIGINT, lambda *_: reactor.callFromThread(act))


def _explain(failure: Failure) -> int:
    """Print the error in one line."""
    failure.trap(CancelledError, ClientError)
    if not failure.check(CancelledError):
        hint = " (see --certificate and --insecure)" if _is_distrust(failure.value) else ""
        click.echo(f"callnet device: {failure.value}{hint}", err=True)
    return 1


def _is_distrust(error: BaseException | None) -> bool:
    return isinstance(error, Unreachable) and error.is_untrusted


def _exit(status: int) -> None:
    raise SystemExit(status)


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
