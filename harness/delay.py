"""A proxy that delays all bytes, as a long way does, where the kernel has no netem."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator

CHUNK = 64 * 1024


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    """Write whatever is read, each piece ``delay`` seconds later."""
    loop = asyncio.get_running_loop()
    while piece := await reader.read(CHUNK):
        loop.call_later(delay, writer.write, piece)
    await asyncio.sleep(delay)
    writer.write_eof()


@contextlib.contextmanager
def delaying_proxy(port: int, delay: float) -> Iterator[int]:
    """A port of 127.0.0.1 that leads to ``port``, with ``delay`` seconds for bytes on each way.

    Connecting takes no time: whoever measures connects before.
    """
    loop = asyncio.new_event_loop()
    tasks: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", port)
        with contextlib.suppress(OSError):
            await asyncio.gather(_carry(reader, back, delay), _carry(there, writer, delay))
        back.close()
        writer.close()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = loop.create_task(serve(reader, writer))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    async def stop() -> None:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        loop.stop()

    server = loop.run_until_complete(asyncio.start_server(accept, "127.0.0.1", 0))
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    try:
        yield int(server.sockets[0].getsockname()[1])
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop)
        thread.join()
        loop.close()
