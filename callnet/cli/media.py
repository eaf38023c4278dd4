"""``callnet device --media``: sends and receives audio and video.

aiortc is written for asyncio, the client of callnet for Twisted. Of the ways to have both, this is the one with one
thread and no queue between two: Twisted's own reactor on an event loop of asyncio, which is installed before anything
imports the usual one. A coroutine of aiortc's becomes a Deferred by ``Deferred.fromFuture``, and its events come in
the same turns as everything else. Without ``--media`` the command has the reactor that it always had.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from twisted.internet import asyncioreactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.web.iweb import IPolicyForHTTPS

from callnet.util.logger import Logger
from callnet_client import DeviceAddress
from callnet_client.media.connection import Connection, Peer
from callnet_client.media.peer import AiortcPeer
from callnet_client.media.reception import Reception
from callnet_client.media.recording import Recording
from callnet_client.media.studio import FileStudio, PatternStudio, PausingStudio, Studio, look_of
from callnet_client.media.visit import Visit, seat_key
from callnet_client.notes import State
from callnet_client.room import RoomSocket, Visitor
from callnet_client.room_frames import IceServer, Join

log = Logger()


def install_reactor() -> Any:
    """Have the reactor run on an event loop of asyncio, and return it. Nothing may have imported it before.

    What the other side says can upset aiortc in tasks of its own, of which asyncio would write tracebacks;
    :mod:`callnet_client.media.connection` notices what is left undone.
    """
    loop = asyncio.new_event_loop()
    loop.set_exception_handler(lambda _loop, _context: None)
    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)
    from twisted.internet import reactor  # the one that is installed

    return reactor


class Desk:
    """The audio and video of one device, in the room of its current call.

    :param site: the origin of the site.
    :param play: a file to be sent; without it, a test picture and a tone.
    :param record: a file for what comes.
    :raises ClientError: a file is of no use.
    """

    def __init__(
        self,
        address: DeviceAddress,
        site: str,
        trust: IPolicyForHTTPS,
        reactor: Any,
        play: Path | None,
        record: Path | None,
    ) -> None:
        self._address = address
        self._site = site
        self._trust = trust
        self._reactor = reactor
        self._studio: Studio = PatternStudio(look_of(address)) if play is None else FileStudio(play)
        self._recording = None if record is None else Recording(record)
        self._visit: Visit | None = None
        self._leaving: list[Deferred[None]] = []
        self._closed: Deferred[None] | None = None

    def enter(self, room_id: str, is_held: Callable[[], bool], note: Callable[[str], None]) -> None:
        """Enter a room. Nothing is sent while the call is held."""
        self.leave()
        studio = PausingStudio(self._studio, is_held)
        self._visit = Visit(
            self._open_room,
            partial(self._build, studio, note),
            (room_id, seat_key(self._address, room_id)),
            State(muted=not studio.has_sound, camera_off=not studio.has_picture, sharing=False),
            note,
            self._reactor,
        )

    def leave(self) -> None:
        """Leave it: the call is over."""
        self._part(farewell=True)

    def close(self) -> Deferred[None]:
        """Leave, and write the end of the recording. May be asked for twice.

        :return: a Deferred of the caller's own that fires when that is done.
        """
        self._part(farewell=False)
        if self._closed is None:
            self._closed = gatherResults(self._leaving).addCallback(self._finish)
            self._closed.addErrback(lambda failure: log.failure("failed to close the media session", failure))
        done: Deferred[None] = Deferred()
        self._closed.addCallback(lambda _: done.callback(None))
        return done

    def _part(self, farewell: bool) -> None:
        visit, self._visit = self._visit, None
        if visit is not None:
            self._leaving.append(visit.leave(farewell))

    def _finish(self, _left: Sequence[None]) -> Deferred[None] | None:
        if self._recording is None:
            return None
        return Deferred.fromFuture(asyncio.ensure_future(self._recording.close()))

    def _open_room(self, join: Join, visitor: Visitor) -> RoomSocket:
        return RoomSocket(self._site, join, visitor, self._reactor, trust=self._trust)

    def _build(
        self, studio: Studio, note: Callable[[str], None], connection: Connection, ice_servers: Sequence[IceServer]
    ) -> Peer:
        return AiortcPeer(connection, ice_servers, studio, Reception(note, self._recording))
