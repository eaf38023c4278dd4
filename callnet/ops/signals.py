"""Signals: SIGHUP, which makes a daemon reread its files, and those that stop it."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from typing import TypeAlias

from twisted.internet.interfaces import IReactorFromThreads

Renewals: TypeAlias = Mapping[str, Callable[[], bool]]
"""Files to reread by name, each with the function that does so and returns whether it was valid."""


def on_hangup(reactor: IReactorFromThreads, act: Callable[[], object]) -> Callable[[], None]:
    """Have ``act`` called in the reactor at each SIGHUP, until the answer is called.

    In a terminal nothing is changed: there SIGHUP says that the terminal is gone, which ends the process.
    """
    if os.isatty(0):
        return lambda: None
    before = signal.signal(signal.SIGHUP, lambda _number, _frame: reactor.callFromThread(act))
    return lambda: _restore(before)


def stop_as_told() -> None:
    """Stop this process as SIGTERM does."""
    signal.raise_signal(signal.SIGTERM)


def on_another_stop(reactor: IReactorFromThreads, act: Callable[[], object]) -> None:
    """Have ``act`` called in the reactor at each further signal that tells a process to stop, which is stopping.

    Twisted's own handlers would complain that it is.
    """
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: reactor.callFromThread(act))


def _restore(handler: object) -> None:
    signal.signal(signal.SIGHUP, handler)  # type: ignore[arg-type]
