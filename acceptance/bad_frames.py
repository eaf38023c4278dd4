"""Bad frames for the signaling service, each with the answers that the protocol allows (§2, §2.6)."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any, Final

from msgspec import Struct

from acceptance.bad_values import BAD_STRINGS, HUGE, WRONG_TYPES, mutated, spoilt, with_field
from harness.base_protocol import Address, answer, call, hang_up
from harness.websocket import BINARY, PING, TEXT, Refused, client_frame, server_frame
from harness.wire import Closed, WebSocket

NOBODY: Final = Address("19911111111", "nobody")
ROOM: Final = "0123456789abcdef0123456789abcdef"
PROBE: Final = client_frame(TEXT, json.dumps(call(("19922222222", "probe"))).encode())
"""A good call, to see whether the connection still works."""

GOOD: Final[tuple[Mapping[str, Any], ...]] = (
    call(NOBODY),
    answer(NOBODY, ROOM),
    answer(NOBODY, ROOM, accept=False),
    hang_up(NOBODY, ROOM),
)

INVALID: Final = "call_failed invalid"
ERROR: Final = "error 2"
SILENCE: Final = "silence"
CLOSED_FOR_NONSENSE: Final = frozenset({"closed 1002", "closed 1003", "closed 1006", "closed 1007", "closed 1009"})

MEDDLING: Final = frozenset({ERROR, SILENCE, "calling_be_hangup hangup"})
"""The last two: the call was over before the frame came."""


class Case(Struct, frozen=True):
    """Bytes to send, and the answers that are right."""

    name: str
    sent: bytes
    right: frozenset[str]


def cases() -> Iterator[Case]:
    """Every bad frame that the protocol names an answer for."""
    for good in GOOD:
        wrong = INVALID if good["type"] == "call" else ERROR
        for field in good:
            yield from _of_field(good, field, ERROR if field == "type" else wrong)
        for name, data in spoilt(good):
            right = {ERROR, wrong, "closed 1007"} if "type" in json.dumps(good) else {ERROR}
            yield Case(f"{good['type']}: {name}", client_frame(TEXT, data), frozenset(right))
        twice = json.dumps(good).encode().replace(b"{", b'{"type": "call", ', 1)
        yield Case(f"{good['type']}: two types", client_frame(TEXT, twice), frozenset({ERROR, INVALID}))
    yield from _of_the_transport()


def _of_field(good: Mapping[str, Any], field: str, wrong: str) -> Iterator[Case]:
    kind = good["type"]
    for name, value in {**WRONG_TYPES, **BAD_STRINGS, "empty": ""}.items():
        right = {wrong}
        if kind == "calling_hangup" and field == "room_id" and name in ("empty", "missing", "null"):
            right = {SILENCE}  # it ends the call with that phone
        elif kind != "call" and field != "room_id" and name == "empty":
            right = {ERROR, SILENCE, "calling_be_hangup expired"}  # such names route nothing
        yield Case(f"{kind} {field}: {name}", client_frame(TEXT, with_field(good, field, value)), frozenset(right))
    huge = with_field(good, field, "1" * HUGE)
    yield Case(f"{kind} {field}: 10 MB", client_frame(TEXT, huge), frozenset({"closed 1009", "closed 1006"}))


def _of_the_transport() -> Iterator[Case]:
    good = json.dumps(answer(NOBODY, ROOM)).encode()  # which is answered at once
    halves = client_frame(TEXT, good[:20], fin=False), client_frame(0, good[20:])
    expired, nonsense = frozenset({"calling_be_hangup expired"}), CLOSED_FOR_NONSENSE
    yield Case("in two fragments", halves[0] + halves[1], expired)
    yield Case("a ping between fragments", halves[0] + client_frame(PING, b"x") + halves[1], expired)
    bytewise = b"".join(client_frame(0, good[i : i + 1], fin=i == len(good) - 1) for i in range(1, len(good)))
    yield Case("a fragment a byte", client_frame(TEXT, good[:1], fin=False) + bytewise, expired)
    yield Case("binary", client_frame(BINARY, good), frozenset({"closed 1003"}))
    yield Case("no text at all", client_frame(TEXT, b""), frozenset({ERROR}))
    yield Case("a header that promises 10 MB", client_frame(TEXT, b"1" * HUGE)[:14], frozenset({"closed 1009"}))
    endless = client_frame(TEXT, b" " * 4000, fin=False) + client_frame(0, b" " * 4000, fin=False) * 20
    yield Case("fragments without end", endless, frozenset({"closed 1009", "closed 1006"}))
    yield Case("not masked", server_frame(TEXT, good), nonsense)
    yield Case("an unknown opcode", client_frame(5, good), nonsense)
    yield Case("reserved bits", bytes([0xF1]) + client_frame(TEXT, good)[1:], nonsense)
    yield Case("a continuation of nothing", client_frame(0, good), nonsense)
    yield Case("a text within a fragmented text", halves[0] + client_frame(TEXT, good), nonsense)
    yield Case("a fragmented ping", client_frame(PING, b"x", fin=False), nonsense)
    yield Case("a long ping", client_frame(PING, b"x" * 126), nonsense)
    yield Case("a close code that is not allowed", bytes([0x88, 0x82, 0, 0, 0, 0, 0x03, 0xED]), nonsense)
    yield Case("a close frame of one byte", bytes([0x88, 0x81, 0, 0, 0, 0, 0x03]), nonsense)
    yield Case("invalid UTF-8", client_frame(TEXT, b"\xff\xfe"), nonsense | {ERROR})


def into_a_call_of_others(room: str, random: Random) -> Case:
    """An answer or a hang-up of somebody who has no part in the call of ``room``."""
    fields = {**random.choice(GOOD[1:]), "room_id": room}
    return Case(f"{fields['type']} in a room of others", client_frame(TEXT, json.dumps(fields).encode()), MEDDLING)


async def try_case(port: int, case: Case, token: str) -> str | None:
    """Send a frame on a connection of its own. Returns the fault of the answer, if there is one."""
    got = await _answer_to(port, token, case.sent)
    return None if got in case.right else f"{case.name}: {got}, not {' or '.join(sorted(case.right))}"


async def try_random(port: int, random: Random, token: str) -> str | None:
    """Send a frame after an accident: afterwards the connection works, or was closed for a good reason."""
    good = json.dumps(random.choice(GOOD)).encode()
    match random.randrange(4):
        case 0:
            sent = mutated(client_frame(TEXT, good), random)
        case 1:
            sent = random.randbytes(random.randint(1, 300))
        case _:
            sent = client_frame(TEXT, mutated(good, random))
    got = await _answer_to(port, token, sent, patience=1)
    fine = got in CLOSED_FOR_NONSENSE or not got.startswith("closed")
    return None if fine else f"{got} after {sent!r}"


async def try_token(port: int, token: str) -> str | None:
    """Connect with an invalid token. Returns the fault of the answer, if there is one."""
    try:
        socket = await WebSocket.open(port, token)
    except Refused as refused:
        # 431: the request is longer than any with a token of ours.
        fine = refused.status == 401 or (refused.status == 431 and len(token) > 8000)
        return None if fine else f"a bad token got HTTP {refused.status}"
    socket.drop()
    return "a bad token was let in"


async def _answer_to(port: int, token: str, sent: bytes, patience: float = 10) -> str:
    """The beginning of an answer, the end of the connection, and the answer to the call that is sent after."""
    socket = await WebSocket.open(port, token)
    try:
        socket.write(sent + PROBE)
        async with asyncio.timeout(patience):
            heard = json.loads(await socket.hear())
        if heard.get("to_device_id") == "probe":
            return SILENCE
        detail = heard.get("reason", heard.get("errorCode", ""))
        return f"{heard.get('type')} {detail}".strip()
    except Closed as closed:
        return f"closed {closed.code}"
    except ConnectionError:
        return "closed 1006"
    except TimeoutError:
        return "no answer"  # the last frame took the next call for its own continuation
    finally:
        socket.drop()
