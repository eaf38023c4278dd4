"""Options and helpers that commands share."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click

from callnet.accounts.validation import is_well_formed_phone, phone_rule
from callnet.config.load import load
from callnet.config.schema import Settings
from callnet.errors import CallnetError


class CommandError(CallnetError):
    """The command failed; the message is shown to the user."""


def settings_of(context: click.Context) -> Settings:
    """The settings, from the file that ``--config`` or ``CALLNET_CONFIG`` names.

    :raises StartError: the file cannot be read, or a setting is wrong.
    """
    path: str | None = context.find_root().params["config"]
    return load(path, os.environ)


def read_phones(settings: Settings, *texts: str, are_there: bool = False) -> Sequence[str]:
    """The phone numbers that texts name by ``accounts.phone_format``.

    :param are_there: they are to be found, and may be older than this format; what it refuses is taken as it is.
    :raises CommandError: one names none.
    """
    rule = phone_rule(settings.accounts.phone_format)
    phones = []
    for text in texts:
        phone = rule.read(text)
        if phone is None and are_there and is_well_formed_phone(text):
            phone = text
        if phone is None:
            raise CommandError(f"{text!r} is not a valid phone number: {rule.words} (accounts.phone_format)")
        phones.append(phone)
    return phones
