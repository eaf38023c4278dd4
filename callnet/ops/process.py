"""The process and the system that runs it: signals, messages to systemd, and the garbage collector.

See sd_notify(3) and sd_watchdog_enabled(3).
"""

from __future__ import annotations

import gc
import os
import signal
import socket
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final, TypeAlias

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorFromThreads, IReactorTime
from twisted.internet.task import LoopingCall

from callnet.ops.metrics import SOCKETS, Family, Observed
from callnet.ops.readiness import Report

Renewals: TypeAlias = Mapping[str, Callable[[], bool]]
"""Files to reread by name, each with the function that does so and returns whether it was valid."""


def on_hangup(reactor: IReactorFromThreads, act: Callable[[], object]) -> None:
    """Have ``act`` called in the reactor at each SIGHUP.

    In a terminal nothing is changed: there SIGHUP says that the terminal is gone, which ends the process.
    """
    if not os.isatty(0):
        signal.signal(signal.SIGHUP, lambda _number, _frame: reactor.callFromThread(act))


def ignore_hangups() -> None:
    """Have nothing done at SIGHUP any more; by default it would end the process. In a terminal nothing is changed."""
    if not os.isatty(0):
        signal.signal(signal.SIGHUP, signal.SIG_IGN)


def stop_as_told() -> None:
    """Stop this process as SIGTERM does."""
    signal.raise_signal(signal.SIGTERM)


