"""``callnet top``: what the daemon that runs here does, again and again."""

from __future__ import annotations

import time
from collections.abc import Iterator

import click

from callnet.cli.running_daemon import running_of
from callnet.cli.status import lines
from callnet.ops.admin_client import Numbers
from callnet.ops.readiness import Report


@click.command()
@click.option("--at", "place", metavar="PLACE", help="Its operator's listener: http://HOST:PORT, or a path.")
@click.option("--every", type=click.FloatRange(0.1, 3600), default=2.0, show_default=True, help="Seconds.")
@click.option("--times", type=click.IntRange(1), help="Without it, until Ctrl-C.")
@click.pass_context
def top(context: click.Context, place: str | None, every: float, times: int | None) -> None:
    """Show what the daemon does, until Ctrl-C."""
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
    """What to show: how it is, and how much of each has come about within so many seconds."""
    yield from lines(report, now)
    yield ""
    yield "  a second"
    for name, label in sorted(now):
        more = now[name, label] - before.get((name, label), 0)
        if name.endswith("_total") and more > 0:
            shown = name.removeprefix("callnet_").removesuffix("_total").replace("_", " ")
            yield f"  {more / seconds:>8.1f}  {shown}{', ' + label if label else ''}"
