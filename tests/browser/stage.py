"""The browsers of a test, and who sits at them. Everything here blocks: it runs in a thread."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Final, TypeVar

from playwright.sync_api import Browser, BrowserContext, Playwright, ViewportSize, sync_playwright

from tests.browser.camera import Camera
from tests.browser.sleep import asleep
from tests.browser.visitor import Visitor

CHROMIUM: Final = shutil.which("chromium") or "/usr/bin/chromium"
FIREFOX: Final = shutil.which("firefox-esr") or "/usr/bin/firefox-esr"
LAPTOP: Final = (1366, 768)
BARS: Final = 120
"""Pixels of a screen's height that the browser has for itself."""

_FLAGS: Final = (
    "--no-sandbox",  # which root does not have
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--mute-audio",
    "--ignore-certificate-errors",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)

_FIREFOX: Final[dict[str, str | float | bool]] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.volume_scale": "0",
}

V = TypeVar("V", bound=Visitor)


class Stage:
    """The browsers of one test."""

    def __init__(self, playwright: Playwright, site_url: str, directory: Path) -> None:
        self._playwright = playwright
        self.site_url: Final = site_url
        self._directory = directory
        self._visitors: list[Visitor] = []

    def browser(
        self,
        camera: Camera | None,
        *,
        refuse: bool = False,
        cameras: int = 1,
        program: str = CHROMIUM,
        flags: Sequence[str] = (),
    ) -> Browser:
        """Start a browser.

        :param camera: ``None``: the camera's picture does not matter.
        :param refuse: answers every question for the camera and the microphone with no.
        :param cameras: how many there are; all see the same.
        :param program: what is run instead, and runs the browser.
        :param flags: these besides.
        """
        given = [
            *_FLAGS,
            "--use-fake-ui-for-media-stream" + ("=deny" if refuse else ""),
            f"--use-fake-device-for-media-stream=device-count={cameras}",
            *flags,
        ]
        if camera is not None:
            given.append(f"--use-file-for-fake-video-capture={camera.record(self._directory)}")
        return self._playwright.chromium.launch(executable_path=program, args=given)

    def firefox(self) -> Browser:
        """Start Firefox, whose own camera shows a colour that changes all the time."""
        return self._playwright.firefox.launch(
            channel="moz-firefox", executable_path=FIREFOX, firefox_user_prefs=_FIREFOX
        )

    def visitor(
        self,
        browser: Browser,
        language: str = "en-US",
        size: tuple[int, int] = LAPTOP,
        site_url: str | None = None,
        whole_screen: bool = False,
        **options: Any,
    ) -> Visitor:
        """A new visitor, who shares nothing with the others.

        :param site_url: ``None``: the site of the stage.
        :param whole_screen: the page has all of it, as on a television, and no bars of the browser above it.
        """
        context = self.profile(browser, language, size, whole_screen=whole_screen, **options)
        return self.add(Visitor(context.new_page(), site_url or self.site_url))

    def profile(
        self,
        browser: Browser,
        language: str = "en-US",
        size: tuple[int, int] = LAPTOP,
        *,
        whole_screen: bool = False,
        **options: Any,
    ) -> BrowserContext:
        """A profile for pages that share cookies and storage with each other, and nothing with the rest."""
        width, height = size
        return browser.new_context(
            locale=language,
            viewport=ViewportSize(width=width, height=height),
            screen=ViewportSize(width=width, height=height + (0 if whole_screen else BARS)),
            ignore_https_errors=True,
            **options,
        )

    def add(self, visitor: V) -> V:
        """Let somebody in, whose complaints count."""
        self._visitors.append(visitor)
        return visitor

    def pair(self, second_site_url: str | None = None) -> tuple[Visitor, Visitor]:
        """Two visitors in browsers of their own, the first with the red camera, the second with the blue.

        :param second_site_url: where the second one goes; ``None``: the site of the stage.
        """
        red, blue = self.browser(Camera.RED), self.browser(Camera.BLUE)
        return self.visitor(red), self.visitor(blue, site_url=second_site_url)

    def asleep(self, camera: Camera) -> AbstractContextManager[None]:
        """Let the browser with this camera sleep for as long as the context lasts."""
        return asleep(str(camera.file(self._directory)))

    def complaints(self) -> Sequence[str]:
        """What went wrong in any page."""
        return [complaint for visitor in self._visitors for complaint in visitor.complaints]


@contextmanager
def stage(site_url: str, directory: Path) -> Iterator[Stage]:
    """Browsers for one test; all are closed in the end."""
    with ExitStack() as stack:
        yield Stage(stack.enter_context(sync_playwright()), site_url, directory)
