"""The running daemon that commands query."""

from __future__ import annotations

import click

from callnet.cli.common import CommandError, settings_of
from callnet.ops.admin_client import Running, places


def running_of(context: click.Context, place: str | None) -> Running:
    """The daemon at ``place``, or where the settings say.

    :raises StartError: the file with the settings cannot be read, or a setting is wrong.
    :raises CommandError: the settings name no address of the operator's listener.
    """
    if place is None:
        found = places(settings_of(context).listeners)
        if not found:
            raise CommandError("no usable address in listeners.admin: give one with --at")
        place = found[0]
    return Running(place)
