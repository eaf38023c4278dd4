"""Settings that can be changed while callnet runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

from msgspec import Struct

from callnet.config.schema import Settings

LIVE: Final = ("drain_deadline", "limits", "calls", "turn", "signaling")
"""Settings, and sections of them, that take effect at a reload. The others need a restart,
and so does ``turn`` together with another port of the site for it."""


class LiveSettings:
    """The settings in force, in which what is live may change.

    :param changed: called after that, for what was made of them.
    """

    def __init__(self, settings: Settings, changed: Sequence[Callable[[], None]] = ()) -> None:
        self.settings: Final = settings
        self._changed = changed

    def take_over(self, new: Settings) -> Changes:
        """Have what is live hold from now on."""
        changes = take_over(self.settings, new)
        for changed in self._changed:
            changed()
        return changes


class Changes(Struct, frozen=True):
    """The changes in settings that were reread, by key path. Values are never shown: they may be secrets."""

    made: Sequence[str]
    left: Sequence[str]
    """Settings that need a restart and keep their old values."""


def differences(old: Any, new: Any, path: str = "") -> Iterator[str]:
    """The key paths by which two settings, or sections of them, differ."""
    if isinstance(old, Struct):
        for name in old.__struct_fields__:
            yield from differences(getattr(old, name), getattr(new, name), f"{path}.{name}".lstrip("."))
    elif old != new:
        yield path


def take_over(settings: Settings, new: Settings) -> Changes:
    """Put those of ``new`` that may be changed now into ``settings``, which are in force."""
    changed = list(differences(settings, new))
    for name in LIVE:
        if name != "turn" or _handovers(settings) == _handovers(new):
            _overwrite(settings, new, name)
    left = set(differences(settings, new))
    return Changes([path for path in changed if path not in left], [path for path in changed if path in left])


def _handovers(settings: Settings) -> Sequence[Any]:
    """The listeners' part of TURN on the port of the site, which clients are told of; listeners need a restart."""
    return settings.one_port, *(listener.turn for listener in settings.listeners.site)


def _overwrite(settings: Any, new: Any, name: str) -> None:
    """Give one of the settings, or each in a section, its new value: the section itself is held by many."""
    section, value = getattr(settings, name), getattr(new, name)
    if not isinstance(section, Struct):
        setattr(settings, name, value)
        return
    for field in section.__struct_fields__:
        setattr(section, field, getattr(value, field))
