"""Contact lists as CSV (RFC 4180), UTF-8, with the header ``owner,contact,name``."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, TextIO

from callnet.accounts.enrolment import PhoneRule
from callnet.cli.common import CommandError
from callnet.errors import PhoneInvalid
from callnet.model import CONTACT_NAME_MAX, is_plain_text
from callnet.storage.contacts import Pair

HEADER: Final = ["owner", "contact", "name"]

_COMPLAINTS_SHOWN = 20


def write(stream: TextIO, pairs: Iterable[Pair]) -> None:
    """Write pairs, one a line."""
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(HEADER)
    writer.writerows((pair.owner, pair.contact, pair.name) for pair in pairs)


def read(stream: TextIO, rule: PhoneRule) -> Sequence[Pair]:
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
        except (CommandError, PhoneInvalid) as complaint:
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
    if not is_plain_text(name, CONTACT_NAME_MAX):
        raise CommandError(f"name has more than {CONTACT_NAME_MAX} characters or control characters")
    return Pair(rule.require(owner, "owner"), rule.require(contact, "contact"), name)
