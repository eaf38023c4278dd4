"""``callnet top``: the activity of the running daemon."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click

from callnet.cli.status import lines, running_of
from callnet.ops.admin_client import Numbers
from callnet.ops.readiness import Report


@click.command()
@click.option(
    "--at", "place", metavar="PLACE", help="Query the operator's listener at http://HOST:PORT or at this socket path."
)
@click.option(
    "--every", type=click.FloatRange(0.1, 3600), default=2.0, show_default=True, help="Refresh after this many seconds."
)
@click.option(
    "--times", type=click.IntRange(1), help="Stop after this many refreshes. Runs until interrupted if omitted."
)
@click.pass_context
def top(context: click.Context, place: str | None, every: float, times: int | None) -> None:
    """Show the activity of the running daemon continuously."""
    running = running_of(context, place)
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
