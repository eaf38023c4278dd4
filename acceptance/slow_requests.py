"""Requests that drip in a byte at a time, in their headers and in their bodies, while others log in.

Each slow client must be cut off, whatever it goes on to send, and every login meanwhile be answered as if they were not
there. How long a login takes is not judged in a short slice.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

from acceptance.daemon import running
from acceptance.proof import Outcome, Proof
from harness.wire import HOST, login

SLOW: Final = 200
"""Clients of each kind."""
BRIEF: Final = 50
CUT_WITHIN: Final = 20.0
"""Seconds."""
LOGIN_WITHIN: Final = 1.0
"""Seconds."""
DRIP: Final = 0.5
"""Seconds between two bytes."""
LOGIN_EVERY: Final = 0.2
"""Seconds."""
PATIENCE: Final = 60.0
"""Seconds after which a slow client gives up to be cut off."""

HEADERS: Final = b"POST /account/login HTTP/1.1\r\nHost: x\r\n"
KINDS: Final = {
    "headers": (HEADERS, b"X-Slow: " + b"x" * 1000),
    "bodies": (HEADERS + b"Content-Length: 10000\r\n\r\n", b'{"phone": "' + b" " * 1000),
}
"""The bytes that are sent at once, and those that drip in."""


async def drip(port: int, at_once: bytes, rest: bytes) -> float:
    """Send a request slowly. Returns after how many seconds it was cut off."""
    reader, writer = await asyncio.open_connection(HOST, port)
    began = time.monotonic()
    writer.write(at_once)
    gone = asyncio.ensure_future(reader.read())
    for byte in rest:
        done, _ = await asyncio.wait([gone], timeout=DRIP)
        if done or time.monotonic() - began > PATIENCE:
            break
        writer.write(bytes([byte]))
    took = time.monotonic() - began
    gone.cancel()
    await asyncio.wait([gone])
    writer.transport.abort()
    return took


async def log_in(port: int, until: asyncio.Future[list[float]]) -> Sequence[float]:
    """Log devices in until then. Returns how many seconds each took."""
    took: list[float] = []
    while not until.done():
        began = time.monotonic()
        await login(port, f"139{len(took):08}", "tv")
        took.append(time.monotonic() - began)
        await asyncio.sleep(LOGIN_EVERY)
    return took


async def attack(port: int, count: int) -> tuple[dict[str, Sequence[float]], Sequence[float]]:
    """The whole attack. Returns the seconds until each slow client was cut off, by kind, and each login's time."""
    slow = asyncio.gather(*(drip(port, *what) for what in KINDS.values() for _ in range(count)))
    logins = await log_in(port, slow)
    cut = await slow
    return {kind: cut[at * count : (at + 1) * count] for at, kind in enumerate(KINDS)}, logins


def prove(brief: bool, _seed: int) -> Outcome:
    """Some hundred slow clients of each kind."""
    count = BRIEF if brief else SLOW
    with running("") as daemon:
        cut, logins = asyncio.run(attack(daemon.ports["account"], count))
        misses = [f"the daemon logged {line}" for line in daemon.complaints()]
    counts: dict[str, object] = {"logins meanwhile": len(logins), "slowest login, ms": round(max(logins) * 1000)}
    for kind, took in cut.items():
        counts[f"slow {kind}"] = len(took)
        counts[f"slow {kind}, cut off after at most, s"] = round(max(took), 1)
        misses += [f"slow {kind}: one was cut off after {max(took):.0f} s"] if max(took) > CUT_WITHIN else []
    misses += [f"a login took {max(logins):.1f} s"] if max(logins) > LOGIN_WITHIN and not brief else []
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "slow_requests",
    f"requests that drip in are cut off within {CUT_WITHIN:.0f} s, while every login takes less than a second",
    prove,
)
