"""One call between two devices, as their tokens let them."""

from __future__ import annotations

from typing import Final

from harness.base_protocol import Frame
from harness.device import Device
from harness.wire import WebSocket

CALLER: Final = ("13800138000", "phone1")
CALLEE: Final = ("13651884967", "tv888")


async def call(port: int, caller: str, callee: str) -> None:
    """One device calls the other, which answers; the caller hangs up. Both are known by their tokens.

    :raises ValueError: one of them was told something else than it had to be.
    """
    calling = Device(await WebSocket.open(port, caller), CALLER)
    called = Device(await WebSocket.open(port, callee), CALLEE)
    try:
        calling.call(CALLEE)
        ring = await _told(called, "called")
        called.answer(ring)
        if (await _told(calling, "call_success"))["room_id"] != ring["room_id"]:
            raise ValueError("the two were given different rooms")
        calling.hang_up(called, ring["room_id"])
        await _told(called, "calling_be_hangup")
    finally:
        calling.close()
        called.close()


async def _told(device: Device, kind: str) -> Frame:
    """The next message to it. The end of its last call may be repeated, if it left right after that."""
    message = await device.next()
    if message.get("type") == "calling_be_hangup" != kind:
        message = await device.next()
    if message.get("type") != kind:
        raise ValueError(f"a device was told {message.get('type')} in place of {kind}")
    return message
