"""``callnet status`` and ``callnet top``: the state and the activity of a running daemon.

The daemon is asked over its operator's listener, for other commands too. That blocks.
"""

from __future__ import annotations

import http.client
import socket
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias
from urllib.parse import urlsplit

import click
import msgspec
from prometheus_client.parser import text_string_to_metric_families

from callnet.cli.common import CommandError, settings_of
from callnet.config import endpoints
from callnet.config.schema import ListenerSettings
from callnet.errors import CallnetError
from callnet.ops.metrics import RELAY
from callnet.ops.readiness import Report
from callnet.util.net import bracketed

_LIMIT: Final = 5.0
"""Seconds that an answer may take."""
_ANSWERED: Final = (200, 503)

Numbers: TypeAlias = Mapping[tuple[str, str], float]
"""Metrics by name and label value, which may be empty."""


class NotRunning(CallnetError):
    """Nobody answers there, or not as callnet does."""


class Running:
    """One daemon: a process, or a parent with its workers.

    :param place: ``http://HOST:PORT``, or the path of a UNIX socket.
    """

    def __init__(self, place: str) -> None:
        self._place = place

    def report(self) -> Report:
        """Its readiness.

        :raises NotRunning: it does not answer.
        """
        try:
            return msgspec.json.decode(self._get("/readyz"), type=Report)
        except msgspec.MsgspecError:
            raise NotRunning(f"{self._place}: this is not callnet") from None

    def numbers(self) -> Numbers:
        """Its metrics.

        :raises NotRunning: it does not tell.
        """
        try:
            return {
                (sample.name, "".join(sample.labels.values())): sample.value
                for family in text_string_to_metric_families(self._get("/metrics").decode("utf-8"))
                for sample in family.samples
            }
        except ValueError:
            raise NotRunning(f"{self._place}: this is not callnet") from None

    def _get(self, path: str) -> bytes:
        connection = self._connection()
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            cause = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise NotRunning(f"{self._place}: no answer from callnet: {cause}") from None
        finally:
            connection.close()
        if response.status not in _ANSWERED:
            raise NotRunning(f"{self._place}: this is not callnet")
        return body

    def _connection(self) -> http.client.HTTPConnection:
        if self._place.startswith("/"):
            return _ByPath(self._place)
        url = urlsplit(self._place)
        return http.client.HTTPConnection(url.hostname or "", url.port or 80, timeout=_LIMIT)


class _ByPath(http.client.HTTPConnection):
    """HTTP over a UNIX socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_LIMIT)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def places(settings: ListenerSettings) -> Sequence[str]:
    """The addresses of the daemon with these settings, as :class:`Running` takes them.

    Those are left out of which only the daemon knows where they are.
    """
    found = []
    for listener in settings.admin:
        path, address = endpoints.path(listener.endpoint), endpoints.address(listener.endpoint)
        if listener.proxy_protocol or listener.tls:
            continue
        if path is not None:
            found.append(path)
        elif address is not None and address[1]:
            found.append(f"http://{bracketed(address[0])}:{address[1]}")
    return found


def found(settings: ListenerSettings) -> tuple[str, Report] | None:
    """The address at which the daemon with these settings answers, and its report; ``None``: it does not run."""
    for place in places(settings):
        try:
            return place, Running(place).report()
        except NotRunning:
            continue
    return None


_RELAY: Final = {
    "up": "running",
    "starting": "starting",
    "no_program": "down: program not found; see turn.supervised.program",
    "port_in_use": "down: another program uses its port",
    "cannot_listen": "down: no permission to use its port, or no such address",
    "ended": "down: it ended, and will be started again",
}


_at = click.option(
    "--at", "place", metavar="PLACE", help="Query the operator's listener at http://HOST:PORT or at this socket path."
)


def _running_of(context: click.Context, place: str | None) -> Running:
    """The daemon at ``place``, or where the settings say.

    :raises StartError: the file with the settings cannot be read, or a setting is wrong.
    :raises CommandError: the settings name no address of the operator's listener.
    """
    if place is None:
        found = places(settings_of(context).listeners)
        if not found:
            raise CommandError("no usable address in listeners.admin: give one with --at")
        place = found[0]
    return Running(place)


@click.command()
@_at
@click.pass_context
def status(context: click.Context, place: str | None) -> None:
    """Show the status of the running daemon. The exit status is 0 if it is ready for clients, otherwise 1."""
    running = _running_of(context, place)
    report = running.report()
    for line in lines(report, running.numbers()):
        click.echo(line)
    sys.exit(not report.ready)


def lines(report: Report, numbers: Numbers) -> Iterator[str]:
    """The lines to show."""
    yield "callnet is ready." if report.ready else f"callnet is not ready: {report.wrong}"
    versions = sorted(label for name, label in numbers if name == "callnet_build_info")
    yield f"  {'version':<13} {', '.join(versions)}"
    for number, worker in sorted(report.workers.items(), key=lambda each: int(each[0])):
        yield f"  {'worker ' + number:<13} {'ready' if worker.ready else worker.wrong}"
    for (name, state), is_so in numbers.items():
        if name == RELAY and is_so:
            yield f"  {'relay':<13} {_RELAY.get(state, state)}"
    for label in ("device", "page"):
        yield f"  {label + 's':<13} {numbers.get(('callnet_sockets', label), 0):.0f}"
    for what in ("placed", "answered"):
        yield f"  {what:<13} {numbers.get((f'callnet_calls_{what}_total', ''), 0):.0f} calls"
    for what in ("failed", "ended"):
        reasons = {label: count for (name, label), count in numbers.items() if name == f"callnet_calls_{what}_total"}
        told = ", ".join(f"{label} {count:.0f}" for label, count in sorted(reasons.items()) if count)
        if told:
            yield f"  {what:<13} {told}"
    expiry = numbers.get(("callnet_certificate_expiry_seconds", ""))
    if expiry:
        yield f"  certificate   until {datetime.fromtimestamp(expiry, UTC):%Y-%m-%d}"


@click.command()
@_at
@click.option(
    "--every", type=click.FloatRange(0.1, 3600), default=2.0, show_default=True, help="Refresh after this many seconds."
)
@click.option(
    "--times", type=click.IntRange(1), help="Stop after this many refreshes. Runs until interrupted if omitted."
)
@click.pass_context
def top(context: click.Context, place: str | None, every: float, times: int | None) -> None:
    """Show the activity of the running daemon continuously."""
    running = _running_of(context, place)
    before: Numbers = running.numbers()
    rounds = iter(int, 1) if times is None else range(times)
    for _ in rounds:
        time.sleep(every)
        report, now = running.report(), running.numbers()
        click.clear()
        for line in screen(report, before, now, every):
            click.echo(line)
        before = now


def screen(report: Report, before: Numbers, now: Numbers, seconds: float) -> Iterator[str]:
    """The lines to show: the status, and the rate of each counter over the last ``seconds``."""
    yield from lines(report, now)
    yield ""
    yield "  a second"
    for name, label in sorted(now):
        more = now[name, label] - before.get((name, label), 0)
        if name.endswith("_total") and more > 0:
            shown = name.removeprefix("callnet_").removesuffix("_total").replace("_", " ")
            yield f"  {more / seconds:>8.1f}  {shown}{', ' + label if label else ''}"
