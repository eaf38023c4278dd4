"""Contact lists in the database, for the daemon: its statements run where ``run`` runs them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ParamSpec, Protocol, TypeVar

from sqlalchemy import Select, select, tuple_
from twisted.internet.defer import Deferred
from zope.interface import implementer

from callnet.interfaces import Contact, IContacts
from callnet.model import DeviceAddress
from callnet.storage.database import Database
from callnet.storage.tables import account_device, contact

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Run(Protocol):
    """Runs a function that blocks: in a thread, or in unit tests at once."""

    def __call__(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
        """Call ``function``; the Deferred fires with what it returns or raises."""


@implementer(IContacts)
class SqlContacts:
    """The contact lists in a database."""

    def __init__(self, database: Database, run: Run) -> None:
        self._database = database
        self._run = run

    def contacts_of(
        self, phone: str, after: DeviceAddress | None = None, limit: int | None = None
    ) -> Deferred[Sequence[Contact]]:
        """See :meth:`IContacts.contacts_of`."""
        return self._run(self._contacts_of, phone, after, limit)

    def _contacts_of(self, phone: str, after: DeviceAddress | None, limit: int | None) -> Sequence[Contact]:
        with self._database.read() as connection:
            rows = connection.execute(_devices_of_contacts(phone, after, limit))
            return [Contact(row.phone, row.device_id, row.name) for row in rows]


def _devices_of_contacts(phone: str, after: DeviceAddress | None, limit: int | None) -> Select[tuple[str, str, str]]:
    device = account_device.c
    statement = (
        select(device.phone, device.device_id, contact.c.name)
        .join(contact, contact.c.contact == device.phone)
        .where(contact.c.owner == phone)
        .order_by(device.phone, device.device_id)
        .limit(limit)
    )
    if after is None:
        return statement
    return statement.where(tuple_(device.phone, device.device_id) > tuple_(after.phone, after.device_id))
