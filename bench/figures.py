"""The figures of a run, and the verdicts on them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from math import nan
from typing import Final

from msgspec import Struct


class Figures(Struct, frozen=True):
    """The figures of one server, or the typical ones of several times. NaN: that it is not measured.

    CPU is that of all nodes together, without the store's.
    """

    call: float = nan
    """CPU of a whole call, µs."""
    connection: float = nan
    """CPU of a connection whose token is checked, µs."""
    login: float = nan
    """CPU of the login of a known device, µs."""
    memory: float = nan
    """KiB for each idle socket."""
    p50: float = nan
    """The time from ``call`` to ``call_success``, half of the calls, ms."""
    p99: float = nan
    """The same, all but one in a hundred."""
    rung: float = nan
    """The time from ``call`` to ``called`` at half of the nodes' capacity, all but one in a hundred, ms."""
    relay: float = nan
    """CPU of one message between the pages, µs."""
    busy: float = nan
    """The time from ``call`` to ``call_success`` at a load that keeps the server busy, all but one in a hundred, ms."""
    saturated_calls: float = nan
    """Calls a second of a server that never waits for its clients."""
    saturated_call: float = nan
    """CPU of one of those, µs."""
    beside_few: float = nan
    """CPU of a whole call beside few idle devices, µs."""
    beside_many: float = nan
    """The same beside many."""
    stall: float = nan
    """The longest that one event has taken, ms of CPU."""
    store_call: float = nan
    """CPU of Redis for a whole call, µs."""
    store_connection: float = nan
    """CPU of Redis for a connection, µs."""


WAITS: Final = ("p50", "p99", "rung", "busy")
"""Figures that other users of the machine only make worse."""

BESIDE_OTHERS: Final = {
    "call": "CPU of a whole call (3 frames in, 3 out), µs",
    "connection": "CPU of a connection, token checked, µs",
    "login": "CPU of a login, known device, µs",
    "memory": "memory of an idle socket, KiB",
    "p50": "call → call_success at {rate} calls/s, p50, ms",
    "p99": "call → call_success at {rate} calls/s, p99, ms",
    "busy": "call → call_success at {busy} calls/s, p99, ms (callload)",
    "saturated_calls": "calls a second at saturation (callload)",
    "saturated_call": "CPU of a call at saturation, µs (callload)",
    "beside_few": "CPU of a call beside {few} idle devices, µs",
    "beside_many": "CPU of a call beside {many} idle devices, µs",
    "stall": "longest that one event has kept all others waiting, ms of CPU",
}
"""The comparisons with other servers."""

OVER_TLS: Final = {
    "call": "CPU of a whole call, µs",
    "connection": "CPU of a connection and its handshakes, µs",
    "memory": "memory of an idle socket, KiB",
    "saturated_call": "CPU of a call at saturation, µs (callload)",
}
"""The comparisons between servers that are reached over TLS."""

MANY_NODES: Final = {
    "call": "CPU of a whole call, all nodes together, µs",
    "connection": "CPU of a connection, all nodes together, µs",
    "relay": "CPU of what a page says to the other, µs",
    "memory": "memory of an idle socket, KiB",
    "rung": "call → called at half load, p99, ms",
    "stall": "longest that one event has kept all others waiting, ms of CPU",
    "store_call": "beside it: CPU of Redis for a call, µs",
    "store_connection": "beside it: CPU of Redis for a connection, µs",
}
"""The comparisons between ways to run callnet."""


class Limit(Struct, frozen=True):
    """The limit of a figure of one server: a value, or a multiple of a figure of another, or of its own."""

    text: str
    figure: str
    server: str
    most: float
    reference: str = ""
    goal: float = nan
    """The goal, at most."""
    compared: str = ""
    """The figure of the reference, if it is another one."""

    def verdict(self, measured: Mapping[str, Figures]) -> str:
        """The verdict in words."""
        return f"{self.text}: {self._mark(measured)}"

    def _mark(self, measured: Mapping[str, Figures]) -> str:
        missing = [name for name in (self.server, self.reference) if name and name not in measured]
        if missing:
            return f"not measured, {' and '.join(missing)} is not there"
        value = getattr(measured[self.server], self.figure)
        if self.reference:
            value /= getattr(measured[self.reference], self.compared or self.figure)
        if math.isnan(value):
            return "not measured"
        if value > self.most:
            return f"MISSED ({value:.2f})"
        return f"met ({value:.2f})" if not value > self.goal else f"met ({value:.2f}), the goal of {self.goal:g} is not"


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of all do not exceed (nearest rank).

    :param values: at least one.
    :param share: above 0, up to 1.
    """
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1]


def typical(rounds: Sequence[Figures]) -> Figures:
    """The median of each figure, and of the waiting the best."""
    return Figures(
        *(
            (min if name in WAITS else statistics.median)(getattr(one, name) for one in rounds)
            for name in Figures.__struct_fields__
        )
    )


def table(measured: Mapping[str, Figures], labels: Mapping[str, str], ratios: Sequence[tuple[str, str]]) -> str:
    """The figures of all servers side by side.

    :param labels: what each figure is called; those that are not named are left out.
    :param ratios: pairs of servers, one to be divided by the other; those that are not there are left out.
    """
    pairs = [(one, other) for one, other in ratios if one in measured and other in measured]
    heads = [*measured, *(f"{one} : {other}" for one, other in pairs)]
    widths = [max(len(head) + 3, 10) for head in heads]
    lines = [_row("", heads, widths)]
    for field, label in labels.items():
        figures = {name: getattr(one, field) for name, one in measured.items()}
        compared = [f"{figures[one] / figures[other]:.2f}" if figures[other] else "–" for one, other in pairs]
        lines.append(_row(label, [*(f"{figure:.1f}" for figure in figures.values()), *compared], widths))
    return "\n".join(lines)


def _row(label: str, cells: Sequence[str], widths: Sequence[int]) -> str:
    shown = ("–" if cell == "nan" else cell for cell in cells)
    return f"{label:<52}" + "".join(f"{cell:>{width}}" for cell, width in zip(shown, widths, strict=True))
