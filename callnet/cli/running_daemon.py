"""The running daemon that commands ask."""

from __future__ import annotations

import click

from callnet.cli.common import CommandError, settings_of
from callnet.ops.admin_client import Running, places


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
