"""One WebRTC connection, by aiortc.

aiortc runs on asyncio; the reactor runs on an asyncio event loop (:mod:`callnet.cli.media`), and each step here is an
asyncio coroutine behind a Deferred.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Coroutine, Sequence
from typing import Any, Final, TypeVar

from aiortc import (
    MediaStreamTrack,
    RTCBundlePolicy,
    RTCConfiguration,
    RTCDataChannel,
    RTCIceServer,
    RTCPeerConnection,
    RTCSessionDescription,
    RTCTransportStats,
)
from aiortc.sdp import candidate_from_sdp
from twisted.internet.defer import Deferred

from callnet_client.media.connection import Connection
from callnet_client.media.packets import LISTEN_EVERY, Packets
from callnet_client.media.reception import PLACES, Reception
from callnet_client.media.studio import Studio
from callnet_client.relayed import IceCandidate
from callnet_client.room_frames import IceServer

CLOSE_WITHIN: Final = 5.0
"""Seconds for the connection to close."""

_USABLE: Final = re.compile(r"stun:[^?:\s]+(:\d{1,5})?|turns?:[^?:\s]+(:\d{1,5})?(\?transport=(udp|tcp))?", re.ASCII)
"""The URLs that aiortc can parse; others would raise."""
_FRAGMENT: Final = re.compile(r"^a=ice-ufrag:(\S+)", re.MULTILINE)
_OTHER_HASHES: Final = re.compile(r"^a=fingerprint:(?!sha-256 ).*\r\n", re.MULTILINE)
"""One fingerprint by one hash, so that the code that people compare covers the certificate in use."""

T = TypeVar("T")


class AiortcPeer:
    """A :class:`~callnet_client.media.connection.Peer`.

    :param connection: its owner. If that offers, the peer adds the transceivers.
    """

    def __init__(
        self, connection: Connection, ice_servers: Sequence[IceServer], studio: Studio, reception: Reception
    ) -> None:
        servers = [_usable(server) for server in ice_servers]
        self._peer = RTCPeerConnection(
            RTCConfiguration(
                iceServers=[server for server in servers if server.urls], bundlePolicy=RTCBundlePolicy.MAX_BUNDLE
            )
        )
        self._sources: Sequence[MediaStreamTrack | None] = studio.tracks()
        self._reception = reception
        self._connection = connection
        self._channel: RTCDataChannel | None = None
        self._packets: Packets | None = None
        """Those since it came up."""
        self._tasks = [asyncio.ensure_future(self._listen())]
        self._peer.on("connectionstatechange", self._note_state)
        self._peer.on("track", self._receive)
        if connection.offers:
            for kind, source in zip(PLACES.values(), self._sources, strict=True):
                self._peer.addTransceiver(source or kind, "recvonly" if source is None else "sendrecv")
            self._open_channel()

    @property
    def is_flowing(self) -> bool:
        """True while media is sent and received."""
        is_open = self._channel is not None and self._channel.readyState != "closed"
        return self._peer.connectionState == "connected" and is_open and not self._has_ceased

    @property
    def is_missed(self) -> bool:
        """True if nothing has come for a moment though media was sent."""
        return self._packets is not None and self._packets.are_missed(_now())

    @property
    def is_lost(self) -> bool:
        """True if it was up, and has since failed, been closed or been silent for too long."""
        return self._packets is not None and not self.is_flowing

    @property
    def descriptions(self) -> tuple[str, str]:
        """The current ones: this side's, the other side's."""
        theirs = self._peer.remoteDescription
        return self._description(), "" if theirs is None else theirs.sdp

    def offer(self) -> Deferred[str]:
        """Create an offer."""
        return _begin(self._offer())

    def answer(self, sdp: str) -> Deferred[str]:
        """Create an answer."""
        return _begin(self._answer(sdp))

    def take(self, sdp: str) -> Deferred[None]:
        """Apply an answer of the other side."""
        return _begin(self._peer.setRemoteDescription(RTCSessionDescription(sdp, "answer")))

    def restarts(self, sdp: str) -> bool:
        """Return whether an offer restarts ICE: its credentials differ from the previous ones (RFC 8839 §4.4.1.1.1)."""
        present = self._peer.remoteDescription
        return present is not None and _FRAGMENT.findall(present.sdp)[:1] != _FRAGMENT.findall(sdp)[:1]

    def add(self, candidate: IceCandidate) -> Deferred[None]:
        """Add a candidate of the other side."""
        return _begin(self._add(candidate))

    def send(self, note: bytes) -> None:
        """Send a note, if the channel is open."""
        if self._channel is not None and self._channel.readyState == "open":
            self._channel.send(note.decode())

    def close(self) -> Deferred[None]:
        """Close the connection, without further reports."""
        self._peer.remove_all_listeners()
        if self._channel is not None:
            self._channel.remove_all_listeners()
        return _begin(self._close())

    async def _offer(self) -> str:
        await self._peer.setLocalDescription(await self._peer.createOffer())
        return self._description()

    async def _answer(self, sdp: str) -> str:
        await self._peer.setRemoteDescription(RTCSessionDescription(sdp, "offer"))
        for transceiver, source in zip(self._peer.getTransceivers(), self._sources, strict=False):
            if source is not None and transceiver.kind == source.kind and transceiver.sender.track is None:
                transceiver.sender.replaceTrack(source)
                transceiver.direction = "sendrecv"
        # Not earlier: it would have a transport of its own, which aiortc closes when the others are bundled.
        if self._channel is None and self._peer.sctp is not None:
            self._open_channel()
        await self._peer.setLocalDescription(await self._peer.createAnswer())
        return self._description()

    def _description(self) -> str:
        return _OTHER_HASHES.sub("", self._peer.localDescription.sdp)

    async def _add(self, candidate: IceCandidate) -> None:
        if not candidate.candidate:
            return  # the end of the candidates is useless after one works, and is often sent too early
        found = candidate_from_sdp(candidate.candidate.removeprefix("candidate:"))
        found.sdpMid = candidate.sdp_mid
        found.sdpMLineIndex = candidate.sdp_m_line_index
        await self._peer.addIceCandidate(found)

    async def _close(self) -> None:
        try:
            # aiortc keeps looking for a path as long as more candidates may come, closed or not.
            await self._peer.addIceCandidate(None)
            await asyncio.wait_for(self._peer.close(), CLOSE_WITHIN)
        finally:
            for source in self._sources:
                if source is not None:
                    source.stop()
            for task in self._tasks:
                task.cancel()
            self._reception.end()

    def _open_channel(self) -> None:
        self._channel = self._peer.createDataChannel("notes", negotiated=True, id=0)
        self._channel.on("open", lambda: self._connection.opened(self))
        self._channel.on("close", self._note_state)
        self._channel.on("message", lambda note: self._connection.heard(self, note))

    def _note_state(self) -> None:
        if self._packets is None and self.is_flowing:
            self._packets = Packets(_now())
        self._connection.changed(self)

    def _receive(self, track: MediaStreamTrack) -> None:
        receivers = [transceiver.receiver.track for transceiver in self._peer.getTransceivers()]
        self._tasks.append(asyncio.ensure_future(self._reception.take(track, receivers.index(track))))

    @property
    def _has_ceased(self) -> bool:
        return self._packets is not None and self._packets.are_lost(_now())

    async def _listen(self) -> None:
        """Detect that packets cease to come."""
        while True:
            report = await self._peer.getStats()
            packets = sum(stats.packetsReceived for stats in report.values() if isinstance(stats, RTCTransportStats))
            if self._packets is not None:
                self._packets.look(packets, _now())
            await asyncio.sleep(LISTEN_EVERY)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _usable(server: IceServer) -> RTCIceServer:
    urls = [url for url in server.urls if _USABLE.fullmatch(url)]
    return RTCIceServer(urls, server.username or None, server.credential or None)


def _begin(step: Coroutine[Any, Any, T]) -> Deferred[T]:
    return Deferred.fromFuture(asyncio.ensure_future(step))
