"""The preferences of phones: cached, to spare calls queries (protocol §2.4, step 5), and set by their devices (§1)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Collection, Mapping
from itertools import islice
from typing import Final
from weakref import WeakValueDictionary

from msgspec import Struct, UnsetType
from msgspec.structs import replace
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure
from zope.interface import implementer

from callnet.accounts.tokens import Tokens
from callnet.accounts.validation import PhoneRule
from callnet.calls.ports import IPreferences
from callnet.calls.preferences import ANYONE, NOBODY, PLAIN, UNREADABLE, Policy, Preferences, QuietHours, time_zone
from callnet.errors import DataInvalid, PhoneInvalid, Unavailable
from callnet.model import LISTED_MAX, is_guest
from callnet.storage.preferences import PhoneSettings, SettingsChange, SqlPreferences
from callnet.util.deferreds import Ready, Soon, as_deferred, logged_unless_unavailable
from callnet.util.logger import Logger

KNOWN_MAX: Final = 100_000
"""The maximum number of cached phones: more than a process has devices."""
PARTICULAR_MAX: Final = 200_000
"""The maximum number of phones with preferences of a kind that are listed, so that the others need no query."""
PATIENCE: Final = 0.5
"""Seconds that a connecting device waits for the policy of its phone."""
_TOGETHER: Final = 500
"""The maximum number of phones in one query."""

log = Logger()
_failed = logged_unless_unavailable(log, "failed to load the settings of phones")


class Particular(Struct, frozen=True):
    """The phones with preferences; ``None``: the list is not complete."""

    restricted: set[str] | None = None
    """Phones with restricted callers or hours, or with devices that can be woken."""
    announced: set[str] | None = None
    """Phones with names for others, or with automatic answers."""


@implementer(IPreferences)
class KnownPreferences:
    """Preferences, read when a device logs in or connects, and again after changes.

    While the database is away the cached ones hold. A phone whose preferences have never been read receives no calls
    until they are.
    """

    def __init__(self, records: SqlPreferences, clock: IReactorTime) -> None:
        self._records = records
        self._clock = clock
        self._known: OrderedDict[str, Preferences] = OrderedDict()
        self._in_use: WeakValueDictionary[str, Preferences] = WeakValueDictionary()
        """The preferences in use by sessions, of any age."""
        self._waiting: dict[str, list[Deferred[Preferences]]] = {}
        self._to_read: dict[str, None] = {}
        self._is_reading = False
        self._particular = Particular()
        self._owed: set[str] = set()
        """Phones whose receivers are told of the next read, whatever it finds: they could not be read, and receive no
        calls; or they have changed, and no connection here has cached them."""
        self._patience: IDelayedCall | None = None
        self._receivers: list[Callable[[str, Preferences], Deferred[None]]] = []

    def subscribe(self, changed: Callable[[str, Preferences], Deferred[None]]) -> None:
        """See :meth:`IPreferences.subscribe`."""
        self._receivers.append(changed)

    def policy_of(self, phone: str) -> Soon[Policy]:
        """See :meth:`IPreferences.policy_of`. Nobody calls a guest."""
        if is_guest(phone):
            return Ready(NOBODY)
        known = self._known.get(phone) or self._in_use.get(phone)
        if known is not None:
            return Ready(known.policy)
        if _is_without(self._particular.restricted, phone):
            return Ready(ANYONE)
        return self._ask(phone).addCallback(lambda found: found.policy)

    def of(self, phone: str) -> Soon[Preferences]:
        """See :meth:`IPreferences.of`."""
        if is_guest(phone):
            return Ready(UNREADABLE)
        known = self._known_of(phone)
        return self._ask(phone) if known is None else Ready(known)

    def _known_of(self, phone: str) -> Preferences | None:
        known = self._known.get(phone) or self._in_use.get(phone)
        if known is not None:
            return known
        particular = self._particular
        is_plain = _is_without(particular.restricted, phone) and _is_without(particular.announced, phone)
        return PLAIN if is_plain else None

    def _ask(self, phone: str) -> Deferred[Preferences]:
        waiting: Deferred[Preferences] = Deferred()
        if phone in self._waiting:
            self._waiting[phone].append(waiting)
            return waiting
        self._waiting[phone] = [waiting]
        if self._patience is None:
            self._patience = self._clock.callLater(PATIENCE, self._lose_patience)
        self._to_read[phone] = None
        self._read()
        return waiting

    def look_again(self, phones: Collection[str]) -> None:
        """Read these, cached or not, since their devices may sleep, and all phones after failed reads."""
        self._owed.update(phone for phone in phones if self._known_of(phone) is None)
        self._to_read.update(dict.fromkeys((*phones, *self._owed)))
        self._read()

    @as_deferred
    async def begin(self) -> None:
        """Read the list of phones with preferences, and clear the cache; entries in use are read again.

        :raises Unavailable: the database cannot be reached.
        """
        restricted = await self._records.restricted(PARTICULAR_MAX)
        announced = await self._records.announced(PARTICULAR_MAX)
        before, self._particular = self._particular, Particular(_as_set(restricted), _as_set(announced))
        self._known.clear()
        for phone in _added(before.restricted, restricted) | _added(before.announced, announced):
            self._known[phone] = PLAIN  # the value assumed until now, so that the read reports a change
        self._to_read.update(dict.fromkeys((*self._known, *self._in_use, *self._owed)))
        self._read()

    def stop(self) -> None:
        """Answer all waiting queries."""
        if self._patience is not None:
            self._patience.cancel()
            self._lose_patience()

    def _lose_patience(self) -> None:
        self._patience = None
        self._refuse(list(self._waiting))

    def _refuse(self, phones: Collection[str]) -> None:
        self._owed.update(phones)
        for phone in phones:
            self._answer(phone, UNREADABLE)

    def _answer(self, phone: str, found: Preferences) -> None:
        for waiting in self._waiting.pop(phone, ()):
            waiting.callback(found)

    # Reads of several phones together

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

    def _found(self, found: Mapping[str, Preferences]) -> None:
        for phone, preferences in found.items():
            before = self._known_of(phone)
            self._remember(phone, preferences)
            is_news = phone in self._owed or before not in (None, preferences)
            self._owed.discard(phone)
            self._answer(phone, preferences)
            if is_news:
                for changed in self._receivers:
                    changed(phone, preferences).addErrback(_failed)
        while len(self._known) > KNOWN_MAX:
            self._known.popitem(last=False)
        if not self._waiting and self._patience is not None:
            self._patience.cancel()
            self._patience = None

    def _remember(self, phone: str, found: Preferences) -> None:
        self._known.pop(phone, None)
        restricted, announced = self._particular.restricted, self._particular.announced
        if restricted is not None:
            _put(restricted, phone, found.policy != ANYONE)
        if announced is not None:
            _put(announced, phone, bool(found.names or found.auto_answer))
        self._in_use.pop(phone, None)
        if self._known_of(phone) != found:
            self._known[phone] = self._in_use[phone] = found

    def _not_found(self, failure: Failure, phones: Collection[str]) -> None:
        self._refuse([phone for phone in phones if phone not in self._known])
        self._owed.update(phones)
        failure.trap(Unavailable)


def _is_without(phones: set[str] | None, phone: str) -> bool:
    return phones is not None and phone not in phones


def _as_set(phones: Collection[str] | None) -> set[str] | None:
    return None if phones is None else set(phones)


def _added(before: Collection[str] | None, now: Collection[str] | None) -> set[str]:
    return set() if before is None or now is None else set(now).difference(before)


def _put(phones: set[str], phone: str, is_in: bool) -> None:
    if is_in:
        phones.add(phone)
    else:
        phones.discard(phone)


class SettingsOfPhones:
    """Shows devices the settings of their phone, and changes them.

    :param contacts_only: whether nobody but contacts may call any phone, whatever that has set.
    """

    def __init__(
        self, settings: SqlPreferences, tokens: Tokens, phone_rule: PhoneRule, contacts_only: bool = False
    ) -> None:
        self._contacts_only = contacts_only
        self._settings = settings
        self._tokens = tokens
        self._phones = phone_rule

    @as_deferred
    async def change(self, token: str, wanted: SettingsChange) -> PhoneSettings:
        """Change settings of the token's phone, and return all.

        The answer has ``contacts`` for who may call if that holds for all phones, and no time that is over.

        :raises TokenInvalid: the token is not valid.
        :raises DataInvalid: the time zone is not known, or too many phones are named.
        :raises PhoneInvalid: one of them is not acceptable, or the token's own.
        :raises Unavailable: the database cannot be reached.
        """
        phone = self._tokens.verify(token).device.phone
        if isinstance(wanted.quiet, QuietHours) and time_zone(wanted.quiet.time_zone) is None:
            raise DataInvalid("do_not_disturb: unknown time_zone")
        answered = self._read_phones(phone, wanted.auto_answer, "auto_answer")
        through = self._read_phones(phone, wanted.rings_through, "rings_through")
        now = self._tokens.now()
        found = await self._settings.change(phone, replace(wanted, auto_answer=answered, rings_through=through), now)
        if found.quiet_until is not None and found.quiet_until <= now:
            found = replace(found, quiet_until=None)
        return replace(found, who_may_call="contacts") if self._contacts_only else found

    def _read_phones(self, owner: str, texts: Collection[str] | UnsetType, field: str) -> Collection[str] | UnsetType:
        if isinstance(texts, UnsetType):
            return texts
        if len(texts) > LISTED_MAX:
            raise DataInvalid(f"{field} takes at most {LISTED_MAX} phones")
        phones = frozenset(self._phones.require(text, field) for text in texts)
        if owner in phones:
            raise PhoneInvalid(f"{field} contains the caller's own number")
        return phones
