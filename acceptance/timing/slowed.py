"""A daemon that refuses the blocked more slowly: ``python -m acceptance.timing.slowed MICROSECONDS``, then as any.

A proof that finds nothing wrong with it would find nothing wrong with any.
"""

from __future__ import annotations

import sys
import time

from acceptance import census
from callnet.records import Policy


def slow_down(microseconds: int) -> None:
    """Have it take so much longer to refuse whoever is blocked."""
    allows = Policy.allows

    def allows_slowly(self: Policy, phone: str, date: float) -> bool:
        if phone in self.blocked:
            until = time.perf_counter_ns() + microseconds * 1000
            while time.perf_counter_ns() < until:
                pass
        return allows(self, phone, date)

    Policy.allows = allows_slowly  # type: ignore[method-assign]


if __name__ == "__main__":
    slow_down(int(sys.argv.pop(1)))
    census.main()
