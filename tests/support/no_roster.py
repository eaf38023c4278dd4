"""For tests of something else: nobody lists anybody, and nobody has missed a call."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred, succeed
from zope.interface import implementer

from callnet.calls.ports import IRoster, Roster
from callnet.model import DeviceAddress


@implementer(IRoster)
class NoRoster:
    """An empty roster: no contacts and no missed calls."""

    def came(self, device: DeviceAddress) -> Deferred[Roster]:  # noqa: ARG002
        """See :meth:`IRoster.came`."""
        return succeed(Roster(frozenset(), ()))

    def contacts_of(self, phone: str) -> Deferred[frozenset[str]]:  # noqa: ARG002
        """See :meth:`IRoster.contacts_of`."""
        return succeed(frozenset())

    def went(self, device: DeviceAddress) -> None:
        """See :meth:`IRoster.went`."""


NO_ROSTER: Final = NoRoster()
