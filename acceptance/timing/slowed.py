"""A daemon that refuses the blocked more slowly: ``python -m acceptance.timing.slowed MILLISECONDS``, then as any."""

from __future__ import annotations

import sys
import time

from acceptance import census
from callnet.calls.preferences import Policy


def slow_down(milliseconds: int) -> None:
    """Have it take this much longer to refuse a blocked caller."""
    allows = Policy.allows

    def allows_slowly(self: Policy, phone: str, date: float) -> bool:
        if phone in self.blocked:
            until = time.perf_counter_ns() + milliseconds * 1_000_000
            while time.perf_counter_ns() < until:
                pass
        return allows(self, phone, date)

    Policy.allows = allows_slowly  # type: ignore[method-assign]


if __name__ == "__main__":
    slow_down(int(sys.argv.pop(1)))
    census.main()
