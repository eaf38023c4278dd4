"""``callnet webhook``: what a program of the operator's was to be told, and did not take."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime

import click
from sqlalchemy import ColumnElement, Connection

from callnet.cli.common import CommandError, settings_of
from callnet.cli.databases import opened
from callnet.storage import outbox


@click.group()
def webhook() -> None:
    """What a program of yours was to be told, and did not take."""


@webhook.command("list")
@click.option("--waiting", is_flag=True, help="Show too what is still to be sent.")
@click.pass_context
def list_(context: click.Context, waiting: bool) -> None:
    """Show the dead letters, the oldest first: id, event, when that was, how often it was tried, why it was not taken.

    They are not sent again by themselves.
    """
    with opened(settings_of(context)) as database:
        for letter in outbox.letters(database, waiting):
            at = f"{datetime.fromtimestamp(letter.created_at, UTC):%Y-%m-%dT%H:%M:%SZ}"
            state = "dead   " if letter.is_dead else "waiting"
            shown = f"{letter.id}  {letter.event:15}  {at}  {state}  {letter.tries:2}  {letter.failure}"
            click.echo(shown.rstrip())


@webhook.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them.")
@click.pass_context
def retry(context: click.Context, ids: tuple[str, ...], every: bool) -> None:
    """Send dead letters once more, now, and what waits for its next try."""
    _do(context, ids, every, outbox.retry)


@webhook.command()
@click.argument("ids", metavar="[ID]...", nargs=-1)
@click.option("--all", "every", is_flag=True, help="All of them, those too that were not tried yet.")
@click.pass_context
def drop(context: click.Context, ids: tuple[str, ...], every: bool) -> None:
    """Never send dead letters again, nor what waits. What was in them is removed."""
    _do(context, ids, every, outbox.drop)


def _do(
    context: click.Context,
    ids: tuple[str, ...],
    every: bool,
    what: Callable[[Connection, ColumnElement[bool], float], int],
) -> None:
    """Do something about some letters, and show their number."""
    if bool(ids) == every:
        raise CommandError("name the ids of letters, or --all; see: callnet webhook list")
    with opened(settings_of(context)) as database, database.write() as connection:
        number = what(connection, outbox.chosen(ids), time.time())
    if number < len(ids):
        raise CommandError(f"{number} of these {len(ids)} letters are there; see: callnet webhook list --waiting")
    click.echo(number)
