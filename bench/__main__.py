"""``python -m bench``: measures callnet in every way to run it, beside the references, and prints tables."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

import click
from msgspec.structs import replace

from bench.callload import build
from bench.circumstances import REFERENCES, allow_many_files, circumstances
from bench.figures import BESIDE_OTHERS, MANY_NODES, Figures, Limit, table, typical
from bench.figures import OVER_TLS as TLS_FIGURES
from bench.measures import Plan, measure
from bench.servers import ALONE, OVER_TLS, SETTINGS, WAYS, Contender, references
from bench.stalls import longest_event
from harness import ROOT

RESULTS: Final = ROOT / "bench" / "results" / "latest.txt"

QUICK: Final = Plan(
    rounds=1,
    seconds=1.0,
    connections=500,
    connections_over_tls=200,
    beside=(100, 2000),
    logins=200,
    known_devices=50,
    forgotten=5.0,
)

STALLING: Final = WAYS[:2]
"""The ways to run callnet whose longest event is measured."""
WITH_REDIS, TWO_NODES, TWO_WORKERS = (way.name for way in WAYS[1:])
NODE: Final = "Node"
NODE_OVER_TLS: Final = "Node over TLS"
LIMITS: Final = (
    Limit("a call ≤ 1.25 × Node", "call", ALONE.name, 1.25, NODE, goal=1.05),
    Limit("a call over TLS ≤ 1.8 × Node", "call", OVER_TLS.name, 1.8, NODE_OVER_TLS, goal=1.4),
    Limit("a connection ≤ 0.5 × Node", "connection", ALONE.name, 0.5, NODE, goal=0.35),
    Limit("an idle socket ≤ 5.5 KiB", "memory", ALONE.name, 5.5, goal=4.5),
    Limit("an idle socket over TLS ≤ 42 KiB", "memory", OVER_TLS.name, 42, goal=38),
    Limit("call → call_success at 6000 calls/s, p99 ≤ 1 × Node", "busy", ALONE.name, 1.0, NODE, goal=0.5),
    *(Limit(f"{way.name}: no event takes more than 5 ms of CPU", "stall", way.name, 5.0) for way in STALLING),
    Limit("a login of a known device ≤ 400 µs", "login", ALONE.name, 400, goal=330),
    Limit(
        "a call beside 19000 idle devices ≤ 1.1 × beside 1000",
        "beside_many",
        ALONE.name,
        1.1,
        ALONE.name,
        goal=1.05,
        compared="beside_few",
    ),
    Limit(
        "a call in one process, not more than before there was Redis, ≤ 1.06 × plain Autobahn",
        "call",
        ALONE.name,
        1.06,
        "Autobahn",
    ),
    Limit("a connection, the same, ≤ 0.68 × plain Autobahn", "connection", ALONE.name, 0.68, "Autobahn"),
    Limit("a call within one node with Redis ≤ 300 µs", "call", WITH_REDIS, 300.0),
    Limit("a call between two nodes ≤ 1.4 × within one", "call", TWO_NODES, 1.4, WITH_REDIS),
    Limit("a connection with Redis ≤ 1.2 × without", "connection", WITH_REDIS, 1.2, ALONE.name),
    Limit("a connection in a storm over two workers ≤ 1.1 × over one", "connection", TWO_WORKERS, 1.1, WITH_REDIS),
    Limit("what a page says to the other with Redis ≤ 1.1 × without", "relay", WITH_REDIS, 1.1, ALONE.name),
    *(Limit(f"call → called at half load, {way.name}: p99 < 15 ms", "rung", way.name, 15.0) for way in WAYS),
)


@click.command()
@click.option(
    "--references",
    "folder",
    type=click.Path(path_type=Path),
    default=REFERENCES,
    show_default=True,
    help="Where the servers to compare with are.",
)
@click.option("--quick", is_flag=True, help="A minute, to see that it works; the figures are rough.")
def main(folder: Path, quick: bool) -> None:
    """Measure callnet on one core, in one process and in several, beside the references if they are there.

    Ends with 0 when a limit is missed; with 1 when a server does something that it may not do.
    """
    allow_many_files()
    plan = QUICK if quick else Plan()
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, cores[1:] or cores)
    others = references(folder)
    contenders: list[Contender] = [*WAYS, OVER_TLS, *others]
    callload = build(folder)
    measured: dict[str, list[Figures]] = {}
    for number in range(plan.rounds):
        for contender in contenders:
            click.echo(f"round {number + 1} of {plan.rounds}: {contender.name}", err=True)
            measured.setdefault(contender.name, []).append(asyncio.run(measure(contender, plan, cores[0], callload)))
    results = {name: typical(rounds) for name, rounds in measured.items()}
    for way in STALLING:
        click.echo(f"what keeps others waiting: {way.name}", err=True)
        stall = asyncio.run(longest_event(way, plan, cores[0]))
        results[way.name] = replace(results[way.name], stall=stall)
    report = _report(results, plan)
    click.echo(report, nl=False)
    if not quick:
        RESULTS.parent.mkdir(exist_ok=True)
        RESULTS.write_text(report)


def _report(results: dict[str, Figures], plan: Plan) -> str:
    ways = {way.name: results[way.name] for way in WAYS}
    over_tls = {name: one for name, one in results.items() if name in (OVER_TLS.name, NODE_OVER_TLS)}
    beside = {name: one for name, one in results.items() if name == ALONE.name or name not in (*ways, *over_tls)}
    few, many = plan.beside
    labels = {
        field: label.format(rate=plan.rate, busy=plan.busy, few=few, many=many)
        for field, label in BESIDE_OTHERS.items()
    }
    parts = (
        circumstances(
            f"all nodes on one core, Redis and the devices on the other; {plan.rounds} rounds, the servers in turn:"
            " medians; of the waiting the best round"
        ),
        table(beside, labels, [(ALONE.name, name) for name in beside if name != ALONE.name]),
        table(over_tls, TLS_FIGURES, [(OVER_TLS.name, NODE_OVER_TLS)]),
        table(ways, MANY_NODES, [(WITH_REDIS, ALONE.name), (TWO_NODES, WITH_REDIS), (TWO_WORKERS, WITH_REDIS)]),
        "\n".join(limit.verdict(results) for limit in LIMITS),
        f"{SETTINGS.relative_to(ROOT)}:\n{SETTINGS.read_text().rstrip()}",
    )
    return "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    main()
