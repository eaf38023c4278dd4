"""Options and helpers that commands share."""

from __future__ import annotations

import os

import click

from callnet.accounts.enrolment import phone_rule
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


def require_phones(settings: Settings, *phones: str) -> None:
    """Check phone numbers against ``accounts.phone_format``.

    :raises CommandError: one is not.
    """
    is_phone = phone_rule(settings.accounts.phone_format)
    for phone in phones:
        if not is_phone(phone):
            raise CommandError(f"{phone!r} is not a valid phone number (accounts.phone_format)")
