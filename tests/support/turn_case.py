"""Servers for clients to test with, and reading the servers of an answer."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from typing import Any, Final

from callnet.config.schema import TurnSettings

SECRET: Final = "0123456789abcdefghijklmnopqrstuv"
STUN_URI: Final = "stun:turn.example.org:3478"
TURN_URIS: Final = ("turn:turn.example.org:3478?transport=udp", "turns:turn.example.org:5349?transport=tcp")
HOUR: Final = 3600
TURN: Final = TurnSettings(urls=TURN_URIS, stun=(STUN_URI,), secret=SECRET, lifetime=HOUR)
STUN: Final = [{"urls": [STUN_URI]}]
"""The servers for a client that gets no credentials."""


def expiry(servers: list[dict[str, Any]], secret: str = SECRET) -> int | None:
    """Until when the credentials among these are good; ``None``: there are none. They are those of :data:`TURN`."""
    if servers == STUN:
        return None
    stun, turn = servers
    assert [stun] == STUN, stun
    assert turn["urls"] == list(TURN_URIS), turn["urls"]
    assert turn.keys() == {"urls", "username", "credential"}, turn.keys()
    found = re.fullmatch("([0-9]{1,10}):[0-9a-f]{24}", turn["username"])
    assert found, "the user name is of another form"
    assert turn["credential"] == password(turn["username"], secret), "the secret is another one"
    return int(found[1])


def password(username: str, secret: str = SECRET) -> str:
    """The password that a TURN server with this secret expects of a user."""
    return base64.b64encode(hmac.new(secret.encode(), username.encode(), hashlib.sha1).digest()).decode()
