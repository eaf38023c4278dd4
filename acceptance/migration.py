"""A hundred thousand accounts of the seed's Go server move to callnet while it runs, and later changes go back.

The older server's tables are in a MariaDB, among them some rows that callnet cannot take; its tokens are made as it
makes them, with its key. A daemon that has keys of its own runs from the start. ``callnet migrate`` is tried, done,
and done again, each time in a process of its own whose time and memory are taken; then the daemon is told to reload its
keys. Devices come with the tokens that they have, read their lists and call each other. Others log in for the
first time. In the end the changes go back to the older server, and are compared row by row.

All of that is done twice: to SQLite, with a key too short to sign, as the seed has it; and to PostgreSQL, with a long
one, so that the older server takes callnet's tokens too.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Final

from msgspec import Struct

from acceptance.daemon import CountedDaemon, running
from acceptance.older_server import OlderServer, expected_refusals
from acceptance.proof import Outcome, Proof
from callnet import migration
from callnet.cli.migrate import URL
from callnet.migration import Kind
from callnet.model import DeviceAddress
from callnet.storage.database import Database
from harness import postgres
from harness.base_protocol import named
from harness.daemon import wait_for
from harness.device import Device
from harness.wire import WebSocket, login, post

ACCOUNTS: Final = 100_000
BRIEF: Final = 2_000
FEW: Final = 1_000
"""Accounts of the older server with which memory is compared."""
MORE: Final = 16 * 1024
"""KiB by which memory may grow with the number of accounts."""
BAD: Final = 50
TABLES: Final = {Kind.ACCOUNTS: "account_data", Kind.DEVICES: "account_device", Kind.CONTACTS: "contact_person"}
SHORT, LONG = b"short", b"a secret of the older server with 42 bytes"
# The most memory of a child: its own before it became another program would count, too.
_MEASURE: Final = (
    "import resource, subprocess, sys; status = subprocess.call(sys.argv[2:]);"
    "open(sys.argv[1], 'w').write(str(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)); sys.exit(status)"
)


class Run(Struct, frozen=True):
    """The result of a command."""

    status: int
    shown: str
    told: str
    """On the standard error."""
    seconds: float
    memory: int
    """KiB, at the most."""


class Move:
    """One move, to one kind of database.

    :param folder: where files of the operator go, and callnet's database and keys.
    """

    def __init__(self, older: OlderServer, folder: Path, url: str) -> None:
        self._older = older
        self._folder = folder
        self._url = url
        self.settings: Final = (
            f'database.url = "{url}"\ntokens.signing_key_file = "{folder}/signing.key"\ntokens.signing_key = ""\n'
            'accounts.phone_format = "cn-mobile"\n'
        )
        self.counts: Final[dict[str, object]] = {}
        self.misses: Final[list[str]] = []
        (folder / "callnet.toml").write_text(f'state_dir = "{folder}"\n{self.settings}')
        key = folder / "older.key"
        key.write_bytes(older.secret + b"\n")
        key.chmod(0o600)

    def command(self, *options: str) -> Run:
        """Run ``callnet migrate``."""
        memory = self._folder / "memory"
        line: list[str | Path] = [
            os.path.join(os.path.dirname(sys.executable), "callnet"),
            "--config",
            self._folder / "callnet.toml",
        ]
        environ = {**os.environ, URL: self._older.database.url()}
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-c", _MEASURE, memory, *line, "migrate", *options],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
        )
        seconds = time.monotonic() - began
        return Run(done.returncode, done.stdout, done.stderr, seconds, int(memory.read_text()))

    def take_over(self, daemon: CountedDaemon) -> None:
        """Try it, do it, and do it again; then have the daemon read its keys."""
        key = ("--key", str(self._folder / "older.key"))
        for name, word, options in (
            ("tried", "to import", ("--dry-run", *key)),
            ("done", "imported", key),
            ("done again", "imported", key),
        ):
            run = self.command(*options)
            self._note(name, run)
            self._judge(name, word, run, 0 if name == "done again" else 1)
        daemon.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "reloaded the signing keys" in daemon.log, 10, "the new key")
        self._compare("taken over", {TABLES[kind]: self._here(kind) for kind in Kind}, self._good())

    def _note(self, name: str, run: Run) -> None:
        self.counts[f"{name}, s"] = round(run.seconds, 1)
        self.counts[f"{name}, memory at most, MiB"] = round(run.memory / 1024, 1)

    def _judge(self, name: str, word: str, run: Run, times: int) -> None:
        """All that is acceptable must be new, or nothing; every other row must be told of."""
        wanted = {
            kind: (times * len(self._good()[TABLES[kind]]), expected_refusals(self._older.bad)[kind]) for kind in Kind
        }
        counted = re.compile(rf"(\w+): [0-9]+ read, ([0-9]+) {word}, [0-9]+ already present, ([0-9]+) rejected")
        found = {kind: (int(new), int(refused)) for kind, new, refused in counted.findall(run.shown)}
        told = len(run.told.splitlines())
        if run.status != 1 or found != wanted or told != sum(expected_refusals(self._older.bad).values()):
            self.misses.append(f"{name}: status {run.status}, {found} instead of {wanted}, {told} rows told of")

    def _good(self) -> Mapping[str, set[tuple[str, ...]]]:
        """The data that callnet must have after the migration."""
        older = self._older
        return {
            "account_data": {(phone,) for phone in older.phones},
            "account_device": set(older.devices),
            "contact_person": set(older.contacts),
        }

    def _here(self, kind: Kind) -> set[tuple[str, ...]]:
        database = Database(self._url)
        try:
            return {key for page in migration.pages(database, kind, 10_000) for key in page}
        finally:
            database.close()

    def _compare(
        self, name: str, found: Mapping[str, set[tuple[str, ...]]], wanted: Mapping[str, set[tuple[str, ...]]]
    ) -> None:
        for table, rows in wanted.items():
            self.counts[f"{name}, rows of {table}"] = len(found[table])
            lost, more = len(rows - found[table]), len(found[table] - rows)
            if lost or more:
                self.misses.append(f"{name}: {table} lacks {lost} rows, and has {more} that should not be there")

    async def call(self, daemon: CountedDaemon, random: Random, calls: int) -> None:
        """Devices come with tokens of the older server, read their lists, and call somebody there."""
        account, signaling = daemon.ports["account"], daemon.ports["signaling"]
        answered = 0
        for number, (phone, name) in enumerate(random.sample(self._older.devices, calls)):
            caller = DeviceAddress(phone, name)
            token = self._older.token(caller, random.randrange(6 * 86400), number % 2 == 0)
            answer = await post(account, "/getContactPersons", {"phone": phone, "token": token})
            listed = [(row["phone"], row["device_id"]) for row in answer.get("contacts", ())]
            if listed != self._older.contacts_of(phone) or not listed:
                self.misses.append(f"the list of a device has {len(listed)} rows, and not those that it had before")
                continue
            callee = DeviceAddress(*random.choice([row for row in listed if row != caller]))
            other = self._older.token(callee, random.randrange(6 * 86400), number % 3 == 0)
            answered += await _talk(signaling, (caller, token), (callee, other))
        self.counts["lists read with older tokens"] = calls
        self.counts["calls between devices with older tokens"] = answered
        if answered < calls:
            self.misses.append(f"{calls - answered} of {calls} calls failed")

    async def give_back(self, daemon: CountedDaemon, random: Random, devices: int) -> None:
        """Devices log in here for the first time, and list somebody; then all of it goes back."""
        account, older = daemon.ports["account"], self._older
        before = {table: older.rows(table) for table in TABLES.values()}
        new = [DeviceAddress(phone, f"new {phone[-3:]}") for phone in random.sample(older.phones, devices)]
        new += [DeviceAddress(f"19{number:09}", "tv") for number in random.sample(range(10**9), devices)]
        tokens = {device: await login(account, *device) for device in new}
        contacts = set()
        for device, token in tokens.items():
            other = random.choice(older.phones)
            await post(account, "/contacts/add", {"token": token, "contact_phone": other})
            contacts.add((device.phone, other))
        run = self.command("--back")
        self._note("given back", run)
        if run.status:
            self.misses.append(f"given back: status {run.status}: {run.shown}")
        wanted = {
            "account_data": before["account_data"] | {(device.phone,) for device in new},
            "account_device": before["account_device"] | {tuple(device) for device in new},
            "contact_person": before["contact_person"] | contacts,
        }
        self._compare("given back", {table: older.rows(table) for table in TABLES.values()}, wanted)
        accepted = sum(older.accepts(token, device) for device, token in tokens.items())
        self.counts["tokens of callnet's that the older server accepts"] = f"{accepted} of {len(tokens)}"
        if accepted != (len(tokens) if len(older.secret) >= len(LONG) else 0):
            self.misses.append(f"the older server accepts {accepted} of {len(tokens)} tokens")


async def _talk(port: int, caller: tuple[DeviceAddress, str], callee: tuple[DeviceAddress, str]) -> bool:
    """Have one device call another, which answers, and hang up. Whether all of that happened as it should."""
    calling, called = [Device(await WebSocket.open(port, token), device) for device, token in (caller, callee)]
    try:
        # A device that was in another call just now may be told of its end first.
        async with asyncio.timeout(20):
            calling.call(callee[0])
            ring = await called.until("called")
            called.answer(ring)
            success = await calling.until("call_success")
            calling.hang_up(called, ring["room_id"])
            over = await called.until("calling_be_hangup")
    except TimeoutError:
        return False
    finally:
        calling.close()
        called.close()
    is_from = named(ring, "from") == calling.address
    return is_from and success["room_id"] == over["room_id"] == ring["room_id"]


def _memory_of_few(random: Random, accounts: int) -> int:
    """The memory that the command needs for a few accounts, in KiB."""
    with tempfile.TemporaryDirectory(prefix="callnet-proof-") as name:
        folder = Path(name)
        return Move(OlderServer(random, SHORT, accounts, 0), folder, f"sqlite:///{folder}/callnet.db").command().memory


def prove(brief: bool, seed: int) -> Outcome:
    """A hundred thousand accounts, or a few thousand."""
    random = Random(seed)
    accounts, calls = (BRIEF, 20) if brief else (ACCOUNTS, 300)
    few = _memory_of_few(random, FEW)
    counts: dict[str, object] = {"accounts": accounts, f"memory for {FEW} accounts, MiB": round(few / 1024, 1)}
    misses: list[str] = []
    # Its own: the shared one ends with the thread of the proof that asked for it first.
    with ExitStack() as stack:
        server = postgres.Server()
        stack.callback(server.remove)
        for name, secret in (("SQLite", SHORT), ("PostgreSQL", LONG)):
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="callnet-proof-"))
            url = f"sqlite:///{folder}/callnet.db" if name == "SQLite" else server.new_database_url()
            move = Move(OlderServer(random, secret, accounts, BAD), Path(folder), url)
            _there_and_back(move, random, calls)
            counts.update({f"{name}: {what}": count for what, count in move.counts.items()})
            misses.extend(f"{name}: {miss}" for miss in move.misses)
            most = max(float(str(count)) for what, count in move.counts.items() if "memory" in what)
            if most * 1024 > few + MORE:
                misses.append(f"{name}: {most} MiB, where {FEW} accounts take {few / 1024:.1f}")
    return Outcome(counts, misses)


def _there_and_back(move: Move, random: Random, calls: int) -> None:
    with running(move.settings) as daemon:
        move.take_over(daemon)
        asyncio.run(move.call(daemon, random, calls))
        asyncio.run(move.give_back(daemon, random, calls))
        move.misses.extend(f"the daemon logged {line}" for line in daemon.complaints())


PROOF: Final = Proof(
    "migration",
    f"{ACCOUNTS} accounts of the seed's server, with devices and contacts, move from MariaDB to SQLite and to"
    f" PostgreSQL, in memory that is at most {MORE // 1024} MiB more than {FEW} take; what cannot be taken is told of"
    " row by row; tokens of the older server let devices in, who have the same contacts and call each other; what has"
    " come since goes back",
    prove,
)
