"""The settings of a phone by its devices, without HTTP (protocol §1)."""

from __future__ import annotations

from collections.abc import Collection

from msgspec import UNSET, UnsetType
from msgspec.structs import replace
from twisted.internet.defer import Deferred

from callnet.accounts.enrolment import PhoneRule
from callnet.accounts.tokens import Tokens
from callnet.calls.preferences import QuietHours, time_zone
from callnet.errors import DataInvalid, PhoneInvalid
from callnet.model import LISTED_MAX
from callnet.storage.preferences import PhoneSettings, SqlPhoneSettings, WhoMayCall


class SettingsOfPhones:
    """Shows devices the settings of their phone, and changes them.

    :param contacts_only: whether nobody but contacts may call any phone, whatever that has set.
    """

    def __init__(
        self, settings: SqlPhoneSettings, tokens: Tokens, phone_rule: PhoneRule, contacts_only: bool = False
    ) -> None:
        self._contacts_only = contacts_only
        self._settings = settings
        self._tokens = tokens
        self._phones = phone_rule

    def change(
        self,
        token: str,
        quiet: QuietHours | UnsetType | None = UNSET,
        answered: Collection[str] | UnsetType = UNSET,
        who_may_call: WhoMayCall | UnsetType = UNSET,
        until: float | UnsetType | None = UNSET,
        through: Collection[str] | UnsetType = UNSET,
        again: bool | UnsetType = UNSET,
    ) -> Deferred[PhoneSettings]:
        """Change settings of the token's phone, and return all.

        :param quiet: the hours in which the phone rings for its own devices only; ``None``: there are none.
        :param answered: the phones whose calls its devices may answer automatically.
        :param who_may_call: the answer is ``contacts`` whatever this is, if that holds for all phones.
        :param until: the time before which the phone rings for its own devices only, whatever the hours, in seconds
            since 1970; ``None``: there is none, as in the answer once it is over.
        :param through: the phones for whose devices it rings in quiet hours and before that time, too.
        :param again: whether it then rings for each phone that may call and calls again (protocol §2.4, step 5).
        :raises TokenInvalid: the token is not valid.
        :raises DataInvalid: the time zone is not known, or too many phones are named.
        :raises PhoneInvalid: one of them is not acceptable, or the token's own.
        :raises Unavailable: the database cannot be reached.
        """
        return Deferred.fromCoroutine(self._change(token, quiet, answered, who_may_call, until, through, again))

    async def _change(
        self,
        token: str,
        quiet: QuietHours | UnsetType | None,
        answered: Collection[str] | UnsetType,
        who_may_call: WhoMayCall | UnsetType,
        until: float | UnsetType | None,
        through: Collection[str] | UnsetType,
        again: bool | UnsetType,
    ) -> PhoneSettings:
        phone = self._tokens.verify(token).device.phone
        if isinstance(quiet, QuietHours) and time_zone(quiet.time_zone) is None:
            raise DataInvalid("do_not_disturb: unknown time_zone")
        if not isinstance(answered, UnsetType):
            answered = self._read_phones(phone, answered, "auto_answer")
        if not isinstance(through, UnsetType):
            through = self._read_phones(phone, through, "rings_through")
        now = self._tokens.now()
        found = await self._settings.change(phone, quiet, answered, now, who_may_call, until, through, again)
        if found.quiet_until is not None and found.quiet_until <= now:
            found = replace(found, quiet_until=None)
        return replace(found, who_may_call="contacts") if self._contacts_only else found

    def _read_phones(self, owner: str, texts: Collection[str], field: str) -> Collection[str]:
        if len(texts) > LISTED_MAX:
            raise DataInvalid(f"{field} takes at most {LISTED_MAX} phones")
        phones = frozenset(self._phones.require(text, field) for text in texts)
        if owner in phones:
            raise PhoneInvalid(f"{field} contains the caller's own number")
        return phones
