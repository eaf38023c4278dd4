"""A connection by aiortc: both ends of it are real, in a network of their own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet_client import DeviceAddress
from callnet_client.media.connection import Connection
from callnet_client.media.peer import AiortcPeer
from callnet_client.media.reception import Reception
from callnet_client.media.studio import PatternStudio, look_of
from callnet_client.relayed import IceCandidate, Offer, Relayed
from callnet_client.room_frames import IceServer
from callnet_client.verification import fingerprint_of
from tests.support.network import Network

LINES = """v=0
m=audio 9 UDP/TLS/RTP/SAVPF 111
m=video 9 RTP/AVP 96
m=application 9 UDP/DTLS/SCTP x
m=
a=mid:0
a=group:BUNDLE 0
a=setup:actpass
a=ice-ufrag:abcd
a=ice-pwd:pppppppppppppppppppppp
a=fingerprint:sha-256 00
a=rtpmap:111 opus/48000/2
a=rtcp-mux
a=sctp-port:x
a=fmtp:1
a=candidate:1 1 udp 1 192.0.2.1 9 typ host
a=candidate:x
a=ssrc:1 cname:x
=

""".splitlines()
"""Lines of descriptions, good ones and others."""
PATIENCE = 60
"""Seconds that anything may take on a machine that is busy with other tests."""


class Side:
    """One side of a connection, which hands its messages to the other."""

    def __init__(self, offers: bool, name: str) -> None:
        self.clock = Clock()
        self.other: Side
        self.lines: list[str] = []
        self.reports: list[str] = []
        self.notes: list[str | bytes] = []
        self.said: list[Relayed] = []
        self.open = asyncio.Event()
        self.noted = asyncio.Event()
        self.studio = PatternStudio(look_of(DeviceAddress("1", name)))
        self.peers: list[AiortcPeer] = []
        self.connection = Connection(offers, self.build, self, self.clock)

    def build(self, connection: Connection) -> AiortcPeer:
        """Make a peer."""
        self.peers.append(AiortcPeer(connection, (), self.studio, Reception(self.line, None)))
        return self.peers[-1]

    def line(self, line: str) -> None:
        """Keep the shown lines."""
        self.lines.append(line)
        self.noted.set()

    def say(self, message: Relayed) -> None:
        """Hand it over in a later turn, as a server does."""
        self.said.append(message)
        asyncio.get_running_loop().call_soon(lambda: self.other.connection.hear(message))

    def flowed(self, is_flowing: bool) -> None:
        """Show it."""
        self.line("flowing" if is_flowing else "lost")

    def missed(self) -> None:
        """Nothing: there is no room."""

    def opened(self) -> None:
        """Note it."""
        self.open.set()

    def heard(self, note: str | bytes) -> None:
        """Keep it."""
        self.notes.append(note)
        self.noted.set()

    def described(self) -> None:
        """The description is checked when it is over."""

    def report(self, what: str) -> None:
        """Keep it."""
        self.reports.append(what)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so, which is looked at whenever anything was noted."""
        while not is_so():
            self.noted.clear()
            await self.noted.wait()


def future(deferred: Deferred[Any]) -> asyncio.Future[Any]:
    """A future for asyncio."""
    return deferred.asFuture(asyncio.get_running_loop())


class PeerCase(SynchronousTestCase):
    """A network in which media passes."""

    def setUp(self) -> None:
        """Make it."""
        self.network = Network()
        self.addCleanup(self.network.remove)

    def play(self, story: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Play a story there."""

        async def whole() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)
            await asyncio.wait_for(story(), PATIENCE)

        with self.network.entered():
            asyncio.run(whole())

    def pair(self) -> tuple[Side, Side]:
        """Two sides that have begun."""
        offering, answering = Side(True, "a"), Side(False, "b")
        offering.other, answering.other = answering, offering
        return offering, answering


class PeerTests(PeerCase):
    """Two of them."""

    def test_media_and_notes(self) -> None:
        """Pictures, sound and notes go both ways, in m-lines of the right order, with certificates that both know."""

        async def story() -> None:
            sides = self.pair()
            for side in sides:
                await side.open.wait()
                side.connection.send(b'{"kind":"bye"}')
            for side in sides:
                await side.until(lambda side=side: side.notes == ['{"kind":"bye"}'])  # type: ignore[misc]
                for line in ("flowing", "media: receiving the camera, 640x360", "media: receiving sound"):
                    await side.until(lambda side=side, line=line: line in side.lines)  # type: ignore[misc]
            (offer,) = [message for message in sides[0].said if isinstance(message, Offer)]
            kinds = [line.split()[0] for line in offer.sdp.splitlines() if line.startswith("m=")]
            self.assertEqual(["m=audio", "m=video", "m=video", "m=application"], kinds)
            self.assertEqual(*(sorted(map(fingerprint_of, side.connection.descriptions)) for side in sides))
            for side in sides:
                await future(side.connection.close())
                self.assertEqual([], side.reports)

        self.play(story)

    def test_restarts(self) -> None:
        """An offer with the same ICE credentials changes something; one with others restarts ICE."""

        async def story() -> None:
            sides = self.pair()
            for side in sides:
                await side.open.wait()
            (offer,) = [message for message in sides[0].said if isinstance(message, Offer)]
            (peer,) = sides[1].peers
            self.assertFalse(peer.restarts(offer.sdp))
            self.assertTrue(peer.restarts(offer.sdp.replace("a=ice-ufrag:", "a=ice-ufrag:x")))
            for side in sides:
                await future(side.connection.close())

        self.play(story)

    def test_never_connected(self) -> None:
        """A connection that found no path is closed all the same."""

        async def story() -> None:
            side = Side(True, "a")
            peer = side.build(side.connection)
            await future(peer.offer())
            await future(peer.close())
            await future(side.connection.close())

        self.play(story)


class BadInputTests(PeerCase):
    """Whatever the other side says, aiortc fails in one place, and can be closed."""

    @settings(max_examples=30, deadline=None)
    @given(
        st.lists(
            st.sampled_from(LINES) | st.text(max_size=20),
            max_size=15,
        ),
        st.builds(
            IceCandidate,
            st.sampled_from(["", "candidate:", "candidate:1 1 udp 1 192.0.2.1 9 typ host", "1 1 tcp x y z typ srflx"])
            | st.text(max_size=40),
            st.none() | st.sampled_from(["0", "x"]),
            st.none() | st.integers(0, 65535),
        ),
    )
    def test_descriptions_and_candidates(self, lines: list[str], candidate: IceCandidate) -> None:
        """A description or a candidate of no use fails its step."""

        async def story() -> None:
            side = Side(False, "b")
            side.other = side
            peer = side.build(side.connection)
            for step in (peer.add(candidate), peer.answer("\r\n".join(lines)), peer.add(candidate)):
                await asyncio.wait([future(step)])
            await future(peer.close())
            await future(side.connection.close())

        self.play(story)

    def test_ice_servers(self) -> None:
        """URLs that aiortc cannot read are left out, so that the others can be used."""

        async def story() -> None:
            side = Side(False, "b")
            side.other = side
            urls = [
                "stun:[2001:db8::1]:3478",
                "stun:x?transport=udp",
                "http://x",
                "",
                "turn:x?transport=dtls",
                "turn:a:b",
            ]
            servers = [IceServer(urls), IceServer([*urls, "turn:127.0.0.1:9?transport=udp"], "user", "secret")]
            peer = AiortcPeer(side.connection, servers, side.studio, Reception(side.line, None))
            await future(peer.close())
            await future(side.connection.close())

        self.play(story)
