"""The rules of devices that have no socket and can be woken, pure like those of calls (protocol §1, ``/devices/push``).

A device that can be woken is not forgotten when it goes: it sleeps. A call to it rings as if it were there.
"""

from __future__ import annotations

from typing import Final

from callnet.calls.draft import Draft
from callnet.calls.events import NotWoken, PolicyChanged, Sleeps
from callnet.calls.moves import goes_on_without
from callnet.model import Reason
from callnet.records import CallState, DeviceRecord

NOWHERE: Final = ""
"""The node of a device that sleeps."""


def fall_asleep(draft: Draft, device: DeviceRecord) -> None:
    """Let a device sleep that has been gone for longer than anybody waits for it."""
    draft.put_device(device, node=NOWHERE, unheard=None, lost_at=None, room=None, previous=None, due=None, known=())


def sleep(draft: Draft, event: Sleeps) -> None:
    """Let a device sleep of which nobody knows."""
    if draft.device(event.device) is None:
        policy = event.policy.in_record_of(event.device.device_id)
        draft.put_device(DeviceRecord(event.device, 0, NOWHERE, 0, False, None, None, None, None, None, policy))
        draft.keep_policy(event.device.phone, event.policy)


def not_woken(draft: Draft, event: NotWoken) -> None:
    """Let a device that still sleeps ring no more; if nobody else does, it was offline."""
    call, device = draft.call(event.room), draft.device(event.device)
    if call is None or call.state is not CallState.RINGING or event.device not in call.ringing:
        return
    if device is not None and device.connected:
        return
    if not goes_on_without(draft, call, event.device):
        draft.tell(draft.end(call, Reason.OFFLINE), call.caller)


def change_policy(draft: Draft, event: PolicyChanged) -> None:
    """Go from now on by what the owner of a phone wants."""
    for device in draft.devices_of(event.device.phone):
        if draft.policy_of(device) != event.policy:
            draft.keep_policy(event.device.phone, event.policy)
        policy = event.policy.in_record_of(device.address.device_id)
        if device.policy == policy:
            continue
        changed = draft.put_device(device, policy=policy)
        is_asleep = not device.connected and device.lost_at is None
        if is_asleep and not changed.can_be_woken and draft.call_of(device.address) is None:
            draft.put_device(changed, lost_at=draft.now)  # it is forgotten soon
