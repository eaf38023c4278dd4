"""The settings of a phone by its devices, without HTTP (protocol §1)."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import UnsetType
from msgspec.structs import replace

from callnet.accounts.enrolment import PhoneRule
from callnet.accounts.tokens import Tokens
from callnet.calls.preferences import QuietHours, time_zone
from callnet.errors import DataInvalid, PhoneInvalid
from callnet.model import LISTED_MAX
from callnet.storage.preferences import PhoneSettings, SettingsChange, SqlPreferences
from callnet.util.deferreds import as_deferred


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
