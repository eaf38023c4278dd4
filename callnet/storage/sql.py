"""How the daemon's statements are run."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, Protocol, TypeVar

from twisted.internet.defer import Deferred

_P = ParamSpec("_P")
_T = TypeVar("_T")


class Run(Protocol):
    """Runs a function that blocks: in a thread, or in unit tests at once."""

    def __call__(self, function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
        """Call ``function``; the Deferred fires with what it returns or raises."""
