"""``callnet contact``: contact lists and blocked phones."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TextIO

import click

from callnet.accounts.validation import PhoneRule, phone_rule, require_name
from callnet.cli.common import CommandError, read_phones, settings_of
from callnet.cli.database import opened
from callnet.config.schema import Settings
from callnet.errors import DataInvalid, PhoneInvalid
from callnet.model import CONTACT_NAME_MAX
from callnet.storage import contacts
from callnet.storage.contacts import Pair
from callnet.storage.database import Database

HEADER: Final = ["owner", "contact", "name"]
"""The first line of contact lists as CSV (RFC 4180), in UTF-8."""

_COMPLAINTS_SHOWN = 20


def write_csv(stream: TextIO, pairs: Iterable[Pair]) -> None:
    """Write pairs, one a line."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows((pair.owner, pair.contact, pair.name) for pair in pairs)


def read_csv(stream: TextIO, rule: PhoneRule) -> Sequence[Pair]:
    """Read pairs.

    :raises CommandError: a row is wrong; the message has a line for each that is, with its number.
    """
    pairs: dict[tuple[str, str], Pair] = {}
    complaints: list[str] = []
    for line, row in _rows(stream):
        try:
            pair = _pair(row, rule)
            if (pair.owner, pair.contact) in pairs:
                raise CommandError("duplicate pair")
            pairs[pair.owner, pair.contact] = pair
        except (CommandError, DataInvalid, PhoneInvalid) as complaint:
            complaints.append(f"line {line}: {complaint}")
    if complaints:
        shown = complaints[:_COMPLAINTS_SHOWN]
        if len(complaints) > len(shown):
            shown.append(f"and {len(complaints) - len(shown)} more")
        raise CommandError("\n".join(["nothing was imported:", *shown]) if len(shown) > 1 else shown[0])
    return list(pairs.values())


def _rows(stream: TextIO) -> Iterator[tuple[int, list[str]]]:
    """Each row after the header, without empty lines, with the number of its last line."""
    reader = csv.reader(stream, strict=True)
    try:
        if next(reader, None) != HEADER:
            raise CommandError(f"line 1: must be: {','.join(HEADER)}")
        for row in reader:
            if row:
                yield reader.line_num, row
    except csv.Error:
        raise CommandError(f"line {reader.line_num}: not CSV") from None
    except UnicodeDecodeError:
        raise CommandError(f"after line {reader.line_num}: not UTF-8") from None


def _pair(row: list[str], rule: PhoneRule) -> Pair:
    if len(row) != len(HEADER):
        raise CommandError(f"expected {len(HEADER)} fields, found {len(row)}")
    owner, contact, name = row
    return Pair(
        rule.require(owner, "owner"), rule.require(contact, "contact"), require_name(name, CONTACT_NAME_MAX, "name")
    )


_CSV = click.File("r", encoding="utf-8-sig")


@click.group()
def contact() -> None:
    """Manage contact lists and blocked phones."""


@contact.command()
@click.argument("owner")
@click.argument("other")
@click.option("--name", help="Show OTHER under this name.")
@click.option("--both", is_flag=True, help="Add OWNER to the list of OTHER too.")
@click.pass_context
def add(context: click.Context, owner: str, other: str, name: str | None, both: bool) -> None:
    """Add the phone OTHER to the list of the phone OWNER."""
    settings = settings_of(context)
    owner, other = read_phones(settings, owner, other)
    named = [] if name is None else [Pair(owner, other, require_name(name, CONTACT_NAME_MAX, "--name"))]
    missing = [Pair(owner, other)] if name is None else []
    if both:
        missing.append(Pair(other, owner))
    with opened(settings, is_made=True) as database:
        contacts.add(database, named, time.time(), missing)
        for pair in (*named, *missing):
            click.echo(f"{pair.owner} lists {pair.contact}")
            _tell_why_hidden(settings, database, pair)


