"""``callnet backup`` and ``callnet restore``: the database and the keys in one file, and back."""

from __future__ import annotations

from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import click

from callnet import backups
from callnet.cli.common import CommandError, settings_of
from callnet.ops.admin_client import found


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


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Overwrite an existing database and existing keys.")
@click.pass_context
def restore(context: click.Context, file: Path, replace: bool) -> None:
    """Restore the database and keys from FILE.

    FILE was written by `callnet backup`. Stop callnet first, and run this as the user that callnet runs as. FILE is
    checked before anything is replaced.
    """
    settings = settings_of(context)
    running = found(settings.listeners)
    if running is not None:
        raise CommandError(f"callnet is running at {running[0]}: stop it first")
    restored = backups.bring_back(settings, file.absolute(), replace)
    made = restored.manifest
    what = "the keys" if made.level is None else "the database and the keys"
    click.echo(f"Restored {what} as of {made.made_at:%Y-%m-%d at %H:%M} UTC.")
    if restored.removed:
        click.echo(f"Removed signing keys created since: {', '.join(restored.removed)}.")
    if restored.added:
        click.echo(
            f"Restored retired signing keys; retire them again if they were stolen: {', '.join(restored.added)}."
        )
