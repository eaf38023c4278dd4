"""An operator's view of a node: its admin listener, on a socket file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from harness.wire import request

PATIENCE: Final = 3.0


async def ask(admin: Path, path: str) -> tuple[int, str]:
    """GET something of a node's admin listener; status 0: it does not answer."""
    try:
        async with asyncio.timeout(PATIENCE):
            reader, writer = await asyncio.open_unix_connection(str(admin))
            try:
                writer.write(request(path, b"", "GET"))
                raw = await reader.read(-1)
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return 0, "no answer"
    head, _, body = raw.partition(b"\r\n\r\n")
    return int(head.split(b" ")[1]), body.decode(errors="replace")


def series(text: str) -> dict[str, float]:
    """The values of ``/metrics``, by name and labels."""
    lines = (line.rpartition(" ") for line in text.splitlines() if line and not line.startswith("#"))
    return {name: float(value) for name, _, value in lines}
