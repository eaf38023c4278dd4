"""What the commands that work on the database have in common."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

import click

from callnet.accounts.enrolment import phone_rule
from callnet.config import Settings
from callnet.config_file import load
from callnet.errors import CallnetError
from callnet.operations import files
from callnet.running import Running, places
from callnet.storage.database import Database


class CommandError(CallnetError):
    """The command cannot do what was asked; the message is shown to who asked."""


def settings_of(context: click.Context) -> Settings:
    """The settings, from the file that ``--config`` or ``CALLNET_CONFIG`` names.

    :raises StartError: the file cannot be read, or a setting is wrong.
    """
    path: str | None = context.find_root().params["config"]
    return load(path, os.environ)


def running_of(context: click.Context, place: str | None) -> Running:
    """The daemon that runs there, or where the settings say.

    :raises StartError: the file with the settings cannot be read, or a setting is wrong.
    :raises CommandError: the settings do not tell where to ask.
    """
    if place is None:
        found = places(settings_of(context).listeners)
        if not found:
            raise CommandError("listeners.admin does not tell where the daemon can be asked: name it with --at")
        place = found[0]
    return Running(place)


@contextmanager
def reached(settings: Settings) -> Iterator[Database]:
    """The database that the settings name, whatever its schema.

    :raises StartError: it cannot be reached.
    """
    if settings.database.url.startswith("sqlite:"):
        files.make_private_directory(settings.state_dir, "state_dir")
    database = Database(settings.database.url)
    try:
        yield database
    finally:
        database.close()


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """The database that the settings name, ready for use: its schema is treated as when the daemon starts.

    :raises StartError: it cannot be reached, or has a schema that this code cannot use.
    """
    with reached(settings) as database:
        if settings.database.upgrade_on_start:
            database.upgrade()
        else:
            database.check()
        yield database


def require_phones(settings: Settings, *phones: str) -> None:
    """Make sure that these are phone numbers as the settings want them.

    :raises CommandError: one is not.
    """
    is_phone = phone_rule(settings.accounts.phone_format)
    for phone in phones:
        if not is_phone(phone):
            raise CommandError(f"{phone!r} is not an acceptable phone number (accounts.phone_format)")
