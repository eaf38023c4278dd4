"""``callnet contact``: who sees whom in its contact list, and who blocks whom."""

from __future__ import annotations

import io
import time
from typing import TextIO

import click

from callnet.accounts.enrolment import phone_rule
from callnet.cli import contact_csv
from callnet.cli.common import CommandError, require_phones, settings_of
from callnet.cli.databases import opened
from callnet.config.schema import Settings
from callnet.model import CONTACT_NAME_MAX, is_plain_text
from callnet.storage import contacts
from callnet.storage.contacts import Pair
from callnet.storage.database import Database

_CSV = click.File("r", encoding="utf-8-sig")


@click.group()
def contact() -> None:
    """Who sees whom in its contact list, and who blocks whom."""


@contact.command()
@click.argument("owner")
@click.argument("other")
@click.option("--name", help="What OWNER calls OTHER.")
@click.option("--both", is_flag=True, help="Put OWNER in the list of OTHER too.")
@click.pass_context
def add(context: click.Context, owner: str, other: str, name: str | None, both: bool) -> None:
    """Put the phone OTHER in the list of the phone OWNER."""
    settings = settings_of(context)
    require_phones(settings, owner, other)
    if name is not None and not is_plain_text(name, CONTACT_NAME_MAX):
        raise CommandError(f"a name has at most {CONTACT_NAME_MAX} characters, and no control characters")
    named = [] if name is None else [Pair(owner, other, name)]
    missing = [Pair(owner, other)] if name is None else []
    if both:
        missing.append(Pair(other, owner))
    with opened(settings) as database:
        contacts.add(database, named, time.time(), missing)
        for pair in (*named, *missing):
            click.echo(f"{pair.owner} lists {pair.contact}")
            _tell_why_hidden(settings, database, pair)


def _tell_why_hidden(settings: Settings, database: Database, pair: Pair) -> None:
    """Say why the list of the pair's owner does not show the contact yet, if so."""
    devices = contacts.devices_of(database, pair.contact)
    if not devices:
        what = "account" if devices is None else "device"
        click.echo(f"{pair.contact} has no {what} yet; the contact is shown once a device of it has logged in.")
    elif settings.accounts.shows_mutual_contacts_alone and not contacts.is_listed(database, pair.contact, pair.owner):
        click.echo(f"{pair.contact} does not list {pair.owner} yet; its devices are shown once it does.")


@contact.command()
@click.argument("owner")
@click.argument("other")
@click.pass_context
def remove(context: click.Context, owner: str, other: str) -> None:
    """Take the phone OTHER out of the list of the phone OWNER."""
    with opened(settings_of(context)) as database:
        if not contacts.remove(database, owner, other, time.time()):
            raise CommandError("there is no such contact")


@contact.command()
@click.argument("owner")
@click.argument("phone")
@click.pass_context
def block(context: click.Context, owner: str, phone: str) -> None:
    """Have the phone OWNER block PHONE, which stays in its list if it is there."""
    settings = settings_of(context)
    require_phones(settings, owner, phone)
    if owner == phone:
        raise CommandError("a phone cannot block itself")
    with opened(settings) as database:
        contacts.block(database, owner, phone, time.time())


@contact.command()
@click.argument("owner")
@click.argument("phone")
@click.pass_context
def unblock(context: click.Context, owner: str, phone: str) -> None:
    """Have the phone OWNER block PHONE no more."""
    with opened(settings_of(context)) as database:
        if not contacts.unblock(database, owner, phone, time.time()):
            raise CommandError("it is not blocked")


@contact.command("list")
@click.argument("owner", required=False)
@click.pass_context
def list_(context: click.Context, owner: str | None) -> None:
    """Show the list of the phone OWNER, or all lists: owner, contact, name.

    After them, for each phone that is blocked: owner, "blocks", phone.
    """
    with opened(settings_of(context)) as database:
        for pair in contacts.pairs_of(database, owner):
            click.echo("  ".join(filter(None, (pair.owner, pair.contact, pair.name))))
        for found in contacts.blocks_of(database, owner):
            click.echo(f"{found.owner}  blocks  {found.phone}")


@contact.command("import")
@click.argument("file", type=_CSV)
@click.option("--remove", "out", type=_CSV, help="Take all pairs of this CSV file out of the lists in the same step.")
@click.pass_context
def import_(context: click.Context, file: TextIO, out: TextIO | None) -> None:
    """Put all pairs of a CSV FILE in (- is the standard input), or none if any row is wrong.

    Its first line is: owner,contact,name. A pair that is there already gets the name that the file says. Of pairs to
    remove the name does not matter, nor whether they are there.
    """
    settings = settings_of(context)
    is_phone = phone_rule(settings.accounts.phone_format)
    pairs = contact_csv.read(file, is_phone)
    gone = [] if out is None else contact_csv.read(out, is_phone)
    if {(pair.owner, pair.contact) for pair in pairs} & {(pair.owner, pair.contact) for pair in gone}:
        raise CommandError("nothing was imported: a pair is to be put in, and to be removed")
    with opened(settings) as database:
        contacts.add(database, pairs, time.time(), gone=gone)
    click.echo(f"{len(pairs)} contacts imported" + ("" if out is None else f", {len(gone)} removed"), err=True)


@contact.command()
@click.pass_context
def export(context: click.Context) -> None:
    """Write all lists as CSV, as import reads them, to the standard output; not what is blocked."""
    lines = io.StringIO()
    with opened(settings_of(context)) as database:
        contact_csv.write(lines, contacts.pairs_of(database, None))
    click.echo(lines.getvalue().encode(), nl=False)
