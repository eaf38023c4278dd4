"""The ``callnet`` command. It only assembles; the commands are in modules of ``callnet.cli``."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import click

from callnet.errors import CallnetError

COMMANDS: Final = {
    "account": "Manage accounts and their devices.",
    "backup": "Back up the database and keys to FILE, which must not exist yet.",
    "contact": "Manage contact lists and blocked phones.",
    "database": "Check or upgrade the database schema.",
    "device": "Run a device in the terminal.",
    "doctor": "Check settings, machine and services, and suggest fixes.",
    "key": "Manage the keys that sign tokens.",
    "link": "List and remove links that ring a phone.",
    "migrate": "Import data from the Go server that callnet replaces.",
    "restore": "Restore the database and keys from FILE.",
    "schema": "Print the schemas of the APIs, to generate or check a client.",
    "setup": "Set up callnet on this machine for a NAME such as calls.example.org.",
    "status": "Show the status of the running daemon.",
    "top": "Show the activity of the running daemon continuously.",
    "webhook": "Manage webhook events that were not delivered.",
}
"""The commands and the first sentence of their help: importing them all takes a second."""
_BESIDE: Final = {"link": "account", "restore": "backup", "top": "status"}
"""The modules of the commands that have none of their own name."""


class _LazyCommands(click.Group):
    """Imports a command when it is asked for, so that none pays for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"callnet.cli.{_BESIDE.get(cmd_name, cmd_name)}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        click.Group(commands=[click.Command(name, help=text) for name, text in COMMANDS.items()]).format_commands(
            ctx, formatter
        )

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except CallnetError as error:
            raise click.ClickException(str(error)) from None


@click.group(cls=_LazyCommands)
@click.option("--config", metavar="PATH", envvar="CALLNET_CONFIG", help="Read the settings from this TOML file.")
@click.version_option(package_name="callnet")
def main(config: str | None) -> None:
    """Tools for the callnet server."""
