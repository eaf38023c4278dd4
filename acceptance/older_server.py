"""The seed's Go server, as far as its database and its tokens go: its data, and the data that it would accept."""

from __future__ import annotations

import hmac
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from random import Random
from typing import Final

import msgspec
from msgspec import Struct

from callnet.model import DeviceAddress
from harness import mariadb
from harness.seed_token import seed_token

_WEEK: Final = 7 * 86400
_PART: Final = 5000
Pair = tuple[str, str]


class _Claims(Struct):
    """The claims that it must find in a token."""

    exp: int
    phone: str
    deviceid: str


class OlderServer:
    """A server with accounts, devices and contacts, and with rows that callnet cannot take.

    :param secret: what it signs with.
    :param bad: how many of the latter there are of each kind.
    """

    def __init__(self, random: Random, secret: bytes, accounts: int, bad: int) -> None:
        self.secret: Final = secret
        self.bad: Final = bad
        self.database: Final = mariadb.new_database()
        self.database.run(*mariadb.SEED_TABLES)
        self.phones: Final[Sequence[str]] = [f"13{number:09}" for number in random.sample(range(10**9), accounts)]
        self.devices: Final = [(phone, name) for phone in self.phones for name in _names(random)]
        self.contacts: Final = sorted(set(self._lists(random)))
        odd = [f"2{phone[1:]}" for phone in self.phones[:bad]]
        self._put("account_data", ("phone",), [(phone,) for phone in (*self.phones, *odd)])
        self._put("account_device", ("phone", "device_id"), [*self.devices, *((phone, "*") for phone in odd)])
        self._put("account_device", ("phone", "device_id"), [(phone, "a\tb") for phone in self.phones[:bad]])
        self._put("contact_person", ("phone", "contact_phone"), [*self.contacts, *zip(self.phones, odd, strict=False)])

    def _lists(self, random: Random) -> Iterator[Pair]:
        """The contact lists: everybody lists the next one and two others."""
        for number, phone in enumerate(self.phones):
            yield phone, self.phones[number - 1]
            for other in random.sample(self.phones, 2):
                yield phone, other

    def _put(self, table: str, columns: Sequence[str], rows: Sequence[tuple[str, ...]]) -> None:
        for start in range(0, len(rows), _PART):
            part = rows[start : start + _PART]
            self.database.put(table, [dict(zip(columns, row, strict=True)) for row in part])

    def rows(self, table: str) -> set[tuple[str, ...]]:
        """All that it has in a table now, without ids."""
        columns = {
            "account_data": "phone",
            "account_device": "phone, device_id",
            "contact_person": "phone, contact_phone",
        }[table]
        return set(self.database.rows(f"SELECT {columns} FROM {table}"))  # noqa: S608

    def contacts_of(self, phone: str) -> list[Pair]:
        """Its answer to ``/getContactPersons``, in callnet's order."""
        found = self.database.rows(
            "SELECT d.phone, d.device_id FROM contact_person c JOIN account_device d ON c.contact_phone = d.phone"  # noqa: S608
            f" WHERE c.phone = '{phone}'"
        )
        return sorted((phone, name) for phone, name in found if phone[0] == "1" and name != "a\tb")

    def token(self, device: DeviceAddress, age: int, old_fashioned: bool) -> str:
        """A token that it issued to a device at this age in seconds.

        :param old_fashioned: as in the seed's sample: it has a user name and nothing else.
        """
        expires = {"exp": int(time.time()) - age + _WEEK}
        if old_fashioned:
            return seed_token({"userName": device.phone + device.device_id, "ip": "", **expires}, self.secret)
        return seed_token({"phone": device.phone, "deviceid": device.device_id, **expires}, self.secret)

    def accepts(self, token: str, device: DeviceAddress) -> bool:
        """True if it takes a token for one of this device: HS256 with its secret, and not expired."""
        signed, _, signature = token.rpartition(".")
        if not hmac.compare_digest(_decoded(signature), hmac.digest(self.secret, signed.encode(), "sha256")):
            return False
        claims = msgspec.json.decode(_decoded(signed.partition(".")[2]), type=_Claims)
        return claims.exp > time.time() and (claims.phone, claims.deviceid) == device


def _names(random: Random) -> Iterable[str]:
    """The devices of a phone: one or two."""
    return random.sample(("tv888", "phone1", "TV 客厅", "0123456789abcdef"), random.randint(1, 2))


def _decoded(part: str) -> bytes:
    return urlsafe_b64decode(part + "=" * (-len(part) % 4))


def expected_refusals(bad: int) -> Mapping[str, int]:
    """The number of rows of each kind that callnet cannot take."""
    return {"accounts": bad, "devices": 2 * bad, "contacts": bad}
