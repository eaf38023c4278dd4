"""What is decided about devices elsewhere than in calls: that one may not go on, and who may call it."""

from __future__ import annotations

from callnet.calls import events
from callnet.calls.decisions import Decisions
from callnet.calls.retries import Retries
from callnet.calls.sessions import DeviceSession
from callnet.calls.turns import Turns
from callnet.errors import Unavailable
from callnet.model import EVERY_DEVICE, DeviceAddress
from callnet.records import Policy
from callnet.soon import Soon


class Orders:
    """They are carried out when the store is back, if it is away."""

    def __init__(self, decisions: Decisions, retries: Retries, turns: Turns) -> None:
        self._decisions = decisions
        self._retries = retries
        self._turns = turns

    def revoke(self, session: DeviceSession) -> Soon[None]:
        """Let a device leave its call since the token of this connection was revoked, which is about to be closed."""
        device = session.address
        return self._turns.take(device, lambda: self._settle(events.Revoked(device, session.generation)))

    def revoke_absent(self, device: DeviceAddress) -> Soon[None]:
        """Let a device leave its call that has no connection; ``*``: all such devices of its phone."""
        return self._turns.take(device, lambda: self._settle(events.Revoked(device, None)))

    def change_policy(self, phone: str, policy: Policy) -> Soon[None]:
        """Let it be known who may call a phone from now on."""
        every = DeviceAddress(phone, EVERY_DEVICE)
        return self._turns.take(every, lambda: self._settle(events.PolicyChanged(every, policy)))

    async def _settle(self, event: events.Revoked | events.PolicyChanged) -> None:
        try:
            await self._decisions.settle(event)
        except Unavailable:
            self._retries.keep(event)
