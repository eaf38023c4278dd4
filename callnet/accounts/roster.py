"""The contacts and missed calls of extended devices, read for several new connections together."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import islice
from typing import Final, NamedTuple

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from zope.interface import implementer

from callnet.calls.ports import IRoster, Roster
from callnet.errors import Unavailable
from callnet.model import DeviceAddress
from callnet.storage.history import SqlRoster
from callnet.util.deferreds import logged_unless_unavailable
from callnet.util.logger import Logger
from callnet.util.timers import EarliestTimer

AGAIN: Final = 5.0
"""Seconds until the database is tried again."""
GATHERED: Final = 1.0
"""Seconds for which departures are collected before they are written."""
WRITTEN_LATE: Final = 3.0
"""The maximum delay in seconds from the end of a call to its entry in the history."""
_TOGETHER: Final = 200

log = Logger()
_failed = logged_unless_unavailable(log, "failed to look up presence for devices")


class _Visit(NamedTuple):
    at: float
    """Its beginning, in seconds since 1970. The device has missed the calls after it, however late the database is."""
    told: Deferred[Roster] | None
    """Fires with the roster for the newest connection, if that is still there."""


@implementer(IRoster)
class CachedRoster:
    """The roster from the database. While that is away devices are told later, unless they have gone by then.

    :param now: the time, in seconds since 1970.
    """

    def __init__(self, records: SqlRoster, clock: IReactorTime, now: Callable[[], float]) -> None:
        self._records = records
        self._now = now
        self._waiting: dict[DeviceAddress, _Visit] = {}
        self._heard: dict[DeviceAddress, float] = {}
        self._alarm = EarliestTimer(clock, self._ask)
        self._asking: Deferred[None] = succeed(None)
        self._is_asking = False

    def came(self, device: DeviceAddress) -> Deferred[Roster]:
        """See :meth:`IRoster.came`."""
        told: Deferred[Roster] = Deferred()
        begun = self._waiting.pop(device, None)  # behind the others: who connects all the time holds nobody up
        self._waiting[device] = _Visit(self._now() if begun is None else begun.at, told)
        self._ask_in(0.0)
        return told

    def contacts_of(self, phone: str) -> Deferred[frozenset[str]]:
        """See :meth:`IRoster.contacts_of`."""
        return self._records.contacts_of(phone)

    def went(self, device: DeviceAddress) -> None:
        """See :meth:`IRoster.went`."""
        visit = self._waiting.get(device)
        if visit is not None:
            self._waiting[device] = visit._replace(told=None)  # its visit is recorded all the same
        else:
            self._has_heard(device, self._now() - WRITTEN_LATE)
        self._ask_in(GATHERED)

    def start(self) -> None:
        """Do nothing: the first device starts the reads."""

    def stop(self) -> Deferred[None]:
        """Write the departures, if possible, and stop. Fires when that is done."""
        self._alarm.stop()
        self._waiting = {}
        self._asking.addCallback(lambda _: self._tidy_up())
        return self._asking

    def _tidy_up(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._write_heard()).addErrback(_failed)

    def _ask_in(self, pause: float) -> None:
        if not self._is_asking:
            self._alarm.set_in(pause)

    def _ask(self) -> None:
        self._is_asking = True
        self._asking = Deferred.fromCoroutine(self._ask_all()).addErrback(_failed)
        self._asking.addCallback(lambda _: self._go_on())

    def _go_on(self) -> None:
        self._is_asking = False
        if self._waiting or self._heard:
            self._ask_in(AGAIN)

    async def _ask_all(self) -> None:
        await self._write_heard()
        while self._waiting:
            some = dict(islice(self._waiting.items(), _TOGETHER))
            self._tell(some, await self._records.met({device: visit.at for device, visit in some.items()}))
            await self._write_heard()

    async def _write_heard(self) -> None:
        if self._heard:
            heard, self._heard = self._heard, {}
            try:
                await self._records.heard(heard)
            except Unavailable:
                for device, until in heard.items():
                    self._has_heard(device, until)
                raise

    def _has_heard(self, device: DeviceAddress, until: float) -> None:
        self._heard[device] = max(until, self._heard.get(device, until))

    def _tell(self, visits: Mapping[DeviceAddress, _Visit], found: Mapping[DeviceAddress, Roster]) -> None:
        for device, visit in visits.items():
            if self._waiting.get(device) is not visit:
                continue  # it has come again or left since: the next lookup is for that
            del self._waiting[device]
            roster = found[device]
            if visit.told is not None:
                if roster.missed:
                    self._has_heard(device, roster.missed_until)
                visit.told.callback(roster)
