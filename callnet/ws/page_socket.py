"""The page's room socket (docs/room.md): translates between Autobahn and the page's session."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from twisted.internet.interfaces import INegotiated, IReactorTime
from zope.interface import implementer

from callnet.calls.pages import PageSession
from callnet.calls.ports import IPeer
from callnet.calls.rooms import RoomManager
from callnet.config.schema import LimitSettings, SocketSettings
from callnet.ops.ice import IceServers
from callnet.util.net import site_of
from callnet.util.turn_budget import TurnBudget
from callnet.ws.factory import NO_SETTINGS, Pace, ServerSocketFactory
from callnet.ws.handshake import Opening, Refused
from callnet.ws.protocol import ServerSocket

LONGEST_FRAME: Final = 64 * 1024
"""Bytes in a frame of a page."""


@implementer(IPeer)
class RoomSocket(ServerSocket):
    """A page's socket."""

    if TYPE_CHECKING:
        factory: RoomSocketFactory
    session: PageSession

    def admit(self, opening: Opening) -> None:
        """Let in only pages that this site itself has served."""
        if opening.path != "/room":
            raise Refused(HTTPStatus.NOT_FOUND)
        # Without TLS here a proxy may have it.
        schemes = ("https",) if INegotiated.providedBy(self.transport) else ("https", "http")
        host = opening.headers.get("host", "").lower()
        if opening.headers.get("origin", "").lower() not in [f"{scheme}://{host}" for scheme in schemes]:
            raise Refused(HTTPStatus.FORBIDDEN)
        self.session = self.factory.session(self)

    def opened(self) -> None:
        """Wait for the page to join."""

    def is_needed(self) -> bool:
        """Tell whether the page is in a call, or in a meeting with another one."""
        session = getattr(self, "session", None)
        return session is not None and session.is_in_call()

    def gone(self) -> None:
        """Let the page be gone."""
        self.session.closed()
        del self.session  # which knows this socket


class RoomSocketFactory(ServerSocketFactory):
    """Serves ``/room`` of the site."""

    def __init__(
        self,
        rooms: RoomManager,
        clock: IReactorTime,
        limits: LimitSettings,
        ice: IceServers,
        sockets: SocketSettings = NO_SETTINGS,
        budget: TurnBudget | None = None,
    ) -> None:
        of_an_address, in_all = limits.sockets_of_an_address, limits.sockets_of_a_process
        pace = Pace(limits.frames_a_minute_of_a_page)
        unread = sockets.unread_of_pages
        super().__init__(RoomSocket, clock, LONGEST_FRAME, of_an_address, in_all, sockets, unread, pace, budget)
        self._pages = rooms.pages
        self._limits = limits
        self._ice = ice

    def changed(self) -> None:
        """Go by the settings as they now are."""
        self.allow(self._limits.sockets_of_an_address, self._limits.sockets_of_a_process)
        self.pace.allow(self._limits.frames_a_minute_of_a_page)

    def session(self, socket: RoomSocket) -> PageSession:
        """Make the session of a page."""
        return PageSession(self._pages, socket, self._ice, site_of(socket.host))
