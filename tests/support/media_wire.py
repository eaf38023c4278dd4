"""A substitute for aiortc in tests of the rules of a connection, and one side of such a connection."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet_client.media.connection import LOOK_EVERY, Connection
from callnet_client.relayed import IceCandidate, Relayed

OURS, THEIRS = (f"a=fingerprint:sha-256 {':'.join([byte] * 32)}\r\n" for byte in ("AA", "BB"))
"""The relevant line of the descriptions of both sides."""


class Wire:
    """Stands for aiortc: a scripted connection."""

    descriptions = OURS, THEIRS

    def __init__(self, connection: Connection, log: list[Any]) -> None:
        self.connection = connection
        self.log = log
        self.is_flowing = self.is_missed = self.is_lost = self.is_slow = self.is_bad = False
        self.is_closed = False
        self.waiting: list[Deferred[Any]] = []

    def become(self, is_flowing: bool) -> None:
        """Begin or cease to flow."""
        self.is_flowing, self.is_lost = is_flowing, not is_flowing
        self.connection.changed(self)

    def offer(self) -> Deferred[str]:
        """Do a step."""
        return self._step("offer", "offer sdp")

    def answer(self, sdp: str) -> Deferred[str]:
        """Do a step."""
        return self._step(("answer", sdp), "answer sdp")

    def take(self, sdp: str) -> Deferred[None]:
        """Do a step."""
        return self._step(("take", sdp), None)

    def add(self, candidate: IceCandidate) -> Deferred[None]:
        """Do a step."""
        return self._step(("add", candidate), None)

    def restarts(self, sdp: str) -> bool:
        """Tell by a word."""
        return "restart" in sdp

    def send(self, note: bytes) -> None:
        """Remember it."""
        self.log.append(("send", note))

    def close(self) -> Deferred[None]:
        """Close."""
        self.is_closed, self.is_flowing = True, False
        self.log.append("close")
        return succeed(None)

    def _step(self, name: Any, result: Any) -> Deferred[Any]:
        self.log.append(name)
        if self.is_bad:
            return fail(ValueError("v=0 is none of your business"))
        if not self.is_slow:
            return succeed(result)
        self.waiting.append(Deferred())
        return self.waiting[-1].addCallback(lambda _: result)


class ConnectionCase(SynchronousTestCase):
    """One side of a connection, whose other side is the test."""

    offers = True

    def setUp(self) -> None:
        """Begin."""
        self.clock = Clock()
        self.log: list[Any] = []
        self.said: list[Relayed] = []
        self.flows: list[bool] = []
        self.notes: list[str | bytes] = []
        self.reports: list[str] = []
        self.wires: list[Wire] = []
        self.openings = 0
        self.misses = 0
        self.connection = Connection(self.offers, self.build, self, self.clock)
        self.addCleanup(lambda: self.assertEqual([], self.clock.getDelayedCalls()))
        self.addCleanup(self.end)

    def build(self, connection: Connection) -> Wire:
        """Make another wire."""
        self.wires.append(Wire(connection, self.log))
        return self.wires[-1]

    @property
    def wire(self) -> Wire:
        """The present one."""
        return self.wires[-1]

    def say(self, message: Relayed) -> None:
        """Remember a message."""
        self.said.append(message)

    def flowed(self, is_flowing: bool) -> None:
        """Remember it."""
        self.flows.append(is_flowing)

    def missed(self) -> None:
        """Remember it."""
        self.misses += 1

    def opened(self) -> None:
        """Remember it."""
        self.openings += 1

    def heard(self, note: str | bytes) -> None:
        """Remember it."""
        self.notes.append(note)

    def described(self) -> None:
        """Remember it."""
        self.log.append("described")

    def report(self, what: str) -> None:
        """Remember it."""
        self.reports.append(what)

    def take_said(self) -> list[Relayed]:
        """The messages that it has sent since the last call."""
        said, self.said = self.said, []
        return said

    def wait(self, seconds: float) -> None:
        """Let time pass, and a bit."""
        self.clock.pump([LOOK_EVERY] * round(seconds / LOOK_EVERY + 1))

    def end(self) -> None:
        """End it."""
        self.connection.close()
