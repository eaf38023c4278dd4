"""A device's new connection is made known, under a generation that is greater than those of all others."""

from __future__ import annotations

from typing import Final, cast

from twisted.internet.interfaces import IReactorTime

from callnet.calls import events
from callnet.calls.decisions import Decisions, InDoubt
from callnet.calls.registration import Attached, Overtaken
from callnet.calls.retries import Retries
from callnet.calls.rules import Decision
from callnet.errors import Unavailable
from callnet.interfaces import ICallStore
from callnet.model import DeviceAddress, RoomId
from callnet.records import Known, Policy

_TRIES: Final = 3


class ConnectedInDoubt(Unavailable):
    """It is not known which connection of the device is the newest: there is to be none on this node."""


class Connecting:
    """Tries until it is known what came of it."""

    def __init__(self, store: ICallStore, clock: IReactorTime, decisions: Decisions, retries: Retries) -> None:
        self._store = store
        self._clock = clock
        self._decisions = decisions
        self._retries = retries

    async def connect(
        self,
        device: DeviceAddress,
        last: tuple[tuple[Known, ...] | None, RoomId | None],
        opened_at: float,
        policy: Policy,
        extended: bool,
    ) -> Attached | Overtaken:
        """Make a connection known that opened then, by the clock of this node.

        :param last: ``known`` and ``owed`` of :class:`callnet.calls.events.Connected`.
        :raises Unavailable: it cannot be known whether it is, or (:class:`ConnectedInDoubt`) may have been.
        """
        # Whatever became of the try before: each makes a connection that is newer than all others.
        connected = events.ExtendedConnected if extended else events.Connected
        known, owed = last
        doubts: list[Attached | Overtaken] = []
        tried = 0
        failure = Unavailable()
        for _ in range(_TRIES):
            since = opened_at + (self._store.now() - self._clock.seconds())
            opened = connected(device, self._store.node, known, since, tried, policy, owed=owed)
            reply: Attached | Overtaken
            try:
                reply = _reply(await self._decisions.settled(opened))
            except InDoubt as doubt:
                failure = doubt
                reply = _reply(doubt.decision)
                doubts.append(reply)
                if isinstance(reply, Attached):
                    tried = reply.generation
            except Unavailable as unavailable:
                failure = unavailable  # the store was found to be away: next time this node goes on without it
            else:
                return reply
        if not doubts:
            raise failure
        self._undo(device, doubts)
        raise ConnectedInDoubt from failure

    def _undo(self, device: DeviceAddress, replies: list[Attached | Overtaken]) -> None:
        for reply in replies:
            if isinstance(reply, Attached):
                self._retries.keep(events.Disconnected(device, reply.generation))


def _reply(decision: Decision) -> Attached | Overtaken:
    return cast(Attached | Overtaken, decision.reply)  # that is what the rule of a connection answers
