"""Bad values for fields, and bad bytes for whole bodies and frames."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final

HUGE: Final = 10 * 2**20
"""Ten megabytes, in bytes."""

MISSING: Final = object()

WRONG_TYPES: Final[Mapping[str, Any]] = {
    "missing": MISSING,
    "null": None,
    "a number": 13651884967,
    "a fraction": 1.5,
    "true": True,
    "an array": ["13651884967"],
    "an object": {"phone": "13651884967"},
}
"""None of these is a string."""

BAD_STRINGS: Final[Mapping[str, str]] = {
    "NUL": "1365188\x004967",
    "a newline at its end": "13651884967\n",
    "an escape": "\x1b[31m",
    "DEL": "136\x7f",
    "C1": "136\x85",
    "too long": "1" * 300,
}
"""Strings that are acceptable nowhere."""


def with_field(fields: Mapping[str, Any], name: str, value: Any) -> bytes:
    """JSON of ``fields`` with another value for one of them, or without it."""
    changed = {**fields, name: value}
    if value is MISSING:
        del changed[name]
    return json.dumps(changed).encode()


def spoilt(fields: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    """Bytes that are no JSON object in UTF-8 of reasonable depth, each with its name."""
    good = json.dumps(fields).encode()
    yield "nothing", b""
    yield "a space", b" "
    yield "half of it", good[: len(good) // 2]
    yield "twice", good + good
    yield "an array", b"[" + good + b"]"
    yield "a string", json.dumps("call").encode()
    yield "a number", b"1"
    yield "null", b"null"
    yield "single quotes", good.replace(b'"', b"'")
    yield "a trailing comma", good[:-1] + b",}"
    yield "NaN", b'{"type": NaN}'
    yield "a long number", b'{"type": ' + b"9" * 5000 + b"}"
    yield "UTF-16", good.decode().encode("utf-16")
    yield "a byte order mark", b"\xef\xbb\xbf" + good
    yield "deep arrays", b"[" * 7000
    yield "deep objects", b'{"type":' * 900
    yield "closed deep arrays", b'{"type":' + b"[" * 5000 + b"]" * 5000 + b"}"
    yield "invalid UTF-8 in a value", good[:-2] + b'\xff\xfe"}'
    yield "an overlong slash", good[:-2] + b'\xc0\xaf"}'
    yield "a surrogate in UTF-8", good[:-2] + b'\xed\xa0\x80"}'
    yield "a control character in the text", good[:-2] + b'\x01"}'


def mutated(good: bytes, random: Random) -> bytes:
    """``good`` after a few accidents."""
    data = bytearray(good)
    for _ in range(random.randint(1, 6)):
        place = random.randrange(len(data) + 1)
        match random.randrange(5):
            case 0:
                data[place : place + 1] = bytes([random.randrange(256)])
            case 1:
                data[place:place] = random.randbytes(random.randint(1, 8))
            case 2:
                del data[place : place + random.randint(1, 8)]
            case 3:
                data[place:place] = data[place : place + random.randint(1, 40)]
            case _:
                data[place:place] = random.choice(
                    (b'"', b"\\", b"{", b"}", b"[", b"\\ud800", b"\\u0000", b"null,", b"1e999")
                )
    return bytes(data)
