"""The media connection with one session of the other side: negotiation and repair.

Of the two sides one offers, always the same one; the other requests an offer (docs/room.md). This side cannot restart
ICE, since aiortc cannot. So it begins a new connection wherever a page would restart: the offerer builds one on a
request to restart, the answerer requests one when it is offered a restart.

=========================== =================================== ==============================
event                       this side offers                    this side answers
=========================== =================================== ==============================
start                       waits for a request                 requests an offer
``negotiate``, ``restart``  builds; just built: repeats it      –
``offer``, of another       –                                   builds, answers
``offer``, of the present   –                                   answers; restart: requests
``answer``                  applies it                          –
``candidate``               applies it                          applies it
lost                        builds                              requests an offer
no success                  builds again                        requests again
=========================== =================================== ==============================

Messages about another connection than the present one are old, and ignored.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.defer import Deferred, DeferredLock, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger
from twisted.python.failure import Failure

from callnet_client.relayed import Answer, Candidate, IceCandidate, Negotiate, Offer, Relayed, Restart

log: Final = Logger()

LOOK_EVERY: Final = 0.5
"""Seconds between two checks."""
FIRST_PATIENCE: Final = 8.0
"""Seconds for an attempt before a new connection is built, the first time ..."""
LONGEST_PATIENCE: Final = 20.0
"""... and the maximum."""
ASK_EVERY: Final = 2.0
"""Seconds until a missing offer is requested again."""
FRESH_FOR: Final = 3.0
"""Seconds for which a new connection counts as the answer to a request."""
FAREWELL: Final = 0.3
"""Seconds for the last note to reach the other side."""


class Peer(Protocol):
    """One WebRTC connection. Its Deferreds may fail with any error, since they process data of the other side."""

    @property
    def is_flowing(self) -> bool:
        """True while media is sent and received."""

    @property
    def is_missed(self) -> bool:
        """True if nothing has come for a moment though media was sent."""

    @property
    def is_lost(self) -> bool:
        """True if it was up, and has since failed, been closed or been silent for too long."""

    @property
    def descriptions(self) -> tuple[str, str]:
        """The current ones: this side's, the other side's."""

    def offer(self) -> Deferred[str]:
        """Create an offer."""

    def answer(self, sdp: str) -> Deferred[str]:
        """Create an answer."""

    def take(self, sdp: str) -> Deferred[None]:
        """Apply an answer of the other side."""

    def restarts(self, sdp: str) -> bool:
        """Return whether an offer restarts ICE on the connection."""

    def add(self, candidate: IceCandidate) -> Deferred[None]:
        """Add a candidate of the other side."""

    def send(self, note: bytes) -> None:
        """Send a note, if the channel is open."""

    def close(self) -> Deferred[None]:
        """Close the connection, without further reports."""


class Party(Protocol):
    """The owner of a connection."""

    def say(self, message: Relayed) -> None:
        """Send a message to the other side through the room."""

    def flowed(self, is_flowing: bool) -> None:
        """Handle that media began or ceased to flow."""

    def missed(self) -> None:
        """Handle that nothing comes any more: this side may be on another network."""

    def opened(self) -> None:
        """Handle that notes can be sent."""

    def heard(self, note: str | bytes) -> None:
        """Handle any note of the other side."""

    def described(self) -> None:
        """Handle new descriptions."""

    def report(self, what: str) -> None:
        """Report an error, in a few words."""


class Connection:
    """The connection with one session of the other side.

    :param offers: true if this side makes the offers.
    :param build: makes a :class:`Peer`, which calls :meth:`changed`, :meth:`opened` and :meth:`heard`.
    """

    def __init__(self, offers: bool, build: Callable[[Connection], Peer], party: Party, clock: IReactorTime) -> None:
        self.offers: Final = offers
        self._build = build
        self._party = party
        self._clock = clock
        self._peer: Peer | None = None
        self._id = ""
        self._described: Offer | Answer | None = None
        """The last description sent for the present connection."""
        self._steps = DeferredLock()
        self._was_flowing = False
        self._was_missed = False
        self._reachable = True
        self._attempted_at: float | None = None
        self._is_asking = False
        self._is_answered = False
        self._is_outdated = False
        """True if the other side has offered a restart of it."""
        self._built_at = 0.0
        self._patience = FIRST_PATIENCE
        self._closing: list[Deferred[None]] = []
        self._looking = LoopingCall(self._look)
        self._looking.clock = clock
        self._looking.start(LOOK_EVERY, now=False).addErrback(
            lambda failure: log.failure("failed to connect media", failure)
        )
        if not offers:
            self._ask()

    @property
    def is_flowing(self) -> bool:
        """True while media flows."""
        return self._peer is not None and self._peer.is_flowing

    @property
    def descriptions(self) -> tuple[str, str]:
        """The current ones: this side's, the other side's; empty while there are none."""
        return ("", "") if self._peer is None else self._peer.descriptions

    def hear(self, message: Relayed) -> None:
        """Handle a message of the other side through the room."""
        match message:
            case Negotiate():
                self._asked()
            case Restart(connection) if connection == self._id:
                self._asked()
            case Offer() if not self.offers:
                self._offered(message)
            case Answer(connection) if self.offers and connection == self._id:
                self._enqueue(lambda peer: self._take(peer, message))
            case Candidate(connection, candidate) if connection == self._id:
                self._enqueue(lambda peer: peer.add(candidate))
            case _:
                pass

    def reach(self, is_reachable: bool) -> None:
        """Handle that the room reaches the other side, or no longer does."""
        is_back = is_reachable and not self._reachable
        self._reachable = is_reachable
        if is_back and not self.is_flowing and (self._peer is not None or not self.offers):
            self._renew()

    def send(self, note: bytes) -> None:
        """Send a note to the other side. It is lost while no media flows."""
        if self._peer is not None:
            self._peer.send(note)

    def close(self, farewell: bytes | None = None) -> Deferred[None]:
        """Close the connection, after a last note.

        :return: a Deferred that fires when everything is closed.
        """
        if self._looking.running:
            self._looking.stop()
        peer, self._peer = self._peer, None
        self._id = ""
        if peer is not None and farewell is not None and peer.is_flowing:
            peer.send(farewell)
            self._drop(peer, deferLater(self._clock, FAREWELL))
        elif peer is not None:
            self._drop(peer)
        return gatherResults(self._closing).addCallback(lambda _: None)

    def changed(self, peer: Peer) -> None:
        """Handle a change of a peer."""
        if peer is not self._peer:
            return
        if self._is_well:
            self._attempted_at = None
            self._patience = FIRST_PATIENCE
        if peer.is_flowing != self._was_flowing:
            self._was_flowing = peer.is_flowing
            self._party.flowed(self._was_flowing)

    def opened(self, peer: Peer) -> None:
        """Handle that a peer's channel has opened."""
        if peer is self._peer:
            self._party.opened()

    def heard(self, peer: Peer, note: str | bytes) -> None:
        """Handle a message of a peer's channel."""
        if peer is self._peer:
            self._party.heard(note)

    # Repairing

    @property
    def _is_well(self) -> bool:
        return self.is_flowing and not self._is_outdated

    def _look(self) -> None:
        if self._peer is not None:
            self.changed(self._peer)
            is_missed = self._peer.is_missed
            if is_missed and not self._was_missed:
                self._party.missed()
            self._was_missed = is_missed
        if self._is_well or not self._reachable:
            return
        if self._attempted_at is None:
            if self._peer is not None and self._peer.is_lost:
                self._renew()
        elif self._clock.seconds() - self._attempted_at >= (ASK_EVERY if self._is_asking else self._patience):
            self._patience = min(LONGEST_PATIENCE, self._patience * 1.5)
            self._renew()

    def _renew(self) -> None:
        if self.offers:
            self._begin(secrets.token_hex(16))
            self._enqueue(self._offer)
        else:
            self._ask()

    def _ask(self) -> None:
        self._attempt(is_asking=True)
        self._party.say(Negotiate())

    def _asked(self) -> None:
        if not self.offers:
            return
        if self._peer is None or self._clock.seconds() - self._built_at >= FRESH_FOR:
            self._renew()
        elif self._described is not None and not self._is_answered:
            self._party.say(self._described)  # it may have been lost

    def _attempt(self, is_asking: bool) -> None:
        self._is_asking = is_asking
        self._attempted_at = self._clock.seconds()

    # One peer

    def _begin(self, connection: str) -> None:
        if self._peer is not None:
            self._drop(self._peer)
        # A step of a closed peer may never finish: it is left behind.
        self._steps = DeferredLock()
        self._id = connection
        self._described = None
        self._is_answered = self._is_outdated = False
        self._built_at = self._clock.seconds()
        self._attempt(is_asking=False)
        self._peer = self._build(self)
        self.changed(self._peer)

    def _drop(self, peer: Peer, after: Deferred[None] | None = None) -> None:
        """Close a peer, after ``after``."""
        closed = (after or succeed(None)).addCallback(lambda _: peer.close()).addErrback(self._failed)
        self._closing.append(closed)
        closed.addCallback(lambda _: self._closing.remove(closed))

    def _offered(self, offer: Offer) -> None:
        if offer.connection != self._id:
            self._begin(offer.connection)
        elif self._peer is not None and self._peer.restarts(offer.sdp):
            # Media may still flow, but not for the other side, or not for long.
            if not self._is_outdated:
                self._is_outdated = True
                self._ask()
            return
        self._enqueue(lambda peer: self._answer(peer, offer))

    async def _offer_it(self, peer: Peer) -> None:
        sdp = await peer.offer()
        if peer is self._peer:
            self._describe(Offer(self._id, 1, sdp))

    async def _answer_it(self, peer: Peer, offer: Offer) -> None:
        if self._described is not None and self._described.round == offer.round:
            self._party.say(self._described)  # it may have been lost
            return
        sdp = await peer.answer(offer.sdp)
        if peer is self._peer:
            self._describe(Answer(self._id, offer.round, sdp))
            self._party.described()

    def _describe(self, description: Offer | Answer) -> None:
        self._described = description
        self._party.say(description)

    def _offer(self, peer: Peer) -> Deferred[None]:
        return Deferred.fromCoroutine(self._offer_it(peer))

    def _answer(self, peer: Peer, offer: Offer) -> Deferred[None]:
        return Deferred.fromCoroutine(self._answer_it(peer, offer))

    def _take(self, peer: Peer, answer: Answer) -> Deferred[None]:
        if self._is_answered or self._described is None or answer.round != self._described.round:
            return succeed(None)
        self._is_answered = True
        return peer.take(answer.sdp)

    def _enqueue(self, step: Callable[[Peer], Deferred[None]]) -> None:
        """Run a step with the present peer, after its earlier steps. The watchdog repairs failures."""
        peer = self._peer
        if peer is None:
            return

        def run() -> Deferred[None]:
            return step(peer) if peer is self._peer else succeed(None)

        self._steps.run(run).addErrback(self._failed)

    def _failed(self, failure: Failure) -> None:
        """Report the kind of error only: its text may hold what the other side sent."""
        self._party.report(f"unusable message from the other side ({failure.type.__name__ if failure.type else '?'})")
