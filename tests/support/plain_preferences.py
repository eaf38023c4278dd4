"""For tests of something else: everybody may call everybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from twisted.internet.defer import Deferred
from zope.interface import implementer

from callnet.calls.ports import IPreferences
from callnet.calls.preferences import ANYONE, PLAIN, Policy, Preferences
from callnet.util.deferreds import Ready, Soon


@implementer(IPreferences)
class PlainPreferences:
    """Nobody wants anything."""

    def policy_of(self, phone: str) -> Soon[Policy]:  # noqa: ARG002
        """See :meth:`IPreferences.policy_of`."""
        return Ready(ANYONE)

    def of(self, phone: str) -> Soon[Preferences]:  # noqa: ARG002
        """See :meth:`IPreferences.of`."""
        return Ready(PLAIN)

    def subscribe(self, changed: Callable[[str, Preferences], Deferred[None]]) -> None:
        """See :meth:`IPreferences.subscribe`. Nothing changes."""


OPEN: Final = PlainPreferences()
