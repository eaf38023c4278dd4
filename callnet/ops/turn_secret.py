"""The secret that callnet shares with the TURN servers."""

from __future__ import annotations

from typing import Final

from callnet.config.schema import TurnSettings
from callnet.errors import StartError
from callnet.frames.ice import SECRET_MAX, SECRET_MIN, is_secret
from callnet.util import files

_SETTING: Final = "turn.secret_file"
_MOST_LINES: Final = 2


class TurnSecret:
    """The secret that credentials are made with from now on. It may be changed at any time."""

    def __init__(self, value: str) -> None:
        self.value = value


def read_turn_secret(settings: TurnSettings) -> str:
    """Read the secret; it is empty if there is no TURN server.

    Of two lines in the file the first is it. The other is for people: what the servers still accept.

    :raises StartError: the file cannot be read, is open to others, or holds no secret.
    """
    if not settings.urls or not settings.secret_file:
        return settings.secret
    content = files.read_private(settings.secret_file, _SETTING)
    lines = content.decode("latin-1").split("\n")
    if lines[-1] == "":
        lines.pop()
    if not 1 <= len(lines) <= _MOST_LINES or not all(map(is_secret, lines)):
        raise StartError(
            f"{_SETTING}: {settings.secret_file} must have one or two lines, each of {SECRET_MIN} to {SECRET_MAX}"
            " ASCII characters without spaces"
        )
    return lines[0]
