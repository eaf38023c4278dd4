"""Random streams of frames, played to a server with its short paths and to one without: nothing is different."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from os import sched_getaffinity
from typing import Any, Final

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from twisted.logger import globalLogBeginner

from acceptance.proof import Outcome, Proof
from tests.support import streams
from tests.unit import test_plain_handshakes, test_short_frames
from tests.unit.test_short_frames import ListeningSocket, SlowSocket

WHOLE: Final = {"frames": 50_000, "handshakes": 20_000, "servers": 30_000}
"""The number of streams of each kind: to one socket, for an upgrade, and to a server with four clients."""
SLICE: Final = {"frames": 1_000, "handshakes": 500, "servers": 500}

_Seen = Counter[str]


def _same(seen: _Seen, general: object, short: object) -> None:
    seen["streams"] += 1
    if general != short:
        raise AssertionError(f"without short paths: {general}, with them: {short}")


def _frames(pieces: list[bytes], seen: _Seen) -> None:
    general = test_short_frames.feed(SlowSocket, pieces)
    _same(seen, general, test_short_frames.feed(ListeningSocket, pieces))
    seen["messages heard"] += len(general.heard)
    seen["sockets closed"] += general.disconnecting or general.state != ListeningSocket.STATE_OPEN


def _handshakes(data: bytes, seen: _Seen) -> None:
    general = test_plain_handshakes.shake(test_plain_handshakes.SlowSocket, data)
    _same(seen, general, test_plain_handshakes.shake(test_plain_handshakes.AskedSocket, data))
    seen["upgrades"] += general.written.startswith(b"HTTP/1.1 101 ")


def _servers(steps: list[streams.Step], seen: _Seen) -> None:
    general = streams.play(steps, short=False)
    _same(seen, general, streams.play(steps, short=True))
    seen["calls placed"] += general.counts["placed"]
    seen["calls answered"] += general.counts["answered"]
    seen["frames that a server sent"] += sum(written.count(b'{"type":') for written in general.written)
    seen["connections closed by the server"] += sum(ended is not None for ended in general.ended)


KINDS: Final[dict[str, tuple[st.SearchStrategy[Any], Callable[[Any, _Seen], None]]]] = {
    "frames": (test_short_frames.cut_streams(), _frames),
    "handshakes": (test_plain_handshakes.handshakes(), _handshakes),
    "servers": (streams.streams, _servers),
}


def _say_nothing() -> None:
    """NullLogger the server's log of its own errors: some streams ask for them."""
    globalLogBeginner.beginLoggingTo([], redirectStandardIO=False)


def compare(kind: str, count: int, chosen: int) -> tuple[str, _Seen, str]:
    """Compare this number of streams of a kind; returns the observations, and a difference if there was one."""
    strategy, check = KINDS[kind]
    seen: _Seen = Counter()

    @seed(chosen)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(strategy)
    def run(stream: Any) -> None:
        check(stream, seen)

    try:
        run()
    except Exception as error:  # noqa: BLE001  the proof looks for any error
        return kind, seen, f"{kind}: {error}".splitlines()[0][:2000]
    return kind, seen, ""


def prove(brief: bool, chosen: int) -> Outcome:
    """All kinds, on all cores."""
    cores = len(sched_getaffinity(0))
    parts = [
        (kind, count // cores, chosen + part)
        for kind, count in (SLICE if brief else WHOLE).items()
        for part in range(cores)
    ]
    counts: Counter[str] = Counter()
    misses = []
    with ProcessPoolExecutor(cores, initializer=_say_nothing) as pool:
        for kind, seen, difference in pool.map(compare, *zip(*parts, strict=True)):
            counts.update({f"{kind}: {what}": count for what, count in seen.items()})
            misses += [difference] if difference else []
    total = sum(count for what, count in counts.items() if what.endswith(": streams"))
    wanted = sum(count for _, count, _ in parts)
    if total < wanted and not misses:
        misses.append(f"only {total} of {wanted} streams were made")
    return Outcome({"streams in all": total} | dict(sorted(counts.items())), misses)


PROOF: Final = Proof(
    "streams",
    "with the short paths and without them the same happens and the same bytes leave, whatever clients send: to one"
    " socket, as a handshake, and to a server with two devices and two pages",
    prove,
)
