"""``callnet webhook``: events that were not delivered."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import click
from sqlalchemy import ColumnElement, Connection

from callnet.cli.common import CommandError, settings_of
from callnet.cli.database import opened
from callnet.storage import outbox


@click.group()
def webhook() -> None:
    """Manage webhook events that were not delivered."""


@webhook.command("list")
@click.option("--waiting", is_flag=True, help="Include events that are still to be sent.")
@click.pass_context
def list_(context: click.Context, waiting: bool) -> None:
    """List dead letters, oldest first.

    Each line has id, event, time, state, number of tries and last failure. Dead letters are not sent again
    automatically.
    """
    with opened(settings_of(context)) as database:
        for letter in outbox.letters(database, waiting):
            at = f"{datetime.fromtimestamp(letter.created_at, UTC):%Y-%m-%dT%H:%M:%SZ}"
            state = "dead   " if letter.is_dead else "waiting"
            shown = f"{letter.id}  {letter.event:15}  {at}  {state}  {letter.tries:2}  {letter.failure}"
            click.echo(shown.rstrip())


@webhook.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Send all of them.")
@click.pass_context
def retry(context: click.Context, ids: tuple[str, ...], every: bool) -> None:
    """Send dead letters and waiting events again now."""
    _do(context, ids, every, outbox.retry)


@webhook.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="Drop all of them, including events that were not tried yet.")
@click.pass_context
def drop(context: click.Context, ids: tuple[str, ...], every: bool) -> None:
    """Drop dead letters and waiting events. Their content is deleted."""
    _do(context, ids, every, outbox.drop)


def _do(
    context: click.Context,
    ids: tuple[str, ...],
    every: bool,
    what: Callable[[Connection, ColumnElement[bool], float], int],
) -> None:
    """Apply ``what`` to the chosen letters, and print their number."""
    if bool(ids) == every:
        raise CommandError("give ids or --all; see: callnet webhook list")
    with opened(settings_of(context)) as database, database.write() as connection:
        number = what(connection, outbox.chosen(ids), time.time())
    if number < len(ids):
        raise CommandError(f"found {number} of these {len(ids)} letters; see: callnet webhook list --waiting")
    click.echo(number)
