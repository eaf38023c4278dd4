"""One call between two devices, as their tokens let them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Final

from acceptance.wire import WebSocket

CALLER: Final = ("13800138000", "phone1")
CALLEE: Final = ("13651884967", "tv888")


async def call(port: int, caller: str, callee: str) -> None:
    """One device calls the other, which answers; the caller hangs up. Both are known by their tokens.

    :raises ValueError: one of them was told something else than it had to be.
    """
    calling, called = await WebSocket.open(port, caller), await WebSocket.open(port, callee)
    try:
        calling.say(type="call", to_phone=CALLEE[0], to_device_id=CALLEE[1])
        room = (await _told(called, "called"))["room_id"]
        called.say(type="called_success", from_phone=CALLER[0], from_device_id=CALLER[1], room_id=room)
        if (await _told(calling, "call_success"))["room_id"] != room:
            raise ValueError("the two were given different rooms")
        calling.say(type="calling_hangup", notified_phone=CALLEE[0], notified_device_id=CALLEE[1], room_id=room)
        await _told(called, "calling_be_hangup")
    finally:
        calling.close()
        called.close()


async def _told(device: WebSocket, kind: str) -> Mapping[str, str]:
    """What it is told next. The end of its last call may be told again, if it left right after that."""
    message: Mapping[str, str] = json.loads(await device.hear())
    if message.get("type") == "calling_be_hangup" != kind:
        message = json.loads(await device.hear())
    if message.get("type") != kind:
        raise ValueError(f"a device was told {message.get('type')} in place of {kind}")
    return message
