"""A call between two browsers over the relay that callnet runs, whose coturn is killed again and again.

Both pages use nothing but the relay. Each time the call must come back over the relay that callnet has started again,
by an ICE restart on the same RTCPeerConnection; both must then see the other's camera in what is painted, moving.
Half of the times the picture must not have stood still for more than 5 s; in a short slice, beside which others run,
it may.
"""

from __future__ import annotations

import os
import secrets
import signal
import tempfile
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from random import Random
from typing import Final

from acceptance.browser import see_each_other
from acceptance.daemon import WITHOUT_LIMITS
from acceptance.proof import Outcome, Proof
from harness.daemon import Daemon
from harness.ports import free_ports
from tests.browser.continuity import connections, longest_pause, negotiated, path, since_movement, wait_until, watch
from tests.browser.stage import stage
from tests.browser.visitor import Visitor, meet_over_relay

KILLS: Final = 20
KILLS_OF_A_SLICE: Final = 2
TARGET: Final = 5.0
"""Seconds, in the median, for which a picture may stand still."""

_SETTINGS: Final = """
[turn]
relay = "supervised"
adhoc = true
[turn.supervised]
host = "127.0.0.1"
port = {port}
listening_addresses = ["127.0.0.1"]
allowed_peers = ["127.0.0.0/8"]
"""


class Relayed:
    """Two visitors in a call over the relay."""

    def __init__(self, both: tuple[Visitor, Visitor], daemon: Daemon, random: Random) -> None:
        self._both = both
        self._pid_file = daemon.state_dir / "relay" / "pid"
        self._random = random
        meet_over_relay(both, secrets.token_hex(8))

    def kill(self) -> tuple[float, str | None]:
        """Kill coturn, and wait until the call is back.

        :returns: for how many seconds a picture stood still, and what is wrong, if anything is.
        """
        before = [(negotiated(visitor), connections(visitor)) for visitor in self._both]
        for visitor in self._both:
            watch(visitor)
        os.kill(int(self._pid_file.read_text()), signal.SIGKILL)
        for visitor, (old, _) in zip(self._both, before, strict=True):
            wait_until(visitor, partial(_has_restarted, visitor, old), "an ICE restart")
            wait_until(visitor, partial(_moves, visitor), "the picture")
        pause = max(longest_pause(visitor) for visitor in self._both)
        wrong = see_each_other(*self._both, self._random)
        if wrong is None and any(path(visitor) != ["relay", "relay"] for visitor in self._both):
            wrong = "media does not go over the relay"
        if wrong is None and [connections(visitor) for visitor in self._both] != [count for _, count in before]:
            wrong = "it took another RTCPeerConnection"
        return pause, wrong


def _has_restarted(visitor: Visitor, old: Sequence[str]) -> bool:
    new = negotiated(visitor)
    return len(new) == len(old) and not set(new) & set(old)


def _moves(visitor: Visitor) -> bool:
    return since_movement(visitor) < 1.0


def prove(brief: bool, seed: int) -> Outcome:
    """All kills in one call."""
    kills, pauses, misses = KILLS_OF_A_SLICE if brief else KILLS, [], []
    [port] = free_ports(1)
    with (
        tempfile.TemporaryDirectory(prefix="callnet-proof-") as folder,
        Daemon(Path(folder, "daemon"), WITHOUT_LIMITS + _SETTINGS.format(port=port)) as daemon,
        stage(daemon.site_url, Path(folder)) as browsers,
    ):
        call = Relayed(browsers.pair(), daemon, Random(seed))
        for number in range(kills):
            pause, wrong = call.kill()
            pauses.append(pause)
            if wrong is not None:
                misses.append(f"kill {number + 1}: {wrong}")
        misses += browsers.complaints()
        restarts = daemon.log.count("relay was killed by SIGKILL")
        if restarts != kills:
            misses.append(f"callnet noticed {restarts} ends of coturn")
    median = sorted(pauses)[kills // 2]
    if median > TARGET and not brief:
        misses.append(f"a picture stood still for {median:.1f} s in the median")
    counts = {
        "coturn killed": kills,
        "longest that a picture stood still, s": f"median {median:.1f}, longest {max(pauses):.1f}",
    }
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "relay",
    "when the relay of a call is killed, callnet starts it again and the call comes back over it by an ICE restart,"
    " in the median within 5 s",
    prove,
)
