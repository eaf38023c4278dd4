"""``callnet account``: who has an account."""

from __future__ import annotations

import click

from callnet.commands.common import opened, settings_of
from callnet.storage import contacts


@click.group()
def account() -> None:
    """Who has an account."""


@account.command("list")
@click.pass_context
def list_(context: click.Context) -> None:
    """Show all accounts: phone, number of devices."""
    with opened(settings_of(context)) as database:
        for found in contacts.accounts(database):
            click.echo(f"{found.phone}  {found.devices}")
