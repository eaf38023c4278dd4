"""Keeps callnet's contact lists as a roster's directory says, which is a CSV file.

    sync.py [--dry-run] [--anyway] DIRECTORY STATE

DIRECTORY has the columns ``phone``, ``name`` and ``group``; whoever shares a group with others has them in the list.
STATE is a file of this program's own: what it has put in, so that it takes out nothing else. Contacts that people
have added themselves stay.

It prints only what it changes, and why it does not, as cron mails it. Exit status: 0 done, or nothing to do; 1 nothing
was changed.
"""

from __future__ import annotations

import argparse
import csv
import fcntl
import io
import os
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path

COLUMNS = {"phone", "name", "group"}
HEADER = ("owner", "contact", "name")
CALLNET = os.environ.get("CALLNET", "callnet")
"""The command, if it is not on the path."""
GONE_AT_MOST = 0.2
"""The share of all pairs that a run takes out without ``--anyway``: a directory may have come as half a file."""

Pairs = Mapping[tuple[str, str], str]
"""The names on contact lists, by (owner, contact)."""


def wanted(directory: Path) -> Pairs:
    """The lists that a directory means."""
    groups: dict[str, dict[str, str]] = defaultdict(dict)
    with directory.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        if COLUMNS - set(reader.fieldnames or ()):
            sys.exit(f"{directory}: its first line must name the columns {', '.join(sorted(COLUMNS))}")
        for row in reader:
            if None in row.values() or None in row or not row["phone"].strip():
                sys.exit(f"{directory}, line {reader.line_num}: this is no whole row")
            groups[row["group"].strip()][row["phone"].strip()] = row["name"].strip()
    if not groups:
        sys.exit(f"{directory}: nobody is in it")
    return {
        (owner, contact): name
        for group in groups.values()
        for owner in group
        for contact, name in group.items()
        if owner != contact
    }


def pairs_of(text: str) -> Pairs:
    """The pairs of a CSV file of callnet's."""
    return {(row["owner"], row["contact"]): row["name"] for row in csv.DictReader(io.StringIO(text, newline=""))}


def written(pairs: Pairs) -> str:
    """A CSV file of callnet's."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows((*pair, name) for pair, name in sorted(pairs.items()))
    return text.getvalue()


def callnet(*arguments: str) -> str:
    """Run callnet; returns its output. It finds its settings by CALLNET_CONFIG."""
    done = subprocess.run([CALLNET, "contact", *arguments], capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        sys.exit(f"callnet contact {arguments[0]}: {done.stderr.strip()}")
    return done.stdout


def change(put: Pairs, out: Pairs) -> None:
    """Put pairs in and take others out, all or none."""
    with tempfile.TemporaryDirectory() as folder:  # readable by this user alone
        files = [Path(folder, name) for name in ("put.csv", "out.csv")]
        for file, pairs in zip(files, (put, out), strict=True):
            file.write_text(written(pairs), encoding="utf-8")
        callnet("import", str(files[0]), "--remove", str(files[1]))


def remember(state: Path, pairs: Pairs) -> None:
    """Write the state, as a whole or not at all."""
    new = state.with_name(f"{state.name}.new")
    with new.open("w", encoding="utf-8", newline="") as file:
        file.write(written(pairs))
        file.flush()
        os.fsync(file.fileno())
    new.replace(state)


def show(sign: str, pairs: Iterable[tuple[str, str]], names: Pairs) -> None:
    """Print the changes. The reader of the mail need not see whole numbers."""
    for owner, contact in sorted(pairs):
        print(f"{sign} {owner[:3]}****{owner[-4:]}: {names[owner, contact]} ({contact[:3]}****{contact[-4:]})")


def sync(directory: Path, state: Path, dry_run: bool, anyway: bool) -> None:
    """Make the changes."""
    want = wanted(directory)
    before = pairs_of(state.read_text(encoding="utf-8")) if state.exists() else {}
    have = pairs_of(callnet("export"))
    put = {pair: name for pair, name in want.items() if have.get(pair) != name}
    out = {pair: name for pair, name in before.items() if pair in have and pair not in want}
    if len(out) > GONE_AT_MOST * len(before) and not anyway:
        sys.exit(f"{len(out)} of {len(before)} contacts would go: if {directory} is right, run this with --anyway")
    if not dry_run:
        # If this ends between the steps, the next run knows all that may have been put in, and goes on from there.
        if want.keys() - before.keys():
            remember(state, {**before, **want})
        if put or out:
            change(put, out)
        if want != before:
            remember(state, want)
    show("-", out, before)
    show("~", put.keys() & have.keys(), want)
    show("+", put.keys() - have.keys(), want)


def main() -> None:
    """Run once."""
    os.umask(0o077)
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("directory", type=Path)
    parser.add_argument("state", type=Path)
    parser.add_argument("--dry-run", action="store_true", help="only say what would be changed")
    parser.add_argument("--anyway", action="store_true", help="also if much would be taken out")
    asked = parser.parse_args()
    try:
        with asked.state.with_name(f"{asked.state.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # a run that is late is waited for
            sync(asked.directory, asked.state, asked.dry_run, asked.anyway)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        sys.exit(f"nothing more was changed: {error}")


if __name__ == "__main__":
    main()