def on_another_stop(reactor: IReactorFromThreads, act: Callable[[], object]) -> None:
    """Have ``act`` called in the reactor at each further signal that tells a process to stop, which is stopping.

    Twisted's own handlers would complain that it is.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: reactor.callFromThread(act))


LOOK_EVERY: Final = 10.0
"""Seconds between two looks at how it is, at the most."""
LOOK_AGAIN: Final = 0.2
"""The same as long as it has not served yet."""
START_TIME: Final = 60.0
"""Seconds after which a start is over, ready or not: a node whose Redis is full serves what it can, and whoever waits
for the start, such as an upgrade of packages, need not wait for Redis."""
STOP_TIME: Final = 15.0
"""Seconds that a stop may take when calls are over or given up."""
_BEATS: Final = 3
"""The number of watchdog pings within the time after which systemd would restart the process."""


class ServiceManager:
    """Tells systemd, if it was systemd that started this process and asked to be told.

    :param environment: the variables that systemd sets.
    """

    def __init__(self, environment: Mapping[str, str], clock: IReactorTime) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        self._watchdog = _watchdog(environment)
        self._pause = min(LOOK_EVERY, self._watchdog / _BEATS) if self._watchdog else LOOK_EVERY
        self._clock = clock
        self._next: IDelayedCall | None = None
        self._started_at = 0.0
        self._has_started = self._ended = False

    def start(self, observed: Observed) -> None:
        """Begin. It is told that this process has started when it is ready for the first time, or after a minute."""
        if self._address:
            self._observed = observed
            self._started_at = self._clock.seconds()
            self._look()

    def stopping(self, drain_deadline: float) -> None:
        """Report that this process will stop after draining calls for up to the given seconds."""
        longest = int((drain_deadline + STOP_TIME) * 1e6)
        self._say("STOPPING=1", f"EXTEND_TIMEOUT_USEC={longest}", "STATUS=Stopping")

    def end(self) -> None:
        """Tell nothing more."""
        self._ended = True
        if self._next is not None:
            self._next.cancel()
            self._next = None

    def _look(self) -> None:
        self._next = None
        Deferred.fromCoroutine(self._tell())

    async def _tell(self) -> None:
        report = await self._observed.report()
        said = [f"STATUS={status_of(report, await self._observed.families())}"]
        if self._ended:
            return
        if not self._has_started and (report.ready or self._clock.seconds() - self._started_at >= START_TIME):
            self._has_started = True
            said.append("READY=1")
        if self._watchdog:
            said.append("WATCHDOG=1")
        self._say(*said)
        self._next = self._clock.callLater(self._pause if self._has_started else LOOK_AGAIN, self._look)

    def _say(self, *assignments: str) -> None:
        if self._address:
            with (
                suppress(OSError),  # whoever does not listen need not be told
                socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager,
            ):
                manager.sendto("\n".join(assignments).encode(), self._address)


def status_of(report: Report, families: Sequence[Family]) -> str:
    """The status line for ``systemctl status``."""
    open_now = {
        sample.label: sample.value for family in families if family.name == SOCKETS for sample in family.samples
    }
    sockets = f"{open_now.get('device', 0):.0f} devices and {open_now.get('page', 0):.0f} pages"
    if report.is_draining:
        return f"Draining {sockets}; waiting for calls to end"
    return f"Serving {sockets}" if report.ready else f"Not ready: {report.wrong}"


def _watchdog(environment: Mapping[str, str]) -> float:
    """Seconds within which systemd must hear of this process again; 0: it need not."""
    microseconds = environment.get("WATCHDOG_USEC", "")
    is_meant = environment.get("WATCHDOG_PID", str(os.getpid())) == str(os.getpid())
    return int(microseconds) / 1e6 if microseconds.isdecimal() and is_meant else 0.0


# Garbage

YOUNG: Final = 3000
"""Objects more than were freed, after which the young ones are looked at."""
_MIDDLE: Final = 2
"""After this multiple of it, the middle generation too."""
_NEVER: Final = 1_000_000_000

SETTLES: Final = 100
"""The growth of devices and pages beyond their maximum after which the live objects count as settled."""
MINUTE: Final = 60.0
CALM: Final = 500
"""Not more devices and pages than that come or go in a calm minute."""
CALM_MINUTES: Final = 5
"""The number of them after which all that has not settled is looked at."""
LONGEST: Final = 30
"""Minutes after which it is looked at however many come and go: strangers could put it off forever."""


class Garbage:
    """Says when to look for garbage, instead of Python.

    A daemon full of devices has very many objects that live for days and next to no such garbage, and by default
    Python looks at the young ones after every 700. That was a tenth of a connection's cost, and a fifth with Redis.

    Looking at all objects of twenty thousand devices takes a good part of a second, in which nobody is served. So those
    that have settled are put where nobody looks any more. A socket that ends is freed all the same, since nothing
    that belongs to it refers to itself then (``tests/unit/test_garbage.py``). All others are looked at when it has been
    calm for a while, or for half an hour has not been: after thousands of devices have come or gone there is much of
    them for some minutes.

    :param living: how many devices and pages are connected.
    """

    def __init__(self, living: Callable[[], int], clock: IReactorTime) -> None:
        self._living = living
        self._settled = 0
        self._living_before = 0
        self._calm_minutes = 0
        self._minutes_since = 0
        self._minutes = LoopingCall(self._minute_passed)
        self._minutes.clock = clock

    def begin(self) -> None:
        """Set the limits for the whole process. What it consists of has settled."""
        gc.set_threshold(YOUNG, _MIDDLE, _NEVER)
        gc.freeze()  # without a look for garbage first, which takes 70 ms and finds 20 objects
        gc.callbacks.append(self._looked)
        self._minutes.start(MINUTE, now=False)

    def end(self) -> None:
        """Watch no more."""
        self._minutes.stop()
        gc.callbacks.remove(self._looked)

    def _looked(self, phase: str, _: object) -> None:
        # Only growth settles: what comes and goes, whatever it refers to, is put aside a few times in all.
        if phase == "stop" and self._living() >= self._settled + SETTLES:
            self._settled = self._living()
            gc.freeze()

    def _minute_passed(self) -> None:
        before, self._living_before = self._living_before, self._living()
        self._calm_minutes = self._calm_minutes + 1 if abs(self._living_before - before) <= CALM else 0
        self._minutes_since += 1
        if self._calm_minutes == CALM_MINUTES or self._minutes_since == LONGEST:
            self._calm_minutes = self._minutes_since = 0
            gc.collect()
