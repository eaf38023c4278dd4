"""``callnet link``: links that ring a phone."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click

from callnet.cli.common import CommandError, read_phones, settings_of
from callnet.cli.database import opened
from callnet.storage import links


@click.group()
def link() -> None:
    """List and remove links that ring a phone.

    Whoever has such a link calls the phone without an account. The owner makes links on a device of the phone.
    """


@link.command("list")
@click.argument("phone")
@click.pass_context
def list_(context: click.Context, phone: str) -> None:
    """List the links of a phone: id, name, and what restricts it. Secrets are not shown."""
    settings = settings_of(context)
    (phone,) = read_phones(settings, phone)
    with opened(settings) as database:
        for found in links.of(database, phone):
            limits = [] if found.is_on else ["off"]
            if found.hours is not None:
                hours = found.hours.fields()
                limits.append(f"from {hours['from']} to {hours['to']}, {hours['time_zone']}")
            if found.expires_at is not None:
                limits.append(f"until {datetime.fromtimestamp(found.expires_at, UTC):%Y-%m-%d %H:%M} UTC")
            if found.calls_left is not None:
                limits.append(f"{found.calls_left} calls left")
            click.echo("  ".join([found.id, found.name, *limits]))


@link.command()
@click.argument("phone")
@click.argument("link_id")
@click.pass_context
def remove(context: click.Context, phone: str, link_id: str) -> None:
    """Remove a link of a phone: it rings no more. A call that goes on is not ended."""
    settings = settings_of(context)
    (phone,) = read_phones(settings, phone)
    with opened(settings) as database:
        if not links.remove(database, phone, link_id, time.time()):
            raise CommandError("no such link; see: callnet link list")
