"""``callnet status`` and ``callnet top``: the state and the activity of a running daemon."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import click

from callnet.cli.common import CommandError, settings_of
from callnet.ops.admin_client import Numbers, Running, places
from callnet.ops.metrics import RELAY
from callnet.ops.readiness import Report

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
