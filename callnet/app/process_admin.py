"""Orders of the operator to one process: calls, devices, the log."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator, Sequence
from itertools import islice
from typing import Any, ClassVar, Final

from msgspec import Struct
from twisted.internet.defer import Deferred

from callnet.accounts.links import Links
from callnet.accounts.logins import Logins
from callnet.calls.counts import FailedCall
from callnet.calls.records import CallRecord
from callnet.calls.rooms import RoomManager
from callnet.model import DeviceAddress, log_name
from callnet.ops.admin_commands import (
    AdminCommand,
    AdminResult,
    CallShown,
    ChooseLevel,
    DeviceShown,
    Disconnect,
    EndCall,
    FailureShown,
    LinkShown,
    ListCalls,
    ListDevices,
    ListFailures,
    ListLinks,
    ListNodes,
    Named,
    NodeShown,
    RemoveLink,
    Revoke,
)
from callnet.storage.links import StoredLink
from callnet.util.logger import Logger, threshold
from callnet.ws.device_socket import Peer, SignalingFactory

_DONE: Final = AdminResult(done=1)
_NOT_DONE: Final = AdminResult()


class Administered(Struct, frozen=True):
    """Does what it is ordered to do."""

    _log: ClassVar = Logger()

    _rooms: RoomManager
    _devices: SignalingFactory
    _logins: Logins
    _links: Links
    _nodes: Callable[[], Deferred[Sequence[NodeShown]]]

    def execute(self, order: AdminCommand) -> Deferred[AdminResult]:
        """Carry out an order.

        :raises callnet.errors.Unavailable: the database is needed, and away.
        """
        return Deferred.fromCoroutine(_WAYS[type(order)](self, order))

    async def list_calls(self, order: ListCalls) -> AdminResult:
        """Name calls that go on."""
        now = self._rooms.now()
        return AdminResult(calls=[_call(call, now) for call in islice(self._rooms.local_calls.calls(), order.limit)])

    async def list_devices(self, order: ListDevices) -> AdminResult:
        """Name devices that are connected."""
        return AdminResult(devices=[self._device(peer) for peer in islice(self._peers(order.phone), order.limit)])

    async def list_failures(self, order: ListFailures) -> AdminResult:
        """Name calls that failed, the newest first."""
        now = self._rooms.now()
        newest = islice(reversed(self._rooms.counts.recent), order.limit)
        return AdminResult(failures=[_failure(failed, now) for failed in newest])

    async def list_nodes(self, _order: ListNodes) -> AdminResult:
        """Name all nodes."""
        return AdminResult(nodes=await self._nodes())

    async def end_call(self, order: EndCall) -> AdminResult:
        """End a call."""
        for call in self._rooms.local_calls.calls():
            if log_name(call.room) == order.call:
                self._log.info("ending call {call} for the operator", call=order.call)
                await self._rooms.stop_call(call.room)
                return _DONE
        return _NOT_DONE

    async def disconnect(self, order: Disconnect) -> AdminResult:
        """Close the sockets of a device."""
        found = [peer for peer in self._peers(order.phone) if peer.token.device.device_id == order.device_id]
        for peer in found:
            peer.go_away()
        return _DONE if found else _NOT_DONE

    async def revoke(self, order: Revoke) -> AdminResult:
        """Revoke tokens."""
        await self._logins.revoke(DeviceAddress(order.phone, order.device_id))
        return _DONE

    async def list_links(self, order: ListLinks) -> AdminResult:
        """Name the links of a phone."""
        return AdminResult(links=[_link(link) for link in await self._links.of_phone(order.phone)])

    async def remove_link(self, order: RemoveLink) -> AdminResult:
        """Remove a link."""
        return _DONE if await self._links.discard(order.phone, order.link_id) else _NOT_DONE

    async def choose_level(self, order: ChooseLevel) -> AdminResult:
        """Log from another level on."""
        threshold.choose(order.level)
        return _DONE

    def _peers(self, phone: str | None) -> Iterator[Peer]:
        if phone is not None:
            yield from self._devices.phones.of(phone)
            return
        for socket in list(self._devices.sockets):
            if isinstance(socket, Peer) and socket.is_admitted:
                yield socket

    def _device(self, peer: Peer) -> DeviceShown:
        device, session = peer.token.device, peer.session
        call = self._rooms.local_calls.of(device)
        age = max(0.0, self._rooms.now() - session.generation / 1000) if session.generation else 0.0
        name = None if call is None else log_name(call.room)
        return DeviceShown(device.phone, device.device_id, session.extended, age, peer.host, name)


def _link(link: StoredLink) -> LinkShown:
    return LinkShown(link.id, link.name, link.is_on, link.expires_at, link.calls_left, link.made_at, link.last_used_at)


def _call(call: CallRecord, now: float) -> CallShown:
    answered = None if call.answer is None else max(0.0, now - call.answer.since)
    return CallShown(
        log_name(call.room),
        "ringing" if call.answer is None else "active",
        Named(*call.caller),
        Named(*(call.callee or call.target)),
        max(0.0, now - call.placed_at),
        answered,
    )


def _failure(failed: FailedCall, now: float) -> FailureShown:
    name = None if failed.room is None else log_name(failed.room)
    ago = max(0.0, now - failed.at)
    return FailureShown(name, ago, Named(*failed.caller), Named(*failed.target), failed.reason.value)


_WAYS: Final[dict[type, Callable[[Administered, Any], Coroutine[Any, Any, AdminResult]]]] = {
    ListCalls: Administered.list_calls,
    ListDevices: Administered.list_devices,
    ListFailures: Administered.list_failures,
    ListNodes: Administered.list_nodes,
    EndCall: Administered.end_call,
    Disconnect: Administered.disconnect,
    Revoke: Administered.revoke,
    ListLinks: Administered.list_links,
    RemoveLink: Administered.remove_link,
    ChooseLevel: Administered.choose_level,
}
