"""Pairing by script and in browsers, in every enrolment; and strangers who guess the letters that are shown.

Each side of a pairing is the client in Python or the one in JavaScript, in a process of its own (``pair.py`` and
``pair.mjs``), or the web phone. Timed is all from the start of the device that waits until it is logged in.

The strangers come from many addresses, which a balancer names (the PROXY protocol), with several phones each. Every
phone tries one code more than it may, and every address has one more phone than it may; so all is tried that the usual
limits let through, and some of what they do not. They come in slices: with each, other devices begin to wait, and all
of these must still wait when it ends.
"""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import cycle, islice, product
from pathlib import Path
from random import Random
from typing import Any, Final, Self

from msgspec import Struct, field
from playwright.sync_api import Error

from acceptance.daemon import HONEST, CountedDaemon
from acceptance.page import WITHOUT_TLS
from acceptance.proof import Outcome, Proof
from bench.figures import percentile
from harness import ROOT
from harness.daemon import BIN, LISTENERS, Daemon
from harness.wire import HOST, PATIENCE
from tests.browser.phone_visitor import PhoneVisitor, phone
from tests.browser.stage import Stage, stage

PAIRED_WITHIN: Final = 30.0
"""Seconds."""
ENROLMENTS: Final = {
    "open": "",
    "known": 'accounts.enrolment = "known"\n',
    "otp": 'accounts.enrolment = "otp"\naccounts.otp.url = "http://127.0.0.1:9/codes"\n'
    f'accounts.otp.secret = "{"s" * 32}"\n',
}
CLIENTS: Final = {
    "Python": (sys.executable, "-m", "acceptance.pair"),
    "JavaScript": (shutil.which("node") or "/usr/bin/node", str(ROOT / "acceptance" / "pair.mjs")),
}
WEB: Final = "the web phone"
AT_ONCE: Final = 2
OF_A_HOST: Final = 4
"""Devices that a phone lets in: it may look for five codes at once."""

LETTERS: Final = "BCDFGHJKLMNPQRSTVWXZ"
LENGTH: Final = 8
CODES: Final = len(LETTERS) ** LENGTH
WAITING: Final = 50
"""Devices that begin to wait with each slice."""
ADDRESSES_OF_A_SLICE: Final = 250
"""Addresses of strangers that come while these wait: long before they have waited for too long."""
BEGUN_AT_ONCE: Final = 10
"""Devices of an address that may begin to wait."""
CODES_OF_A_PHONE: Final = 5
CODES_OF_AN_ADDRESS: Final = 20
"""The usual limits of codes that are looked for."""
RATE_LIMITED, CODE_INVALID = 6, 7
STRANGERS_AT_ONCE: Final = 16
_ANYBODY: Final = "accounts.open_enrolment_on_network = true\n"
"""Settings of the daemon that they come to."""


class Plan(Struct, frozen=True):
    """The amounts."""

    scripts: int
    """Pairings by script in each enrolment."""
    web: dict[str, int]
    """Pairings of a web phone, by enrolment."""
    addresses: int
    """Of strangers."""

    @property
    def pairings(self) -> int:
        """All pairings."""
        return self.scripts * len(ENROLMENTS) + sum(self.web.values())


FULL: Final = Plan(12, {"open": 6, "known": 4, "otp": 4}, 5_000)
BRIEF: Final = Plan(4, {"open": 1, "known": 1, "otp": 1}, 50)


class Host:
    """A device that has a secret, and lets others in."""

    def __init__(self, daemon: Daemon, number: int) -> None:
        self.phone: Final = f"139{number:08}"
        self.device_id: Final = "desk"
        command = [f"{BIN}/callnet", "account", "add", self.phone, self.device_id]
        made = subprocess.run(command, env=daemon.environ, check=True, capture_output=True, text=True)
        _, self.secret = made.stdout.split()

    def admit(self, client: str, site: str, letters: str, name: str) -> None:
        """Let in the device that shows these letters."""
        command = [*CLIENTS[client], "admit", site, self.phone, self.device_id, self.secret, letters, name]
        subprocess.run(command, cwd=ROOT, check=True, stdin=subprocess.DEVNULL, timeout=PATIENCE)


