"""Autobahn's protocol with less for each connection, and without its log."""

from __future__ import annotations

from functools import cached_property

from autobahn.twisted.websocket import WebSocketServerProtocol
from autobahn.websocket.utf8validator import Utf8Validator
from twisted.internet.defer import Deferred


class NullLogger:
    """A log that nothing is written to."""

    def debug(self, *_: object, **__: object) -> None:
        """Say nothing."""

    trace = info = warn = error = critical = debug


class SlimProtocol(WebSocketServerProtocol):
    """A connection that keeps shared state in a subclass which its factory makes (:mod:`callnet.ws.factory`),
    and creates the rest on demand.
    """

    CONFIG_ATTRS: list[str] = []  # noqa: RUF012  the factory's options are attributes of that subclass
    log = NullLogger()

    def __init__(self) -> None:
        pass

    @cached_property
    def is_open(self) -> Deferred[None]:
        """Nobody waits for it."""
        return Deferred()

    @cached_property
    def is_closed(self) -> Deferred[object]:
        """Nobody waits for it."""
        return Deferred()

    @cached_property
    def utf8validator(self) -> Utf8Validator:  # type: ignore[override]
        """Reads the texts that go Autobahn's way."""
        return Utf8Validator()
