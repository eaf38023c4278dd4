"""Bad requests to the account service, each with the answers that the protocol allows (§1)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final

from msgspec import Struct

from acceptance.bad_values import BAD_STRINGS, HUGE, WRONG_TYPES, mutated, spoilt, with_field
from harness.wire import exchange, request

LOGIN: Final[Mapping[str, Any]] = {"phone": "13911111111", "device_id": "fuzz"}
CONTACTS: Final[Mapping[str, Any]] = {"phone": "13911111111", "token": "a.b.c"}
CHANGE: Final[Mapping[str, Any]] = {"contact_phone": "13911111111", "token": "a.b.c"}
CALLS: Final[Mapping[str, Mapping[str, Any]]] = {
    "/account/login": LOGIN,
    "/getContactPersons": CONTACTS,
    **dict.fromkeys((f"/contacts/{change}" for change in ("add", "remove", "block", "unblock")), CHANGE),
}

PHONE, TOKEN, DEVICE = 3, 4, 5
"""Which code says that a field's value is not acceptable."""


class Case(Struct, frozen=True):
    """One request, and the answers that are right: HTTP status and ``errorCode``."""

    name: str
    request: bytes
    right: frozenset[tuple[int, int]]


def cases() -> Iterator[Case]:
    """Every bad request that has one right answer."""
    for call, good in CALLS.items():
        codes = {"phone": PHONE, "device_id": DEVICE} if good is LOGIN else dict.fromkeys(good, TOKEN)
        yield from _of(call, good, codes)
    for path in ("/", "/account", "/account/login/", "/account//login", "/../etc/passwd", "/%00", "/%ff%fe"):
        yield Case(f"path {path}", request(path, b"{}"), frozenset({(404, 2)}))
    for method in ("GET", "PUT", "DELETE", "BREW"):
        yield Case(f"method {method}", request("/account/login", b"", method), frozenset({(405, 2)}))


def _of(path: str, good: Mapping[str, Any], codes: Mapping[str, int]) -> Iterator[Case]:
    for field, code in codes.items():
        for name, value in WRONG_TYPES.items():
            yield _case(f"{path} {field}: {name}", path, with_field(good, field, value), 2)
        for name, text in {**BAD_STRINGS, "empty": ""}.items():
            yield _case(f"{path} {field}: {name}", path, with_field(good, field, text), code)
        lone = with_field(good, field, "@").replace(b"@", b"\\ud800")
        yield _case(f"{path} {field}: a lone surrogate", path, lone, 2, code)
        huge = with_field(good, field, "1" * HUGE)
        yield Case(f"{path} {field}: 10 MB", request(path, huge), frozenset({(413, 2)}))
    for name, body in spoilt(good):
        yield _case(f"{path}: {name}", path, body, 2)
    yield Case(f"{path}: 10 MB of spaces", request(path, b" " * HUGE), frozenset({(413, 2)}))
    twice = json.dumps(good).encode().replace(b"{", b'{"phone": 1, "phone": "13911111111", ', 1)
    yield _case(f"{path}: a key twice", path, twice, 0, 2, *codes.values())


def _case(name: str, path: str, body: bytes, *codes: int) -> Case:
    return Case(name, request(path, body), frozenset((200, code) for code in codes))


async def try_case(port: int, case: Case) -> str | None:
    """Send a request. Returns the fault of the answer, if there is one."""
    answer = await exchange(port, case.request)
    try:
        got = (answer.status, answer.json().get("errorCode"))
    except ValueError:
        return f"{case.name}: HTTP {answer.status}, and no JSON object"
    return None if got in case.right else f"{case.name}: HTTP {got[0]} with errorCode {got[1]}"


async def try_random(port: int, random: Random) -> str | None:
    """Send a request after an accident: whatever the answer, it is not the server's fault (500)."""
    path, good = random.choice(list(CALLS.items()))
    whole = random.random() < 0.5
    body = json.dumps(good).encode()
    data = mutated(request(path, body), random) if whole else request(path, mutated(body, random))
    data = random.randbytes(random.randint(1, 2000)) if random.random() < 0.1 else data
    try:
        async with asyncio.timeout(1):
            answer = await exchange(port, data)
    except (TimeoutError, ConnectionError, IndexError, ValueError):
        return None  # it waits for the rest, or hung up without a word
    return f"HTTP {answer.status} to {data!r}" if answer.status == 500 else None
