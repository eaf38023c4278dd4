"""The ``callnet`` command. It only assembles; each command is a module of ``callnet.cli``."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Final

import click

from callnet.errors import CallnetError

COMMANDS: Final = {
    "account": "Who has an account.",
    "backup": "Write the database and the keys to FILE, which must not be there yet; callnet may run meanwhile.",
    "contact": "Who sees whom in its contact list, and who blocks whom.",
    "database": "The schema of the database.",
    "device": "Be a device: log in, show every frame, ring, answer, hang up.",
    "doctor": "Look at the settings, this machine and the services that callnet needs, and say what to do.",
    "key": "The keys that tokens are signed with.",
    "migrate": "Take over accounts, devices, contacts and the signing key from the Go server that callnet takes the"
    " place of.",
    "restore": "Put what is in FILE, from `callnet backup`, in its places. callnet must be stopped.",
    "schema": "Documents from which a client can be made or checked.",
    "status": "Show how the daemon is.",
    "top": "Show what the daemon does, until Ctrl-C.",
    "webhook": "What a program of yours was to be told, and did not take.",
}
"""The commands, and how the help of each begins: importing them all takes a second."""


class _LazyCommands(click.Group):
    """Imports a command when it is asked for, so that none pays for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"callnet.cli.{cmd_name}"), cmd_name)
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
@click.option("--config", metavar="PATH", envvar="CALLNET_CONFIG", help="The TOML file with the settings.")
@click.version_option(package_name="callnet")
def main(config: str | None) -> None:
    """Tools for the callnet server."""
