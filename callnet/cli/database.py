"""``callnet database``: the schema of the database. Access to it for all commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from callnet.cli.common import settings_of
from callnet.config.schema import Settings
from callnet.storage.database import Database
from callnet.util import files


@contextmanager
def reached(settings: Settings) -> Iterator[Database]:
    """The database that the settings name, whatever its schema.

    :raises StartError: it cannot be reached.
    """
    if settings.database.url.startswith("sqlite:"):
        files.make_private_directory(settings.state_dir, "state_dir")
    with closing(Database(settings.database.url)) as database:
        yield database


@contextmanager
def opened(settings: Settings) -> Iterator[Database]:
    """The database that the settings name, ready for use: its schema is treated as when the daemon starts.

    :raises StartError: it cannot be reached, or has a schema that this code cannot use.
    """
    with reached(settings) as database:
        database.prepare(settings.database.upgrade_on_start)
        yield database


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
