"""``callnet database``: the schema of the database. Access to it for all commands."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager

import click

from callnet.cli.common import CommandError, settings_of
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
def opened(settings: Settings, is_made: bool = False) -> Iterator[Database]:
    """The database that the settings name, ready for use: its schema is treated as when the daemon starts.

    :param is_made: a file that is missing is made, and that is said: the settings may not be those of the service.
    :raises CommandError: the file is missing.
    :raises StartError: it cannot be reached, or has a schema that this code cannot use.
    """
    with reached(settings) as database:
        is_new = database.is_missing
        if not is_made:
            require_file(database)
        database.prepare(settings.database.upgrade_on_start)
        if is_new:
            said = f"Created the database {database.file}: callnet was never started with these settings."
            click.echo(said, err=True)
        yield database


def require_file(database: Database) -> None:
    """Make sure that the database is there, as far as it is a file.

    :raises CommandError: it is missing.
    """
    if database.is_missing:
        raise CommandError(
            f"database.url: {database.file} does not exist: callnet was never started with these settings; run this"
            " with the settings and secrets of the service, or before its first start: callnet database upgrade"
        )


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
        require_file(found)
        found.check()
    click.echo("The database can be used.")
