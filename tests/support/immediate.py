"""Stands for the database's threads where a test wants no thread."""

from __future__ import annotations

from collections.abc import Callable
from typing import ParamSpec, TypeVar

from twisted.internet.defer import Deferred, maybeDeferred

_P = ParamSpec("_P")
_T = TypeVar("_T")


def run_at_once(function: Callable[_P, _T], /, *args: _P.args, **kwargs: _P.kwargs) -> Deferred[_T]:
    """Call ``function`` here and now."""
    return maybeDeferred(function, *args, **kwargs)
