"""The load generator of `../shared/bench`, in C: for loads that the one in Python cannot bring.

It is there if its source and a C compiler are.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import Final

from msgspec import Struct

from bench.devices import KEY, LoadError
from bench.servers import Server
from harness import ROOT

_BUILT: Final = ROOT / "build" / "bench" / "callload"


_OTHERS: Final = "1000000"
"""The first device of a load that comes after another one: an earlier caller is told the end of that again."""


class Saturated(Struct, frozen=True):
    """A server under load that never waits for its clients."""

    calls: float
    """Whole calls a second."""
    cost: float
    """CPU of one, µs."""


def build(folder: Path) -> Path | None:
    """Compile it, if that is possible.

    :param folder: where its source is.
    """
    source, compiler = folder / "callload.c", shutil.which("gcc")
    if compiler is None or not source.exists():
        return None
    _BUILT.parent.mkdir(parents=True, exist_ok=True)
    subprocess.run([compiler, "-O2", "-o", _BUILT, source, "-lssl", "-lcrypto", "-lm"], check=True)
    return _BUILT


def saturate(program: Path, server: Server, seconds: float) -> Saturated:
    """Have as many calls as the server can bear.

    :raises LoadError: the server did something that it may not do.
    """
    told = _run(program, server, "-m", "thr", "-k", "64", "-d", _whole(seconds))
    return Saturated(float(told["calls_s"]), float(told["srv_us_per_call"]))


def storm(program: Path, server: Server, connections: int) -> float:
    """Open this number of connections; the CPU of one, µs.

    :raises LoadError: the server did something that it may not do.
    """
    return float(_run(program, server, "-m", "storm", "-n", str(connections))["srv_us_per_conn"])


def wait_at(program: Path, server: Server, rate: int, seconds: float) -> float:
    """Place ``rate`` calls a second; answers with the p99 of call → call_success since the call was due, in ms.

    :raises LoadError: the server did something that it may not do.
    """
    load = ("-r", str(rate), "-k", "512", "-d", _whole(seconds))
    told = _run(program, server, "-m", "rate", "-b", _OTHERS, *load)
    return float(told["p99_us"]) / 1e3


def _whole(seconds: float) -> str:
    return str(max(1, round(seconds)))


def _run(program: Path, server: Server, *options: str) -> dict[str, str]:
    (port,), nodes = server.ports_of("signaling"), ",".join(map(str, server.nodes))
    where = ["-p", str(port), "-K", KEY.decode(), "-P", nodes, *(["-T"] if server.tls else [])]
    done = subprocess.run([program, *options, *where], capture_output=True, text=True, check=False)
    if done.returncode:
        raise LoadError(f"callload: {done.stderr or done.stdout}")
    return dict(word.split("=", 1) for word in done.stdout.split())
