"""Examples of frames and bodies, made of a sample for each field, for the reference. The tests validate them."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping
from typing import Any, Final

from callnet.schemas import REFERENCE, Schema

_ROOM: Final = "5f0d8a1c3e7b49c2a6d4f8e0b2c1a397"
_VALUES: Final[Mapping[str, Any]] = {
    "age": 40,
    "after": "WzE3MDAwMDAwMDBd",
    "answered_at": 1700000004.5,
    "application_server_key": "BEl62iUYgUivxIkv69yViEuiBIa-Ib9-SkvMeAtA3LFgDzkrxZJjSgSnfckjBJuBkr3qBUYIHBQFLXYp5Nksh8U",
    "auto_answer": True,
    "auto_answers": True,
    "blocked": False,
    "calls_left": 3,
    "can_hold": True,
    "code": "482913",
    "contact_phone": "13800138000",
    "credential": "q8HkXlEYqNfDb0xBvB0m1zP3S2A=",
    "data": {"sdp": "…"},
    "deadline": 30.0,
    "device_id": "tv888",
    "device_secret": "kq2pYw0cR1mVxE7uTj9aLg",
    "direction": "outgoing",
    "do_not_disturb_until": 1700003600.25,
    "ended_at": 1700000064.75,
    "expires_at": 1700090000.25,
    "expires_in": 604800,
    "favourite": True,
    "fire_device_id": "phone1",
    "fire_phone": "13800138000",
    "from": "22:30",
    "from_device_id": "tv888",
    "from_name": "Mum",
    "from_phone": "13651884967",
    "guest": False,
    "guest_token": "GUEST_TOKEN",
    "hold": True,
    "id": "7",
    "is_on": True,
    "joined": True,
    "interval": 5,
    "kind": "webhook",
    "label": "Living room",
    "kiosk": True,
    "kiosk_pin": "0471",
    "last_used_at": 1700000000.25,
    "limit": 50,
    "link_id": "0a1b2c3d4e5f",
    "link_name": "Door",
    "made_at": 1700000000.25,
    "message": "",
    "name": "Mum",
    "next": "WzE3MDAwMDAwMDBd",
    "notified_device_id": "phone1",
    "notified_phone": "13800138000",
    "of_page": True,
    "old": "SUBSCRIPTION",
    "on_hold": True,
    "online": True,
    "outcome": "answered",
    "page": f"/static/demo/direct_chat.html?room_id={_ROOM}",
    "peer_device_id": "phone1",
    "peer_phone": "13800138000",
    "phone": "13651884967",
    "phones": ["13800138000"],
    "photo": "9f2c41d07b3a6e58",
    "photo_given": False,
    "pairing_id": "c81e728d9d4c2f636f067f89cc14862c",
    "pin": "0471",
    "ping_every": 20,
    "profile_name": "王芳",
    "reason": "hangup",
    "reconnect_in": 2.25,
    "room_id": _ROOM,
    "secret": "kq2pYw0cR1mVxE7uTj9aLg",
    "server_time": 1700000000.25,
    "started_at": 1700000000.25,
    "state": "active",
    "t": 1,
    "target": "device 4711",
    "this": True,
    "ticket": "TICKET",
    "time_zone": "Asia/Shanghai",
    "to": "07:00",
    "to_device_id": "phone1",
    "to_phone": "13800138000",
    "token": "TOKEN",
    "urls": ["turn:turn.example.org:3478?transport=udp"],
    "user_code": "BCDF-GHJK",
    "username": "1700043200:9f2c41d07b",
    "version": "9f2c41d07b3a6e58",
    "what": ["contacts"],
    "who_may_call": "anyone",
    "second_call_rings": True,
}
_ELSEWHERE: Final[Mapping[str, Any]] = {
    "AdderRow.phone": "13800138000",
    "BeginPairingRequest.name": "Television",
    "BegunPairingAnswer.expires_in": 600,
    "CallFailed.message": "the device is in another call",
    "CallFailed.reason": "busy",
    "CallRefuse.reason": "refused",
    "Called.expires_in": 45,
    "ChangeLinkRequest.name": "Door",
    "ContactRow.device_id": "phone1",
    "ContactRow.phone": "13800138000",
    "EnterRequest.name": "Eve",
    "EnterRequest.secret": "kq2pYw0cR1mVxE7uTj9aLg",
    "EnteredGuestAnswer.expires_in": 86400,
    "ErrorFrame.message": "calling_hangup: room_id must be a string",
    "IceOfferAnswer.expires_in": 43200,
    "LinkRow.name": "Door",
    "MakeLinkRequest.name": "Door",
    "PeerState.device_id": "tablet",
    "PeerState.state": "moved",
    "PersonRow.phone": "13800138000",
    "PhotoFields.data": "/9j/4AAQSkZJRgABAQAAAQABAAD/…",
    "PhotoFields.type": "image/jpeg",
    "PresenceOf.device_id": "phone1",
    "PresenceOf.phone": "13800138000",
    "ProfileFieldsAnswer.name": "王芳",
    "AddContactRequest.photo": "/9j/4AAQSkZJRgABAQAAAQABAAD/…",
    "ProfileRequest.name": "王芳",
    "ProfileRequest.photo": "/9j/4AAQSkZJRgABAQAAAQABAAD/…",
    "RenewPushRequest.target": "SUBSCRIPTION",
    "SettingsAnswer.auto_answer": ["13800138000"],
    "SettingsAnswer.rings_through": ["13800138000"],
    "SettingsRequest.auto_answer": ["13800138000"],
    "SettingsRequest.rings_through": ["13800138000"],
    "WaitingDeviceAnswer.name": "Television",
}
"""Where a field stands for something else than elsewhere."""


def example(name: str, components: Mapping[str, Schema], only: Collection[str] | None = None) -> dict[str, Any]:
    """An example of a schema.

    :param name: of the schema.
    :param only: the fields that it is to have; all, without this.
    :raises KeyError: nothing stands for one of its fields.
    """
    properties = components[name]["properties"]
    return {
        field: _value(name, field, schema, components)
        for field, schema in properties.items()
        if only is None or field in only
    }


def _value(name: str, field: str, schema: Schema, components: Mapping[str, Schema]) -> Any:
    if "const" in schema:
        return schema["const"]
    if "$ref" in schema:
        return example(schema["$ref"].removeprefix(REFERENCE), components)
    if "$ref" in schema.get("items", {}):
        return [_value(name, field, schema["items"], components)]
    for option in schema.get("anyOf", ()):
        if "$ref" in option:
            return _value(name, field, option, components)
    own = f"{name.rpartition('.')[2]}.{field}"
    return _ELSEWHERE[own] if own in _ELSEWHERE else _VALUES[field]


def written(value: Mapping[str, Any]) -> str:
    """An example as a block of JSON: in one line, if that is short."""
    line = json.dumps(value, ensure_ascii=False)
    return line if len(line) <= 72 else json.dumps(value, ensure_ascii=False, indent=2)
