"""One side of a pairing, by the client in Python; ``pair.mjs`` is the same by that in JavaScript.

``python -m acceptance.pair wait SITE NAME`` shows the letters, and who it is once it is let in;
``python -m acceptance.pair admit SITE PHONE DEVICE SECRET LETTERS NAME`` lets it in.
"""

from __future__ import annotations

import asyncio
import sys

from callnet_client import Account, Credentials, Pairing, Server, aio


async def main(way: str, site: str, *rest: str) -> None:
    """Play it."""
    async with aio.running() as reactor:
        server = Server(site, reactor)
        if way == "wait":
            pairing = await aio.wait(Pairing.begin(server, *rest, keep=lambda *_: None))
            print(pairing.user_code, flush=True)
            account = await aio.wait(pairing.finished())
            print(*account.address)
        else:
            phone, device_id, secret, letters, name = rest
            account = Account(server, phone, device_id, kept=Credentials(secret=secret), keep=lambda _: None)
            await aio.wait(account.login())
            found = await aio.wait(account.waiting_device(letters))
            await aio.wait(account.accept_pairing(found.pairing_id, name))


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
