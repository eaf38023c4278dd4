"""For tests of something else: everybody may call everybody."""

from __future__ import annotations

from typing import Final

from zope.interface import implementer

from callnet.interfaces import IPolicies
from callnet.records import ANYONE, Policy
from callnet.soon import Ready, Soon


@implementer(IPolicies)
class OpenPolicies:
    """Nobody has blocked anybody."""

    def of(self, phone: str) -> Soon[Policy]:  # noqa: ARG002
        """See :meth:`IPolicies.of`."""
        return Ready(ANYONE)


OPEN: Final = OpenPolicies()
