"""``python -m bench.steps``: the gain of each step towards speed: callnet without it, and with all of them.

It needs the load generator in C (:mod:`bench.callload`).
"""

from __future__ import annotations

import os
import statistics
from pathlib import Path
from typing import Final

import click
from msgspec.structs import replace

from bench.callload import build, saturate, storm
from bench.circumstances import REFERENCES, allow_many_files, circumstances
from bench.servers import ALONE
from bench.without import STEPS
from harness import ROOT

RESULTS: Final = ROOT / "bench" / "results" / "steps.txt"
ROUNDS: Final = 3
SECONDS: Final = 3.0
CONNECTIONS: Final = 5000


@click.command()
@click.option("--references", type=click.Path(path_type=Path), default=REFERENCES, help="Where callload.c is.")
def main(references: Path) -> None:
    """Measure callnet on one core, each time without another step."""
    allow_many_files()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:] or cores)
    program = build(references)
    if program is None:
        raise click.ClickException("callload.c, or a C compiler, is not there")
    calls: dict[str, list[float]] = {step: [] for step in STEPS}
    connections: dict[str, list[float]] = {step: [] for step in STEPS}
    for number in range(ROUNDS):
        for step in STEPS:
            click.echo(f"round {number + 1} of {ROUNDS}: without {step}", err=True)
            way = replace(ALONE, program=("-m", "bench.without", step))
            with way.running(cores[0]) as server:
                connections[step].append(storm(program, server, CONNECTIONS))
            with way.running(cores[0]) as server:
                calls[step].append(saturate(program, server, SECONDS).cost)
    lines = [circumstances(f"{ROUNDS} rounds, in turn: medians; the server is busy all the time"), ""]
    lines.append(f"{'without':<14}{'CPU of a call, µs':>22}{'':>8}{'of a connection, µs':>22}")
    for step in STEPS:
        call, connection = statistics.median(calls[step]), statistics.median(connections[step])
        base, alone = statistics.median(calls["nothing"]), statistics.median(connections["nothing"])
        lines.append(f"{step:<14}{call:>22.1f}{call / base:>7.2f}×{connection:>22.1f}{connection / alone:>7.2f}×")
    report = "\n".join(lines) + "\n"
    click.echo(report, nl=False)
    RESULTS.write_text(report)


if __name__ == "__main__":
    main()