def _tell_why_hidden(settings: Settings, database: Database, pair: Pair) -> None:
    """Say why the list of the pair's owner does not show the contact yet, if so."""
    devices = contacts.devices_of(database, pair.contact)
    if not devices:
        what = "account" if devices is None else "device"
        click.echo(f"{pair.contact} has no {what} yet; the contact is shown after one of its devices has logged in.")
    elif settings.accounts.shows_mutual_contacts_alone and not contacts.is_listed(database, pair.contact, pair.owner):
        click.echo(f"{pair.contact} does not list {pair.owner} yet; until it does, its devices are not shown.")


@contact.command()
@click.argument("owner")
@click.argument("other")
@click.pass_context
def remove(context: click.Context, owner: str, other: str) -> None:
    """Remove the phone OTHER from the list of the phone OWNER."""
    settings = settings_of(context)
    owner, other = read_phones(settings, owner, other, are_there=True)
    with opened(settings) as database:
        if not contacts.remove(database, owner, other, time.time()):
            raise CommandError("no such contact")


@contact.command()
@click.argument("owner")
@click.argument("phone")
@click.pass_context
def block(context: click.Context, owner: str, phone: str) -> None:
    """Block PHONE for the phone OWNER. It stays in the contact list of OWNER."""
    settings = settings_of(context)
    owner, phone = read_phones(settings, owner, phone)
    if owner == phone:
        raise CommandError("a phone cannot block itself")
    with opened(settings, is_made=True) as database:
        contacts.block(database, owner, phone, time.time())


@contact.command()
@click.argument("owner")
@click.argument("phone")
@click.pass_context
def unblock(context: click.Context, owner: str, phone: str) -> None:
    """Unblock PHONE for the phone OWNER."""
    settings = settings_of(context)
    owner, phone = read_phones(settings, owner, phone, are_there=True)
    with opened(settings) as database:
        if not contacts.unblock(database, owner, phone, time.time()):
            raise CommandError("this phone is not blocked")


@contact.command("list")
@click.argument("owner", required=False)
@click.pass_context
def list_(context: click.Context, owner: str | None) -> None:
    """Print the list of the phone OWNER, or all lists.

    Each line has owner, contact and name. Blocked phones follow, one a line: owner, "blocks", phone.
    """
    settings = settings_of(context)
    if owner is not None:
        (owner,) = read_phones(settings, owner, are_there=True)
    with opened(settings) as database:
        for pair in contacts.pairs_of(database, owner):
            click.echo("  ".join(filter(None, (pair.owner, pair.contact, pair.name))))
        for found in contacts.blocks_of(database, owner):
            click.echo(f"{found.owner}  blocks  {found.phone}")


@contact.command("import")
@click.argument("file", type=_CSV)
@click.option(
    "--remove", "out", type=_CSV, help="Remove all pairs of this CSV file from the lists in the same transaction."
)
@click.pass_context
def import_(context: click.Context, file: TextIO, out: TextIO | None) -> None:
    """Import contacts from a CSV FILE (- is standard input).

    Imports all pairs, or none if any row is invalid. The first line must be: owner,contact,name. An existing pair gets
    the name in the file. For pairs to remove, the name is ignored, and pairs that do not exist are skipped.
    """
    settings = settings_of(context)
    rule = phone_rule(settings.accounts.phone_format)
    pairs = read_csv(file, rule)
    gone = [] if out is None else read_csv(out, rule)
    if {(pair.owner, pair.contact) for pair in pairs} & {(pair.owner, pair.contact) for pair in gone}:
        raise CommandError("nothing was imported: a pair is in both files")
    with opened(settings, is_made=True) as database:
        contacts.add(database, pairs, time.time(), gone=gone)
    click.echo(f"{len(pairs)} contacts imported" + ("" if out is None else f", {len(gone)} removed"), err=True)


@contact.command()
@click.pass_context
def export(context: click.Context) -> None:
    """Print all lists as CSV for import, without blocked phones."""
    lines = io.StringIO()
    with opened(settings_of(context)) as database:
        write_csv(lines, contacts.pairs_of(database, None))
    click.echo(lines.getvalue().encode(), nl=False)
