"""``callnet backup``: the database and the keys in one file."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click

from callnet import backups
from callnet.cli.common import settings_of


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def backup(context: click.Context, file: Path) -> None:
    """Write the database and the keys to FILE, which must not be there yet; callnet may run meanwhile.

    Whoever has FILE can be any device. PostgreSQL is not in it, use pg_dump; nor are the settings.
    """
    made = backups.make(settings_of(context), file.absolute(), version("callnet"), datetime.now(UTC))
    keys = f"{made.keys} files of keys"
    if made.level is None:
        click.echo(f"{file}: {keys}. The database is a server's, and not in it: use pg_dump.")
    else:
        click.echo(f"{file}: the database, at level {made.level}, and {keys}.")
