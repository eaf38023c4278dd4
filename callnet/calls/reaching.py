"""By which servers a page may reach the other page of its room (docs/turn.md)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import inf

from callnet.calls.page_messages import RoomState
from callnet.ice import IceServer
from callnet.operations.ice_servers import IceServers
from callnet.records import CallRecord


class PageReach:
    """The servers that one page is told of: while the two of a room may meet, and not before.

    In the room of a call TURN credentials are good for no longer than the call may last. In a room that was made up by
    hand, which anybody can do, there are none, unless the operator wants it.

    :param site: where the page comes from (:func:`callnet.client_site.site_of`).
    :param longest: how long a call may last after it was answered, in seconds.
    :param now: the time on the clock of the records.
    """

    def __init__(self, ice: IceServers, site: str | None, longest: float, now: Callable[[], float]) -> None:
        self._ice = ice
        self._site = site
        self._longest = longest
        self._now = now
        self._servers: Sequence[IceServer] = ()
        self._ask_at = -inf
        self._meets = False
        self._ends_by: float | None = None

    def servers(self, state: RoomState, call: CallRecord | None) -> Sequence[IceServer]:
        """What the page is told with the state of its room: the same as before as long as that is good.

        :param call: that of the room; ``None``: it was made up by hand.
        """
        self._meets = state == "meeting"
        self._ends_by = None if call is None else (0.0 if call.answer is None else call.answer.since) + self._longest
        if not self._meets:
            return ()
        self._ask_if_due()
        return self._servers

    def renewed(self) -> Sequence[IceServer] | None:
        """What the page is to be told now though its room is as it was; ``None``: nothing."""
        before = self._servers
        if self._meets:
            self._ask_if_due()
        return None if self._servers == before else self._servers

    def _ask_if_due(self) -> None:
        now = self._now()
        if now < self._ask_at:
            return
        if self._ends_by is None:
            told = self._ice.for_made_up_room(self._site)
        else:
            told = self._ice.for_call(self._site, self._ends_by - now)
        self._servers, self._ask_at = told.servers, now + told.good_for
