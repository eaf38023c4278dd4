"""The tables, as the newest migration leaves them.

Text is compared and ordered by code point in both databases: SQLite does so by itself, PostgreSQL in
the collation ``C``.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import Column, ForeignKey, Integer, MetaData, String, Table

from callnet.model import DEVICE_ID_MAX, PHONE_MAX

CONTACT_NAME_MAX: Final = 64
"""The longest name of a contact, in characters."""


def _text(longest: int) -> String:
    return String(longest).with_variant(String(longest, collation="C"), "postgresql")


metadata = MetaData()

account = Table("account", metadata, Column("phone", _text(PHONE_MAX), primary_key=True))

account_device = Table(
    "account_device",
    metadata,
    Column("phone", _text(PHONE_MAX), ForeignKey(account.c.phone), primary_key=True),
    Column("device_id", _text(DEVICE_ID_MAX), primary_key=True),
)

# Pairs of phones. Neither needs an account yet: lists may be imported before anyone logs in.
contact = Table(
    "contact",
    metadata,
    Column("owner", _text(PHONE_MAX), primary_key=True),
    Column("contact", _text(PHONE_MAX), primary_key=True),
    Column("name", _text(CONTACT_NAME_MAX), nullable=False),
)

# One row. ``oldest_code`` is the level of the oldest code that may still use the schema; see ``schema.py``.
schema_info = Table("schema_info", metadata, Column("oldest_code", Integer, nullable=False))
