"""Runs a daemon whose clock is ahead by the number in a file: ``python -m acceptance.set_clock FILE …``."""

from __future__ import annotations

import sys
import time


def go_by(file: str) -> None:
    """Shift the time that programs are told by this much. The monotonic clock is a true one."""
    true_time = time.time

    def told() -> float:
        with open(file, encoding="ascii") as ahead:
            return true_time() + float(ahead.read() or 0)

    time.time = told


if __name__ == "__main__":
    go_by(sys.argv.pop(1))
    from acceptance import census  # Twisted takes note of the clock when it is imported

    census.main()
