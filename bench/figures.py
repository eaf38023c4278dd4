"""The figures of a run, and what is said about them."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from msgspec import Struct

CALL_LIMIT: Final = 1.3
"""CPU of a call, as a multiple of what the plain Autobahn reference takes."""

MEMORY_LIMIT: Final = 12.0
"""KiB for each idle socket."""


class Figures(Struct, frozen=True):
    """What was measured of one server, or what is typical of several times. ``login`` is NaN for a reference."""

    call: float
    """CPU of a whole call, µs."""
    connection: float
    """CPU of a connection whose token is checked, µs."""
    login: float
    """CPU of the login of a known device, µs."""
    memory: float
    """KiB for each idle socket."""
    p50: float
    """From ``call`` to ``call_success``, half of the calls, ms."""
    p99: float
    """The same, all but one in a hundred."""


LABELS: Final = {
    "call": "CPU of a whole call (3 frames in, 3 out), µs",
    "connection": "CPU of a connection, token checked, µs",
    "login": "CPU of a login, known device, µs",
    "memory": "memory of an idle socket, KiB",
    "p50": "call → call_success at {rate} calls/s, p50, ms",
    "p99": "call → call_success at {rate} calls/s, p99, ms",
}


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of all do not exceed (nearest rank).

    :param values: at least one.
    :param share: above 0, up to 1.
    """
    ordered = sorted(values)
    return ordered[math.ceil(share * len(ordered)) - 1]


def typical(rounds: Sequence[Figures]) -> Figures:
    """The median of each figure, and of the waiting the best: whoever else uses the machine only makes it longer."""
    return Figures(
        *(
            (min if name in ("p50", "p99") else statistics.median)(getattr(one, name) for one in rounds)
            for name in Figures.__struct_fields__
        )
    )


def table(measured: Mapping[str, Figures], rate: int) -> str:
    """The figures of all servers side by side; the first is the one that is compared with the others."""
    names = list(measured)
    ratios = [f"{names[0]} : {name}" for name in names[1:]]
    lines = [_row("", names, ratios)]
    for field, label in LABELS.items():
        figures = [getattr(one, field) for one in measured.values()]
        compared = [f"{figures[0] / figure:.2f}" if figure else "–" for figure in figures[1:]]
        lines.append(_row(label.format(rate=rate), [_number(figure) for figure in figures], map(_or_dash, compared)))
    return "\n".join(lines)


def verdicts(measured: Mapping[str, Figures], reference: str) -> str:
    """Whether the limits are kept."""
    ours = next(iter(measured.values()))
    if reference in measured:
        ratio = ours.call / measured[reference].call
        call = f"{_mark(ratio <= CALL_LIMIT)} ({ratio:.2f})"
    else:
        call = "not measured, the reference is not there"
    memory = f"{_mark(ours.memory <= MEMORY_LIMIT)} ({ours.memory:.1f})"
    return f"≤ {CALL_LIMIT} × the plain Autobahn reference: {call}\n≤ {MEMORY_LIMIT:.0f} KiB per idle socket: {memory}"


def _mark(is_met: bool) -> str:
    return "met" if is_met else "MISSED"


def _number(figure: float) -> str:
    return "–" if math.isnan(figure) else f"{figure:.1f}"


def _or_dash(text: str) -> str:
    return "–" if text == "nan" else text


def _row(label: str, cells: Sequence[str], ratios: Iterable[str]) -> str:
    return f"{label:<52}" + "".join(f"{cell:>11}" for cell in cells) + "".join(f"{cell:>20}" for cell in ratios)
