"""A television: Chromium with a profile on disk, and pages whose clock is ahead. It is killed, and started again.

Nobody touches it: after it was paired nothing here sends it a key or a click.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from playwright.async_api import Browser, Error, Page, Playwright

from acceptance.home_network import HomeNetwork
from tests.browser.camera import Camera
from tests.browser.stage import FLAGS, HEADLESS_SHELL, RATE

STARTS_WITHIN: Final = 60.0
"""Seconds in which a browser has started on a machine that is busy."""
BACK_WITHIN: Final = 90.0
"""Seconds in which the kiosk is there again, once it can be."""
LOOK_EVERY: Final = 0.2
ANSWERS_WITHIN: Final = 5.0
_SHOWN: Final = """() => [document.body?.dataset.scene ?? "", document.body?.dataset.link ?? "",
    document.querySelector("script[type=module]")?.src.match(/v-[0-9a-f]{16}/)?.[0] ?? ""]"""
"""The scene, the state of the link, and the release of the page."""
_AHEAD: Final = """(ahead) => {
    const True = window.TrueDate ??= window.Date;
    window.Date = class Date extends True {
        constructor(...given) { super(...(given.length > 0 ? given : [True.now() + ahead])); }
        static now() { return True.now() + ahead; }
    };
}"""
"""Sets the clock of a page ahead by milliseconds. libfaketime makes Chromium thirty times slower."""


async def until(happened: Callable[[], object]) -> None:
    """Wait until the function ``happened`` says so."""
    while not happened():  # noqa: ASYNC110  nobody tells of it
        await asyncio.sleep(LOOK_EVERY)


class Stuck(Exception):
    """A television does not show what it must."""


class Television:
    """One television.

    :param folder: its own.
    :param site: the port.
    """

    def __init__(self, folder: Path, phone: str, site: int, playwright: Playwright) -> None:
        self.phone: Final = phone
        self.network: Final = HomeNetwork(site)
        self.touches = 0
        self.complaints: Final[list[str]] = []
        """Errors of its pages."""
        self._folder = folder
        self._ahead = 0.0
        self._playwright = playwright
        self._process: subprocess.Popen[bytes] | None = None
        self._browser: Browser | None = None
        self._page: Page | None = None

    @property
    def page(self) -> Page:
        """Its page.

        :raises Stuck: it is not on.
        """
        if self._page is None:
            raise Stuck("it is not on")
        return self._page

    async def switch_on(self) -> None:
        """Start the browser, and have it open the phone."""
        place = self._folder / "profile" / "DevToolsActivePort"
        place.unlink(missing_ok=True)
        camera = Camera.RED.record(self._folder, RATE)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220
                (
                    *(HEADLESS_SHELL, *FLAGS, f"--user-data-dir={self._folder}/profile", "--remote-debugging-port=0"),
                    *(f"--use-fake-device-for-media-stream=device-count=1,fps={RATE}", "--window-size=640,360"),
                    *(f"--use-file-for-fake-video-capture={camera}", "--autoplay-policy=no-user-gesture-required"),
                    "about:blank",
                ),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        async with asyncio.timeout(STARTS_WITHIN):
            await until(lambda: place.exists() and "\n" in place.read_text())
            port = place.read_text().partition("\n")[0]
            browser = self._browser = await self._playwright.chromium.connect_over_cdp(f"http://127.0.0.1:{port}")
            await until(lambda: browser.contexts[0].pages)
        self._page = browser.contexts[0].pages[0]
        self._page.on("pageerror", lambda error: self.complaints.append(str(error)))
        await self._tell_time()
        with suppress(Error):
            await self._page.goto(f"https://localhost:{self.network.port}/", wait_until="commit")

    async def set_clock(self, ahead: float) -> None:
        """Set its clock ahead by seconds."""
        self._ahead = ahead
        if self._page is not None:
            await self._tell_time()

    async def _tell_time(self) -> None:
        milliseconds = 1_000 * self._ahead
        await self.page.add_init_script(f"({_AHEAD})({milliseconds})")
        for frame in self.page.frames:
            with suppress(Error):  # it has gone meanwhile
                await frame.evaluate(_AHEAD, milliseconds)

    async def cut_power(self) -> None:
        """Kill the browser."""
        if self._process is None:
            return
        os.killpg(self._process.pid, signal.SIGKILL)
        await asyncio.to_thread(self._process.wait)
        self._process = self._page = None
        if self._browser is not None:
            await self._browser.close()

    async def shown(self) -> Sequence[str]:
        """The scene, the state of the link and the release; while no page is there, empty strings."""
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                found: Sequence[str] = await self.page.evaluate(_SHOWN)
        except (Error, TimeoutError):
            return "", "", ""
        return found

    async def press(self, element_id: str) -> None:
        """Press a button. Only who installs it does."""
        self.touches += 1
        await self.page.click(f"#{element_id}")

    async def shows(self, scene: str, link: str = "", release: str = "", *, within: float = BACK_WITHIN) -> float:
        """Wait until it shows this. Returns the seconds that it took.

        :param link: empty: any, as with the release.
        :raises Stuck: it does not.
        """
        began = time.monotonic()
        wanted = scene, link, release
        while True:
            last = await self.shown()
            if all(want in ("", found) for want, found in zip(wanted, last, strict=True)):
                return time.monotonic() - began
            if time.monotonic() - began > within:
                raise Stuck(f"it shows {' '.join(last).strip() or 'no page'}, and not {' '.join(wanted).strip()}")
            await asyncio.sleep(LOOK_EVERY)