class Pairings:
    """The pairings in one enrolment.

    :param took: the seconds of each, by what had a part in it.
    """

    def __init__(self, enrolment: str, daemon: Daemon, took: dict[str, list[float]], misses: list[str]) -> None:
        self._enrolment = enrolment
        self._daemon = daemon
        self._took = took
        self._misses = misses
        self._hosts = self._new_hosts()

    def _new_hosts(self) -> Iterator[Host]:
        number = 0
        while True:
            host = Host(self._daemon, number)
            for _ in range(OF_A_HOST):
                yield host
            number += 1

    def pair(self, plan: Plan, browsers: Stage) -> None:
        """All of them: those by script beside those of web phones."""
        clients = islice(cycle(product(CLIENTS, CLIENTS)), plan.scripts)
        ways = [(waits, admits, next(self._hosts)) for waits, admits in clients]
        with ThreadPoolExecutor(AT_ONCE) as threads:
            scripts = [threads.submit(self._by_script, number, *way) for number, way in enumerate(ways)]
            for number in range(plan.web[self._enrolment]):
                self._on_the_web(number, browsers)
            for script in scripts:
                script.result()

    def _timed(self, way: str, work: Callable[[], None]) -> None:
        began = time.monotonic()
        try:
            work()
        except (Error, OSError, ValueError, subprocess.SubprocessError) as error:
            self._misses.append(f"{self._enrolment}, {way}: {type(error).__name__} {str(error).partition(chr(10))[0]}")
        else:
            self._took.setdefault(way, []).append(time.monotonic() - began)

    def _by_script(self, number: int, waits: str, admits: str, host: Host) -> None:
        def work() -> None:
            name = f"device {number}"
            command = [*CLIENTS[waits], "wait", self._daemon.site_url, name]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
                lines = iter(process.stdout or ())
                try:
                    host.admit(admits, self._daemon.site_url, next(lines, "").strip(), name)
                    said = next(lines, "").strip()
                finally:
                    process.kill()
            if said != f"{host.phone} {name}":
                raise ValueError("it is not the device that was let in")

        self._timed(f"{waits}, let in by {admits}", work)

    def _on_the_web(self, number: int, browsers: Stage) -> None:
        """Have a web phone show letters; where anybody may log in, another one lets it in."""
        is_let_in_there = self._enrolment == "open" and number % 2 == 0
        host = None if is_let_in_there else next(self._hosts)
        alice = phone(browsers, browsers.browser(None)) if is_let_in_there else None
        if alice is not None:
            alice.log_in(f"1380000{number:04}", "desk")
        name = f"television {number}"
        television = phone(browsers, browsers.browser(None))

        def work() -> None:
            television.open()
            television.await_scene("login")
            television.press("pair")
            television.await_scene("pairing")
            television.page.wait_for_selector("#pairing-shown:not([hidden])")
            letters = television.text("pairing-code")
            if alice is not None:
                _let_in(alice, letters, name)
            elif host is not None:
                host.admit("Python", self._daemon.site_url, letters, name)
            television.await_scene("home", "online")
            if television.text("self-device") != name:
                raise ValueError("it is not the device that was let in")

        self._timed(f"{WEB}, let in by {'another' if alice else 'Python'}", work)
        for visitor in filter(None, (alice, television)):
            visitor.page.context.close()


def _let_in(visitor: PhoneVisitor, letters: str, name: str) -> None:
    """Type the letters in the settings, and say yes."""
    visitor.press("to-settings")
    visitor.press("let-in")
    visitor.page.keyboard.type(letters)
    visitor.page.keyboard.press("Enter")
    visitor.await_shown("let-in-ask")
    visitor.page.fill("#let-in-name", name)
    visitor.press("let-in-accept")


def pair_everywhere(plan: Plan) -> tuple[dict[str, object], list[str]]:
    """Pair in every enrolment; returns the counts, and the misses."""
    took: dict[str, list[float]] = {}
    misses: list[str] = []
    for enrolment, settings in ENROLMENTS.items():
        with (
            tempfile.TemporaryDirectory(prefix="callnet-proof-") as folder,
            CountedDaemon(Path(folder, "daemon"), settings, HONEST, listeners=WITHOUT_TLS) as daemon,
            stage(daemon.site_url.replace(HOST, "localhost"), Path(folder)) as browsers,
        ):
            Pairings(enrolment, daemon, took, misses).pair(plan, browsers)
            misses += browsers.complaints()
            print(f"{enrolment}: {sum(map(len, took.values()))} are paired", flush=True)
            misses += [f"the daemon logged {line}" for line in daemon.complaints()]
    every = [seconds for way in took.values() for seconds in way]
    counts: dict[str, object] = {
        f"{way}: pairings, and seconds at most": f"{len(each)}, {max(each):.1f}" for way, each in sorted(took.items())
    }
    counts["pairings in all"] = f"{len(every)} of {plan.pairings}"
    if every:
        counts["seconds, median and at most"] = f"{percentile(every, 0.5):.1f}, {max(every):.1f}"
    late = [seconds for seconds in every if seconds > PAIRED_WITHIN]
    misses += [f"{len(late)} pairings took longer than {PAIRED_WITHIN:.0f} s"] if late else []
    misses += [f"{len(every)} of {plan.pairings} were paired"] if len(every) != plan.pairings else []
    return counts, misses


