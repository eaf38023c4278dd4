"""``callnet schema``: the schemas of the APIs, for client authors."""

from __future__ import annotations

import json
from typing import Any

import click

from callnet.schemas import asyncapi_document, openapi_document, room_document


@click.group()
def schema() -> None:
    """Print the schemas of the APIs, to generate or check a client."""


@schema.command("asyncapi")
def asyncapi_() -> None:
    """Print the AsyncAPI document: the frames of all WebSockets."""
    _print(asyncapi_document())


@schema.command("openapi")
def openapi_() -> None:
    """Print the OpenAPI document: the account service."""
    _print(openapi_document())


@schema.command("room")
def room_() -> None:
    """Print the JSON Schemas of the messages in a room."""
    _print(room_document())


def _print(document: dict[str, Any]) -> None:
    click.echo(json.dumps(document, indent=2, ensure_ascii=False))
