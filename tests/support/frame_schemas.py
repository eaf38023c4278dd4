"""Checks frames that are seen in tests against the schemas that clients are given of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache
from typing import Any

from jsonschema_rs import Draft7Validator, ValidationError

from callnet.schemas import Direction, reference


@cache
def validators(direction: Direction) -> Mapping[str, Draft7Validator]:
    """The validators of frames, by tag. AsyncAPI reads its schemas as draft 7 has it."""
    components = {"schemas": direction.schemas()}
    return {
        tag: Draft7Validator({"allOf": [reference(name)], "components": components})
        for tag, name in direction.frames().items()
    }


def complaint(direction: Direction, frame: Any) -> str | None:
    """The fault of a decoded frame; ``None``: there is none."""
    validator = validators(direction).get(str(frame.get(direction.tag_field))) if isinstance(frame, dict) else None
    if validator is None:
        return "it has no type that is known"
    try:
        validator.validate(frame)
    except ValidationError as error:
        return f"{'.'.join(map(str, error.instance_path))}: {error.message}"
    return None


def check(direction: Direction, payload: bytes) -> None:
    """Make sure that a frame is as the schemas say."""
    wrong = complaint(direction, json.loads(payload))
    assert wrong is None, f"{direction.name}: {payload!r}: {wrong}"
