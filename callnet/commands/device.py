"""``callnet device``: a whole base client in the terminal."""

from __future__ import annotations

import signal
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

import click
from msgspec import Struct
from OpenSSL.crypto import Error as NoCertificate
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import react
from twisted.python.failure import Failure
from twisted.web.iweb import IPolicyForHTTPS

from callnet.client import Account, ClientError, Unreachable, certificate_trust, connect, no_trust, public_trust
from callnet.commands.handset import Answering, Handset
from callnet.commands.terminal import Terminal
from callnet.model import DeviceAddress

if TYPE_CHECKING:
    from callnet.commands.media import Desk


class _Servers(Struct, frozen=True):
    account: str
    signaling: str
    site: str
    trust: IPolicyForHTTPS


@click.command()
@click.argument("phone")
@click.argument("device_id")
@click.option("--call", "callee", nargs=2, metavar="PHONE DEVICE_ID", help="Call this device; * is all of the phone's.")
@click.option(
    "--answer",
    "answering",
    type=click.Choice(["accept", "refuse", "ask", "listed"]),
    default="ask",
    show_default=True,
    help="What to do when it rings; listed: accept whom the phone's owner has listed for that, and ask for others.",
)
@click.option("--server", metavar="URL", help="A site that serves everything, such as https://calls.example.org:8080.")
@click.option("--account-url", metavar="URL", help="The account service.  [default: http://127.0.0.1:8083]")
@click.option("--signaling-url", metavar="URL", help="The signaling service.  [default: ws://127.0.0.1:8082]")
@click.option("--site-url", metavar="URL", help="The site, for the page of a call.  [default: https://127.0.0.1:8080]")
@click.option(
    "--certificate",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Trust this PEM certificate alone.",
)
@click.option("--insecure", is_flag=True, help="Trust whoever answers.")
@click.option("--media", is_flag=True, help="Send picture and sound in calls, and take them.")
@click.option(
    "--play",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --media: send this file over and over, instead of a test picture and a tone.",
)
@click.option(
    "--record",
    type=click.Path(dir_okay=False, path_type=Path),
    help="With --media: write sound and the camera's picture of the others there, as WebM.",
)
def device(
    phone: str,
    device_id: str,
    callee: tuple[str, str] | None,
    answering: Answering,
    certificate: Path | None,
    insecure: bool,
    media: bool,
    play: Path | None,
    record: Path | None,
    **urls: str | None,
) -> None:
    """Be a device: log in, show every frame, ring, answer, hang up.

    Ctrl-C ends the call, or the ringing; when there is none, it leaves. With --call the command ends with
    that call: with status 0 if it was answered, else 1. With --media the device is in its call's room itself, without
    a browser, and comes back into its call if it is started anew.
    """
    if not media and (play or record):
        raise click.UsageError("--play and --record go with --media")
    servers = _servers(_trust(certificate, insecure), **urls)
    address = DeviceAddress(phone, device_id)
    desk = _desk(address, servers, play, record) if media else None
    react(_main, (address, DeviceAddress(*callee) if callee else None, answering, servers, desk))


def _desk(address: DeviceAddress, servers: _Servers, play: Path | None, record: Path | None) -> Desk:
    try:
        from callnet.commands.media import Desk, install_reactor
    except ModuleNotFoundError as missing:
        if missing.name not in ("aiortc", "av"):
            raise
        raise click.UsageError("--media needs aiortc: pip install 'callnet[media]'") from None
    return Desk(address, servers.site, servers.trust, install_reactor(), play, record)


def _trust(certificate: Path | None, insecure: bool) -> IPolicyForHTTPS:
    if certificate is not None and insecure:
        raise click.UsageError("--certificate and --insecure exclude each other")
    if certificate is not None:
        try:
            return certificate_trust(certificate.read_bytes())
        except (OSError, NoCertificate):
            raise click.BadParameter(f"{certificate} is not a certificate in PEM") from None
    return no_trust() if insecure else public_trust()


def _servers(
    trust: IPolicyForHTTPS,
    server: str | None,
    account_url: str | None,
    signaling_url: str | None,
    site_url: str | None,
) -> _Servers:
    signaling = signaling_url or server or "ws://127.0.0.1:8082"
    parts = urlsplit(signaling)
    if parts.scheme not in ("ws", "wss", "http", "https"):
        raise click.BadParameter(f"{signaling!r} is no ws:// or wss:// URL")
    path = parts.path if parts.path.strip("/") else "/socket.io"
    return _Servers(
        account_url or server or "http://127.0.0.1:8083",
        urlunsplit((parts.scheme.replace("http", "ws"), parts.netloc, path, "", "")),
        site_url or server or "https://127.0.0.1:8080",
        trust,
    )


def _main(
    reactor: Any,
    address: DeviceAddress,
    callee: DeviceAddress | None,
    answering: Answering,
    servers: _Servers,
    desk: Desk | None,
) -> Deferred[None]:
    terminal = Terminal()
    handset = Handset(terminal.write, reactor, servers.site, answering, callee, desk)
    terminal.open(reactor, handset if answering in ("ask", "listed") else None)
    running = Deferred.fromCoroutine(_be_device(reactor, address, servers, handset, terminal, desk))
    _on_interrupt(reactor, running.cancel)
    return running.addErrback(_explain).addCallback(_exit)


async def _be_device(
    reactor: Any, address: DeviceAddress, servers: _Servers, handset: Handset, terminal: Terminal, desk: Desk | None
) -> int:
    if desk is not None:
        # Threads of aiortc's would keep the process.
        reactor.addSystemEventTrigger("before", "shutdown", desk.close)
    try:
        account = Account(servers.account, reactor, trust=servers.trust)
        token = await account.login(*address)
        device = await connect(
            servers.signaling,
            token,
            reactor,
            trust=servers.trust,
            extended=desk is not None,
            on_frame=handset.received,
            on_sent=handset.sent,
        )
        _on_interrupt(reactor, handset.interrupted)
        status = await handset.run(device)
        await device.close()
        return status
    finally:
        if desk is not None:
            await desk.close()
        await terminal.close()


def _on_interrupt(reactor: Any, act: Callable[[], object]) -> None:
    """Have Ctrl-C do this. The reactor leaves a handler alone that was there before it ran."""
    signal.signal(signal.SIGINT, lambda *_: reactor.callFromThread(act))


def _explain(failure: Failure) -> int:
    """Say in one line why there is no device."""
    failure.trap(CancelledError, ClientError)
    if not failure.check(CancelledError):
        hint = " (see --certificate and --insecure)" if _is_distrust(failure.value) else ""
        click.echo(f"callnet device: {failure.value}{hint}", err=True)
    return 1


def _is_distrust(error: BaseException | None) -> bool:
    return isinstance(error, Unreachable) and error.is_untrusted


def _exit(status: int) -> None:
    raise SystemExit(status)
