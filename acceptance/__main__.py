"""Runs proofs: ``python -m acceptance [NAME…]``. Exit status 1 if one misses its target.

Each writes ``acceptance/NAME.txt``; a short slice leaves that alone and writes ``build/acceptance/NAME.txt``.
"""

from __future__ import annotations

import secrets
import sys
import time
import traceback
from collections.abc import Sequence

import click

from acceptance import (
    acme,
    browser,
    calls,
    closed,
    conformance,
    container,
    debian_package,
    flood,
    forks,
    fuzz,
    guests,
    household,
    machine,
    migration,
    nat,
    nat_changes,
    newcomer,
    npm_package,
    openapi,
    operators_guide,
    page,
    page_repairs,
    pairing,
    partition,
    picture,
    relay,
    release,
    revocations,
    rolling,
    scale,
    slow_readers,
    slow_requests,
    soak,
    stale_answers,
    storm,
    streams,
    television,
    tls,
    walk,
)
from acceptance.faults import proof as faults
from acceptance.proof import Outcome, Proof, report
from acceptance.timing import proof as timing
from harness import ROOT

MODULES = (
    newcomer,
    release,
    debian_package,
    container,
    npm_package,
    calls,
    forks,
    guests,
    fuzz,
    slow_readers,
    slow_requests,
    flood,
    revocations,
    openapi,
    operators_guide,
    streams,
    conformance,
    tls,
    acme,
    browser,
    page,
    walk,
    page_repairs,
    relay,
    closed,
    picture,
    pairing,
    television,
    nat,
    nat_changes,
    household,
    scale,
    faults,
    partition,
    timing,
    rolling,
    storm,
    machine,
    migration,
    soak,
    stale_answers,
)
PROOFS: dict[str, Proof] = {module.PROOF.name: module.PROOF for module in MODULES}


def give(proof: Proof, brief: bool, seed: int) -> Sequence[str]:
    """Run one proof and write its report. Returns where it missed its target."""
    print(f"{proof.name}: seed {seed}", flush=True)
    started = time.monotonic()
    try:
        outcome = proof.prove(brief, seed)
    except Exception as error:  # noqa: BLE001
        # A proof that breaks has proved nothing; the others still get their turn.
        traceback.print_exc()
        outcome = Outcome({}, [f"the proof broke: {type(error).__name__}: {error}"])
    text = report(proof, outcome, brief, seed, time.monotonic() - started)
    folder = ROOT / "build" / "acceptance" if brief else ROOT / "acceptance"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{proof.name}.txt").write_text(text)
    print(text, flush=True)
    return outcome.misses


@click.command()
@click.argument("names", nargs=-1, type=click.Choice(sorted(PROOFS)))
@click.option("--without", "left_out", multiple=True, type=click.Choice(sorted(PROOFS)), help="Give all but this one.")
@click.option("--slice", "brief", is_flag=True, help="A minute or two of each proof, for CI.")
@click.option("--seed", type=int, help="Of everything random; drawn and printed without.")
def main(names: tuple[str, ...], left_out: tuple[str, ...], brief: bool, seed: int | None) -> None:
    """Give the proofs NAMES, or all."""
    chosen = secrets.randbits(32) if seed is None else seed
    given = [name for name in names or PROOFS if name not in left_out]
    misses = {name: give(PROOFS[name], brief, chosen) for name in given}
    for name, found in misses.items():
        for miss in found:
            print(f"MISSED {name}: {miss}")
    missed = sum(map(bool, misses.values()))
    print(f"{len(misses) - missed} met, {missed} missed")
    sys.exit(missed > 0)


if __name__ == "__main__":
    main()
