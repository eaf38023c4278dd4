"""Who may call which phone, remembered so that no call asks the database (protocol §2.4, step 5)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import Final

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from callnet.errors import Unavailable
from callnet.interfaces import IPolicies, IPolicyRecords
from callnet.records import ANYONE, NOBODY, Policy
from callnet.soon import Ready, Soon, or_else

KNOWN_MAX: Final = 100_000
"""Phones that are remembered: more than a process has devices."""
RESTRICTED_MAX: Final = 200_000
"""If not more phones than these have blocked anybody, it is known which, so that no others need be asked for."""
PATIENCE: Final = 0.5
"""Seconds that a device waits, when it connects, until it is known who may call it."""
_TOGETHER: Final = 500
"""Phones that are read together."""

log = Logger()


@implementer(IPolicies)
class Policies:
    """What is read when a device logs in or connects, and read again when it has changed.

    While the database is away what was read last holds. A phone that was never read nobody may call, until it can
    be read.
    """

    def __init__(self, records: IPolicyRecords, clock: IReactorTime) -> None:
        self._records = records
        self._clock = clock
        self._known: OrderedDict[str, Policy] = OrderedDict()
        self._waiting: dict[str, list[Deferred[Policy]]] = {}
        self._to_read: dict[str, None] = {}
        self._is_reading = False
        self._restricted: set[str] | None = None
        """The phones that not everybody may call, if it is known of all of them that they are."""
        self._owed: set[str] = set()
        """Phones of which nobody may call them since they could not be read."""
        self._patience: IDelayedCall | None = None
        self.changed: Callable[[str, Policy], Soon[None]]
        """Called when it has changed who may call a phone."""

    def of(self, phone: str) -> Soon[Policy]:
        """See :meth:`IPolicies.of`."""
        known = self._known_of(phone)
        if known is not None:
            return Ready(known)
        waiting: Deferred[Policy] = Deferred()
        if phone in self._waiting:
            self._waiting[phone].append(waiting)
            return waiting
        self._waiting[phone] = [waiting]
        if self._patience is None:
            self._patience = self._clock.callLater(PATIENCE, self._lose_patience)
        self._to_read[phone] = None
        self._read()
        return waiting

    def _known_of(self, phone: str) -> Policy | None:
        known = self._known.get(phone)
        if known is None and self._restricted is not None and phone not in self._restricted:
            return ANYONE
        return known

    def look_again(self, phones: Collection[str]) -> None:
        """Read these again, if anybody here knows something of them, and all that could not be read before."""
        changed = (phone for phone in phones if self._known_of(phone) is not None or phone in self._waiting)
        self._to_read.update(dict.fromkeys((*changed, *self._owed)))
        self._read()

    def begin(self) -> Deferred[None]:
        """Find out who has blocked anybody at all: few, as a rule.

        :raises Unavailable: the database cannot be reached.
        """
        return self._records.restricted(RESTRICTED_MAX).addCallback(self._found_all)

    def _found_all(self, restricted: Collection[str] | None) -> None:
        self._restricted = None if restricted is None else set(restricted)

    def stop(self) -> None:
        """Let nobody wait any more."""
        if self._patience is not None:
            self._patience.cancel()
            self._lose_patience()

    def _lose_patience(self) -> None:
        self._patience = None
        self._refuse(list(self._waiting))

    def _refuse(self, phones: Collection[str]) -> None:
        self._owed.update(phones)
        for phone in phones:
            self._answer(phone, NOBODY)

    def _answer(self, phone: str, policy: Policy) -> None:
        for waiting in self._waiting.pop(phone, ()):
            waiting.callback(policy)

    # Reading, all that is to be read together

    def _read(self) -> None:
        if self._is_reading or not self._to_read:
            return
        self._is_reading = True
        some = list(islice(self._to_read, _TOGETHER))
        for phone in some:
            del self._to_read[phone]
        reading = self._records.read(some).addCallbacks(self._found, self._not_found, errbackArgs=(some,))
        reading.addErrback(_failed).addCallback(lambda _: self._go_on())

    def _go_on(self) -> None:
        self._is_reading = False
        self._read()

    def _found(self, found: Mapping[str, Policy]) -> None:
        for phone, policy in found.items():
            before = self._known_of(phone)
            self._remember(phone, policy)
            is_news = phone in self._owed or before not in (None, policy)
            self._owed.discard(phone)
            self._answer(phone, policy)
            if is_news:
                or_else(self.changed(phone, policy), _failed)
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        if not self._waiting and self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _remember(self, phone: str, policy: Policy) -> None:
        self._known.pop(phone, None)
        if self._restricted is None:
            self._known[phone] = policy
        elif policy == ANYONE:
            self._restricted.discard(phone)
        else:
            self._known[phone] = policy
            self._restricted.add(phone)

    def _not_found(self, failure: Failure, phones: Collection[str]) -> None:
        self._refuse([phone for phone in phones if phone not in self._known])
        self._owed.update(phones)
        failure.trap(Unavailable)


def _failed(failure: Failure) -> None:
    if not failure.check(Unavailable):
        log.failure("finding out who may call whom", failure)
