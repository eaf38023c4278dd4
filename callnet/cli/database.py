"""``callnet database``: the schema of the database."""

from __future__ import annotations

import click

from callnet.cli.common import settings_of
from callnet.cli.databases import reached


@click.group()
def database() -> None:
    """Check or upgrade the database schema."""


@database.command()
@click.pass_context
def upgrade(context: click.Context) -> None:
    """Upgrade the schema. Nodes of this and of the previous version keep working meanwhile."""
    with reached(settings_of(context)) as found:
        found.upgrade()
    click.echo("The database is up to date.")


@database.command()
@click.pass_context
def check(context: click.Context) -> None:
    """Check whether this version can use the database. The exit status is 1 if not."""
    with reached(settings_of(context)) as found:
        found.check()
    click.echo("The database can be used.")
