"""The ``callnet`` command. It only assembles; each command is a module of ``callnet.commands``."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from callnet.errors import CallnetError

_COMMANDS = (
    *("account", "backup", "contact", "database", "device", "doctor", "key"),
    *("migrate", "restore", "schema", "status", "top", "webhook"),
)


class _LazyCommands(click.Group):
    """Imports a command when it is asked for, so that none pays for the others."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _COMMANDS:
            return None
        command: click.Command = getattr(import_module(f"callnet.commands.{cmd_name}"), cmd_name)
        return command

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