class Line:
    """A connection from an address, by a balancer that names it. It asks one thing after the other."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, port: int, address: str) -> Self:
        """Connect."""
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(f"PROXY TCP4 {address} {HOST} 40000 {port}\r\n".encode())
        return cls(reader, writer)

    async def ask(self, path: str, **fields: str) -> dict[str, Any]:
        """The answer to a request."""
        body = json.dumps(fields).encode()
        head = f"POST {path} HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: {len(body)}\r\n\r\n"
        self._writer.write(head.encode() + body)
        async with asyncio.timeout(PATIENCE):
            answered = await self._reader.readuntil(b"\r\n\r\n")
            length = re.search(rb"(?i)content-length: ([0-9]+)", answered)
            if length is None:
                raise ValueError("an answer has no length")
            answer: dict[str, Any] = json.loads(await self._reader.readexactly(int(length[1])))
        return answer

    def close(self) -> None:
        """Leave."""
        self._writer.close()


class Guessed(Struct):
    """The outcome of the guesses."""

    answers: Counter[str] = field(default_factory=Counter)
    got_in: int = 0
    most_of_a_phone: int = 0
    most_of_an_address: int = 0
    begun: int = 0
    """Devices that began to wait."""
    still_waiting: int = 0
    """Those of them that still did when their slice ended."""

    @property
    def through(self) -> int:
        """Guesses that the limits let through."""
        return self.answers.total() - self.answers["ERROR_CODE_RATE_LIMITED"]

    def misses(self, addresses: int) -> Sequence[str]:
        """Where the targets were missed by strangers of this number of addresses."""
        wanted = addresses * CODES_OF_AN_ADDRESS
        return [
            *([f"{self.got_in} guesses got in"] if self.got_in else []),
            *([f"{self.through} guesses were let through instead of {wanted}"] if self.through != wanted else []),
            *(
                f"{most} guesses of {whose} were let through instead of {limit} at most"
                for whose, most, limit in (
                    ("a phone", self.most_of_a_phone, CODES_OF_A_PHONE),
                    ("an address", self.most_of_an_address, CODES_OF_AN_ADDRESS),
                )
                if most > limit
            ),
            *(
                [f"of {self.begun} devices only {self.still_waiting} still waited when their slice ended"]
                if self.still_waiting != self.begun
                else []
            ),
        ]


class Strangers:
    """Those who guess.

    :param port: of the account service, for balancers.
    """

    def __init__(self, port: int, random: Random) -> None:
        self._port = port
        self._random = random
        self.guessed: Final = Guessed()

    async def guess(self, addresses: int) -> None:
        """Have strangers of this number of addresses guess, a slice of them after the other."""
        for slice_number, first in enumerate(range(0, addresses, ADDRESSES_OF_A_SLICE)):
            waiting = await self._wait(slice_number)
            coming = iter(range(addresses)[first : first + ADDRESSES_OF_A_SLICE])
            await asyncio.gather(*(self._go_on(coming) for _ in range(STRANGERS_AT_ONCE)))
            self.guessed.begun += len(waiting)
            self.guessed.still_waiting += await self._still_waiting(slice_number, waiting)
            print(f"slices: {slice_number + 1}, guesses: {self.guessed.answers.total()}", flush=True)

    async def _go_on(self, numbers: Iterator[int]) -> None:
        for number in numbers:
            await self._come(number)

    async def _wait(self, slice_number: int) -> Sequence[str]:
        """Have devices begin to wait; the secrets."""
        secrets = []
        for number in range(WAITING // BEGUN_AT_ONCE):
            with closing(await Line.open(self._port, f"172.16.{slice_number}.{number}")) as line:
                answers = [await line.ask("/pairing/begin", name="TV") for _ in range(BEGUN_AT_ONCE)]
                secrets += [answer["device_secret"] for answer in answers]
        return secrets

    async def _still_waiting(self, slice_number: int, secrets: Sequence[str]) -> int:
        with closing(await Line.open(self._port, f"172.16.{slice_number}.0")) as line:
            answers = [await line.ask("/pairing/poll", device_secret=secret) for secret in secrets]
        return sum(answer["errorCode"] == 0 and answer["phone"] is None for answer in answers)

    async def _come(self, number: int) -> None:
        """All guesses from one address."""
        address = f"10.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}"
        enough = CODES_OF_AN_ADDRESS // CODES_OF_A_PHONE
        through = 0
        with closing(await Line.open(self._port, address)) as line:
            for phone_number in range(enough + 1):
                token = await self._claimed(line, f"1{number:06}{phone_number:04}")
                tries = CODES_OF_A_PHONE + 1 if phone_number < enough else 1
                of_phone = sum([await self._try(line, token) for _ in range(tries)])
                self.guessed.most_of_a_phone = max(self.guessed.most_of_a_phone, of_phone)
                through += of_phone
        self.guessed.most_of_an_address = max(self.guessed.most_of_an_address, through)

    async def _claimed(self, line: Line, phone_number: str) -> str:
        """The token of a new device that may let others in."""
        who = {"phone": phone_number, "device_id": "x"}
        offered = await line.ask("/account/login", **who)
        answer = await line.ask("/account/login", **who, secret=offered["device_secret"])
        return str(answer["token"])

    async def _try(self, line: Line, token: str) -> bool:
        """Try letters; tell whether that was within the limits."""
        letters = "".join(self._random.choices(LETTERS, k=LENGTH))
        answer = await line.ask("/pairing/look", token=token, user_code=letters)
        self.guessed.answers[answer["errorCodeName"]] += 1
        self.guessed.got_in += answer["errorCode"] not in (RATE_LIMITED, CODE_INVALID)
        return bool(answer["errorCode"] != RATE_LIMITED)


def guess(plan: Plan, random: Random) -> tuple[dict[str, object], list[str]]:
    """Have strangers guess; returns the counts, and the misses."""
    listeners = LISTENERS.replace(
        'account = [{ endpoint = "tcp:0:interface=127.0.0.1" }]',
        f'account = [{{ endpoint = "tcp:0:interface=127.0.0.1", proxy_protocol = ["{HOST}"] }}]',
    )
    with (
        tempfile.TemporaryDirectory(prefix="callnet-proof-") as folder,
        CountedDaemon(Path(folder), _ANYBODY, HONEST, listeners=listeners) as daemon,
    ):
        strangers = Strangers(daemon.ports["account"], random)
        began = time.monotonic()
        asyncio.run(strangers.guess(plan.addresses))
        took = time.monotonic() - began
        logged = [f"the daemon logged {line}" for line in daemon.complaints()]
    guessed = strangers.guessed
    counts: dict[str, object] = {
        "addresses of strangers": plan.addresses,
        "phones of strangers": plan.addresses * (CODES_OF_AN_ADDRESS // CODES_OF_A_PHONE + 1),
        "guesses that the limits let through": guessed.through,
        "guesses that they refused": guessed.answers["ERROR_CODE_RATE_LIMITED"],
        "let through of a phone, at most": guessed.most_of_a_phone,
        "let through of an address, at most": guessed.most_of_an_address,
        "right": guessed.got_in,
        "right by chance, to expect if only those of a slice wait, and if all do": ", ".join(
            f"{guessed.through * waiting / CODES:.1e}" for waiting in (WAITING, guessed.begun)
        ),
        f"devices that waited, {WAITING} in a slice, and still did when it ended": (
            f"{guessed.begun}, {guessed.still_waiting}"
        ),
        "guessing took, s": round(took),
    }
    return counts, [*guessed.misses(plan.addresses), *logged]


def prove(brief: bool, seed: int) -> Outcome:
    """Fifty pairings and a hundred thousand guesses, or some of each."""
    plan = BRIEF if brief else FULL
    counts, misses = pair_everywhere(plan)
    more, missed = guess(plan, Random(seed))
    return Outcome(counts | more, [*misses, *missed])


PROOF: Final = Proof(
    "pairing",
    f"a device is paired within {PAIRED_WITHIN:.0f} s by script, 50 of 50, by both clients and the web phone, in every"
    " enrolment; of 100 000 guesses that the usual limits let through none gets in",
    prove,
)
