"""Those who are called and do not ring, each for a reason that the caller must not learn."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from msgspec import Struct

from harness.wire import login, post

CALLER: Final = ("13000000000", "phone")
DEVICE: Final = "tv"
ZONE: Final = "Asia/Shanghai"
AT_ONCE: Final = 16
"""Accounts that are made at the same time."""
HALF_A_DAY: Final = timedelta(hours=6)
"""The time before and after now in which it is quiet where it is."""


class Kind(Struct, frozen=True):
    """Why somebody does not ring."""

    name: str
    is_known: bool = True
    """There is an account."""
    is_online: bool = True
    lists_caller: bool = True
    """Else it may not be called, since its phone may be called by contacts only."""
    blocks_caller: bool = False
    is_quiet: bool = False
    was_online: bool = False
    """It was there a moment ago."""
    can_be_woken: bool = False
    """It sleeps, and the gateway would wake it."""


KINDS: Final = (
    Kind("unknown", is_known=False, is_online=False),
    Kind("offline", is_online=False),
    Kind("not a contact", lists_caller=False),
    Kind("blocked", blocks_caller=True),
    Kind("quiet hours", is_quiet=True),
    Kind("gone", is_online=False, was_online=True),
    Kind("asleep, blocked", is_online=False, blocks_caller=True, can_be_woken=True),
)


class Callee(Struct, frozen=True):
    """One of a kind."""

    kind: Kind
    phone: str
    token: str
    """Empty if there is no account."""


def phone_of(kind: Kind, number: int) -> str:
    """The phone of one of a kind: all are of the same length."""
    return f"1{31 + KINDS.index(kind)}{number:08}"


async def make(port: int, each: int) -> Sequence[Callee]:
    """Make this number of each kind, by the account service at ``port``."""
    slots = asyncio.Semaphore(AT_ONCE)

    async def make_one(kind: Kind, phone: str) -> Callee:
        async with slots:
            return Callee(kind, phone, await _account(port, kind, phone) if kind.is_known else "")

    return await asyncio.gather(*(make_one(kind, phone_of(kind, number)) for kind in KINDS for number in range(each)))


async def _account(port: int, kind: Kind, phone: str) -> str:
    token = await login(port, phone, DEVICE)
    if kind.lists_caller:
        await _ask(port, "/contacts/add", token=token, contact_phone=CALLER[0])
    if kind.blocks_caller:
        await _ask(port, "/contacts/block", token=token, contact_phone=CALLER[0])
    if kind.is_quiet:
        await _ask(port, "/account/settings", token=token, do_not_disturb=_now_is_quiet())
    if kind.can_be_woken:
        await _ask(port, "/devices/push", token=token, kind="webhook", target=phone)
    return token


async def _ask(port: int, path: str, **fields: Any) -> None:
    answer = await post(port, path, fields)
    if answer.get("errorCode") != 0:
        raise ValueError(f"{path}: {answer}")


def _now_is_quiet() -> Mapping[str, str]:
    now = datetime.now(ZoneInfo(ZONE))
    begins, ends = now - HALF_A_DAY, now + HALF_A_DAY
    return {"from": f"{begins:%H:%M}", "to": f"{ends:%H:%M}", "time_zone": ZONE}
