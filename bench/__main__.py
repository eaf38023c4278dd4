"""``python -m bench``: measures callnet beside the references and prints a table."""

from __future__ import annotations

import asyncio
import datetime as dt
import math
import os
import platform
import re
import resource
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import click
from msgspec import Struct

from bench.devices import Device
from bench.figures import Figures, percentile, table, typical, verdicts
from bench.load import Pairs, connect_all, log_in
from bench.servers import ROOT, Contender, Server, contenders

RESULTS: Final = ROOT / "bench" / "results" / "latest.txt"


class Plan(Struct, frozen=True):
    """How much is done."""

    rounds: int = 5
    pairs: int = 32
    seconds: float = 3.0
    rate: int = 200
    """Calls a second while the waiting is measured."""
    connections: int = 5000
    logins: int = 2000
    known_devices: int = 200


QUICK = Plan(rounds=1, seconds=1.0, connections=500, logins=200, known_devices=50)


@click.command()
@click.option(
    "--references", type=click.Path(path_type=Path), default=ROOT.parent / "shared" / "bench", show_default=True
)
@click.option("--quick", is_flag=True, help="A few seconds, to see that it works; the figures are rough.")
def main(references: Path, quick: bool) -> None:
    """Measure one callnet process on one core, beside the references if they are there.

    Ends with 0 when a limit is missed; with 1 when a server does something that it may not do.
    """
    _allow_many_files()
    plan = QUICK if quick else Plan()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:] or cores)
    measured: dict[str, list[Figures]] = {}
    for number in range(plan.rounds):
        for contender in contenders(references):
            click.echo(f"round {number + 1} of {plan.rounds}: {contender.name}", err=True)
            measured.setdefault(contender.name, []).append(asyncio.run(_measure(contender, plan, cores[0])))
    results = {name: typical(rounds) for name, rounds in measured.items()}
    report = f"{_circumstances(plan)}\n\n{table(results, plan.rate)}\n\n{verdicts(results, 'Autobahn')}\n"
    click.echo(report, nl=False)
    if not quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(report)


async def _measure(contender: Contender, plan: Plan, core: int) -> Figures:
    with contender.running(core) as server:
        connection, memory = await _measure_connections(server, plan)
    with contender.running(core) as server:
        call, waits = await _measure_calls(server, plan)
        login = await _measure_logins(server, plan) if "account" in server.ports else math.nan
    return Figures(call, connection, login, memory, percentile(waits, 0.5) * 1e3, percentile(waits, 0.99) * 1e3)


async def _measure_calls(server: Server, plan: Plan) -> tuple[float, Sequence[float]]:
    pairs = Pairs(server.ports["signaling"], plan.pairs)
    await pairs.connect()
    await pairs.call_in_turn(plan.seconds / 5)
    before = server.cpu()
    calls = len(await pairs.call_in_turn(plan.seconds))
    used = server.cpu() - before
    waits = await pairs.call_at_random(plan.rate, plan.seconds)
    pairs.close()
    return used / calls * 1e6, waits


async def _measure_connections(server: Server, plan: Plan) -> tuple[float, float]:
    port = server.ports["signaling"]
    first = [Device(number, port) for number in range(plan.connections, plan.connections + 100)]
    await connect_all(first, port)  # what a server loads or makes only once is not to be counted
    memory, cpu = server.memory(), server.cpu()
    devices = [Device(number, port) for number in range(plan.connections)]
    await connect_all(devices, port)
    cpu, memory = server.cpu() - cpu, server.memory() - memory
    for device in first + devices:
        if device.error is not None:
            raise device.error
        device.abort()
    return cpu / plan.connections * 1e6, memory / plan.connections


async def _measure_logins(server: Server, plan: Plan) -> float:
    port = server.ports["account"]
    await log_in(port, plan.known_devices, plan.known_devices)
    before = server.cpu()
    await log_in(port, plan.logins, plan.known_devices)
    return (server.cpu() - before) / plan.logins * 1e6


def _allow_many_files() -> None:
    """Raise the limit of open files as far as allowed; the servers inherit it."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _circumstances(plan: Plan) -> str:
    model = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    commit = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return (
        f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M} UTC, commit {commit.stdout.strip() or 'unknown'}\n"
        f"{os.cpu_count()} × {model[1] if model else platform.machine()}, Python {platform.python_version()}\n"
        f"one process on one core; {plan.rounds} rounds, the servers in turn: medians; of p50 and p99 the best round"
    )


if __name__ == "__main__":
    main()
