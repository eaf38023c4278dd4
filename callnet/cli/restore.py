"""``callnet restore``: what ``callnet backup`` has written, back in its places."""

from __future__ import annotations

from pathlib import Path

import click

from callnet import backups
from callnet.cli.common import CommandError, settings_of
from callnet.ops.admin_client import found


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Also where there is a database or a key already, which is lost then.")
@click.pass_context
def restore(context: click.Context, file: Path, replace: bool) -> None:
    """Put what is in FILE, from `callnet backup`, in its places. callnet must be stopped.

    Run it as the user that callnet runs as. FILE is looked through before anything is replaced.
    """
    settings = settings_of(context)
    running = found(settings.listeners)
    if running is not None:
        raise CommandError(f"callnet runs, and answers at {running[0]}: stop it first")
    restored = backups.bring_back(settings, file.absolute(), replace)
    made = restored.manifest
    what = "The keys" if made.level is None else "The database and the keys"
    click.echo(f"{what} are as they were on {made.made_at:%Y-%m-%d at %H:%M} UTC.")
    if restored.removed:
        click.echo(f"Removed signing keys that were made since: {', '.join(restored.removed)}.")
    if restored.added:
        click.echo(f"Signing keys are back, retire them again if they were stolen: {', '.join(restored.added)}.")
