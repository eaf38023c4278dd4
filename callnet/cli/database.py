"""``callnet database``: the schema of the database."""

from __future__ import annotations

import click

from callnet.cli.common import settings_of
from callnet.cli.databases import reached


@click.group()
def database() -> None:
    """The schema of the database."""


@database.command()
@click.pass_context
def upgrade(context: click.Context) -> None:
    """Bring the schema up to date; nodes of this and of the last version go on working meanwhile."""
    with reached(settings_of(context)) as found:
        found.upgrade()
    click.echo("The database is up to date.")


@database.command()
@click.pass_context
def check(context: click.Context) -> None:
    """Tell whether this version may use the database as it is; if not, the exit status is 1."""
    with reached(settings_of(context)) as found:
        found.check()
    click.echo("The database can be used.")
