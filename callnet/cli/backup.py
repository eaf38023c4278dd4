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
    """Back up the database and keys to FILE, which must not exist yet.

    callnet may keep running. Keep FILE secret: its keys let anyone act as any device. It includes neither a PostgreSQL
    database (use pg_dump) nor the settings.
    """
    made = backups.make(settings_of(context), file.absolute(), version("callnet"), datetime.now(UTC))
    keys = f"{made.keys} key files"
    if made.level is None:
        click.echo(f"{file}: {keys}. The PostgreSQL database is not included: use pg_dump.")
    else:
        click.echo(f"{file}: the database, at schema level {made.level}, and {keys}.")
