"""A call of the account service: its path, request struct and answer struct."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any, TypeAlias, get_type_hints

from klein import Klein
from msgspec import Struct
from twisted.web.iweb import IRequest

from callnet.web.schemas import decode_body, write_success

Method: TypeAlias = Callable[[Any, IRequest, Any], Awaitable[Struct]]
Look: TypeAlias = Callable[[Any], Struct]


def call(app: Klein, path: str) -> Callable[[Method], Method]:
    """Have a method answer ``POST`` requests at ``path``.

    It is given what the body says, and what it returns is the answer. :func:`types_of` finds out of which types
    that is.
    """

    def serve(method: Method) -> Method:
        asked = get_type_hints(method)["asked"]

        @app.route(path, methods=["POST"])
        @wraps(method)
        async def answer(api: Any, request: IRequest) -> bytes:
            return write_success(request, await method(api, request, decode_body(request.content.read(), asked)))

        return method

    return serve


def look(app: Klein, path: str) -> Callable[[Look], Look]:
    """Have a method answer ``GET`` requests at ``path``, which ask with nothing. What it returns is the answer."""

    def serve(method: Look) -> Look:
        @app.route(path, methods=["GET"])
        @wraps(method)
        def answer(api: Any, request: IRequest) -> bytes:
            return write_success(request, method(api))

        return method

    return serve


def types_of(method: Callable[..., Any]) -> tuple[type[Struct] | None, type[Struct]]:
    """The request and answer types of a method that serves a call."""
    hints = get_type_hints(method)
    return hints.get("asked"), hints["return"]
