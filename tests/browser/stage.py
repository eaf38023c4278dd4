"""The browsers of a test, and who sits at them. Everything here blocks: it runs in a thread."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, closing, contextmanager
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final, TypeVar

from playwright.sync_api import Browser, BrowserContext, Playwright, ViewportSize, sync_playwright

from tests.browser.camera import Camera
from tests.browser.sleep import asleep
from tests.browser.visitor import Visitor

CHROMIUM: Final = shutil.which("chromium") or "/usr/bin/chromium"
HEADLESS_SHELL: Final = shutil.which("chromium-headless-shell") or "/usr/bin/chromium-headless-shell"
"""Chromium without windows: it starts in a third of the time, and paints for less."""
FIREFOX: Final = shutil.which("firefox-esr") or "/usr/bin/firefox-esr"
WINDOW: Final = (800, 500)
"""No larger than the page needs to look as on a laptop: a window of 1366 times 768 takes twice the CPU to paint."""
RATE: Final = 5
"""Pictures that a camera takes in a second: each costs CPU, to send it and to paint it."""
LOOKED_AT_RATE: Final = 2
"""The same where a call goes on while its page is looked at, in windows as large as a television."""
BARS: Final = 120
"""Pixels of a screen's height that the browser has for itself."""

FLAGS: Final = (
    "--no-sandbox",  # which root does not have
    "--disable-dev-shm-usage",
    "--disable-gpu",
    "--renderer-process-limit=1",  # a profile starts no second process for a page that it may open next
    "--mute-audio",
    "--ignore-certificate-errors",
    "--use-fake-ui-for-media-stream",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE localhost, EXCLUDE 127.0.0.1",
)

_FIREFOX: Final[dict[str, str | float | bool]] = {
    "media.navigator.streams.fake": True,
    "media.navigator.permission.disabled": True,
    "media.autoplay.default": 0,
    "media.volume_scale": "0",
    "media.navigator.video.default_fps": RATE,
}

_SMALL: Final = """
    if (navigator.mediaDevices) {
        const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = ({ audio, video }) =>
            open({ audio, video: video && { ...video, width: 160, height: 90 } });
    }
"""
"""Pictures as small as those of Chromium's cameras: Firefox's own are as large as a page asks for."""
_QUIET: Final = """
    if (navigator.mediaDevices) {
        const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        window.microphones = [];
        navigator.mediaDevices.getUserMedia = async (wanted) => {
            const stream = await open(wanted);
            for (const track of stream.getAudioTracks()) {
                const settings = track.getSettings();
                const microphone = new AudioContext();
                microphone.suspend();
                window.microphones.push(microphone);
                const [quiet] = microphone.createMediaStreamDestination().stream.getAudioTracks();
                quiet.getSettings = () => settings;
                stream.removeTrack(track);
                stream.addTrack(quiet);
                track.stop();
            }
            return stream;
        };
    }
    {
        const { get, set } = Object.getOwnPropertyDescriptor(HTMLMediaElement.prototype, "srcObject");
        const add = MediaStream.prototype.addTrack;
        const remove = MediaStream.prototype.removeTrack;
        const shown = new WeakMap();
        const pictures = new WeakMap();
        const pictureOf = (stream) => {
            const tracks = stream?.getVideoTracks() ?? [];
            if (tracks.length === 0) return stream;
            if (!pictures.has(stream)) pictures.set(stream, new MediaStream(tracks));
            return pictures.get(stream);
        };
        Object.defineProperty(HTMLVideoElement.prototype, "srcObject", {
            get() { return shown.get(this) ?? get.call(this); },
            set(stream) {
                if (!this.defaultMuted) shown.set(this, stream);
                set.call(this, this.defaultMuted ? stream : pictureOf(stream));
            },
        });
        MediaStream.prototype.addTrack = function (track) {
            add.call(this, track);
            if (track.kind === "video") pictures.get(this)?.addTrack(track);
            for (const video of document.querySelectorAll("video")) {
                if (shown.get(video) === this && get.call(video) !== pictureOf(this)) set.call(video, pictureOf(this));
            }
        };
        MediaStream.prototype.removeTrack = function (track) {
            remove.call(this, track);
            pictures.get(this)?.removeTrack(track);
        };
    }
"""
"""Microphones that are opened and then say nothing until they are resumed, and pictures of others that play no sound:
sound is half of what a call costs.
"""

V = TypeVar("V", bound=Visitor)
_houses = count(1)


class Browsers:
    """Browsers that are started when somebody first wants them, and serve whoever comes after.

    :param directory: for what their cameras see.
    :param program: which Chromium.
    :param rate: pictures that Chromium's cameras take in a second.
    """

    def __init__(self, playwright: Playwright, directory: Path, program: str = CHROMIUM, rate: int = RATE) -> None:
        self._playwright = playwright
        self._directory = directory
        self._program = program
        self.rate: Final = rate
        self._running: dict[tuple[object, ...], Browser] = {}

    def chromium(self, camera: Camera | None, cameras: int, program: str, rate: int) -> Browser:
        """Chromium, as :meth:`Stage.browser` says."""
        return self._shared((camera, cameras, program, rate), partial(self.start, camera, cameras, program, rate))

    def firefox(self) -> Browser:
        """Firefox, as :meth:`Stage.firefox` says."""
        return self._shared((FIREFOX,), self.start_firefox)

    def start_firefox(self, **preferences: str | float | bool) -> Browser:
        """Start Firefox, for a single user."""
        return self._playwright.firefox.launch(
            channel="moz-firefox", executable_path=FIREFOX, firefox_user_prefs={**_FIREFOX, **preferences}
        )

    def _shared(self, kind: tuple[object, ...], start: Callable[[], Browser]) -> Browser:
        browser = self._running.get(kind)
        if browser is None or not browser.is_connected():
            browser = self._running[kind] = start()
        return browser

    def start(self, camera: Camera | None, cameras: int, program: str, rate: int, flags: Sequence[str] = ()) -> Browser:
        """Start Chromium, for a single user."""
        given = [*FLAGS, f"--use-fake-device-for-media-stream=device-count={cameras},fps={rate}", *flags]
        if camera is not None:
            given.append(f"--use-file-for-fake-video-capture={camera.record(self._directory, rate)}")
        return self._playwright.chromium.launch(executable_path=program or self._program, args=given)

    def asleep(self, camera: Camera) -> AbstractContextManager[None]:
        """Let the browser with this camera sleep for as long as the context lasts."""
        return asleep(str(camera.file(self._directory, self.rate)))


class Stage:
    """The browsers of one test, and its visitors, who leave in the end.

    :param has_sound: whether Chromium's microphones hear something, and it plays what others say.
    """

    def __init__(self, browsers: Browsers, site_url: str, *, has_sound: bool = True) -> None:
        self._browsers = browsers
        self.site_url: Final = site_url
        self.has_sound = has_sound
        self.room: Final = f"house-{next(_houses)}"
        """A room that no other test enters."""
        self._visitors: list[Visitor] = []
        self._exits = ExitStack()

    def close(self) -> None:
        """Close all profiles, and the browsers that serve nobody else."""
        self._exits.close()

    def browser(
        self,
        camera: Camera | None,
        *,
        cameras: int = 1,
        program: str = "",
        rate: int | None = None,
        flags: Sequence[str] = (),
    ) -> Browser:
        """A browser. One that has flags, or is run by a program of the test's own, serves this test alone.

        :param camera: ``None``: the camera's picture does not matter.
        :param cameras: how many there are; all see the same.
        :param program: what is run instead, and runs the browser.
        :param rate: pictures that they take in a second; ``None``: as many as those of the other browsers.
        :param flags: these besides.
        """
        rate = rate or self._browsers.rate
        if not flags and program in ("", CHROMIUM):
            return self._browsers.chromium(camera, cameras, program, rate)
        browser = self._browsers.start(camera, cameras, program, rate, flags)
        self._exits.callback(browser.close)
        return browser

    def firefox(self, **preferences: str | float | bool) -> Browser:
        """Firefox, whose own camera shows a colour that changes all the time.

        :param preferences: one that has some of its own serves this test alone.
        """
        if not preferences:
            return self._browsers.firefox()
        browser = self._browsers.start_firefox(**preferences)
        self._exits.callback(browser.close)
        return browser

    def visitor(
        self,
        browser: Browser,
        language: str = "en-US",
        size: tuple[int, int] = WINDOW,
        site_url: str | None = None,
        **options: Any,
    ) -> Visitor:
        """A new visitor, who shares nothing with the others.

        :param site_url: ``None``: the site of the stage.
        :param options: of :meth:`profile`.
        """
        context = self.profile(browser, language, size, **options)
        return self.add(Visitor(context.new_page(), site_url or self.site_url))

    def profile(
        self,
        browser: Browser,
        language: str = "en-US",
        size: tuple[int, int] = WINDOW,
        *,
        whole_screen: bool = False,
        refuse: bool = False,
        permissions: Sequence[str] = (),
        **options: Any,
    ) -> BrowserContext:
        """A profile for pages that share cookies and storage with each other, and nothing with the rest.

        :param whole_screen: the page has all of it, as on a television, and no bars of the browser above it.
        :param refuse: every question for the camera and the microphone is answered with no.
        :param permissions: what is allowed besides them.
        """
        width, height = size
        # Firefox, which does not know these names, has it in its settings.
        asked = [] if refuse or browser.browser_type.name == "firefox" else ["camera", "microphone"]
        context = browser.new_context(
            locale=language,
            viewport=ViewportSize(width=width, height=height),
            screen=ViewportSize(width=width, height=height + (0 if whole_screen else BARS)),
            ignore_https_errors=True,
            permissions=[*asked, *permissions],
            **{"reduced_motion": "reduce", **options},  # whoever waits is not to paint 60 pictures a second
        )
        self._exits.callback(context.close)
        if not self.has_sound and browser.browser_type.name == "chromium":
            context.add_init_script(_QUIET)
        if browser.browser_type.name == "firefox":
            context.add_init_script(_SMALL)
        return context

    def add(self, visitor: V) -> V:
        """Let somebody in, whose complaints count."""
        self._visitors.append(visitor)
        return visitor

    def pair(self, second_site_url: str | None = None, rate: int | None = None) -> tuple[Visitor, Visitor]:
        """Two visitors in browsers of their own, the first with the red camera, the second with the blue.

        :param second_site_url: where the second one goes; ``None``: the site of the stage.
        :param rate: of :meth:`browser`.
        """
        red, blue = self.browser(Camera.RED, rate=rate), self.browser(Camera.BLUE, rate=rate)
        return self.visitor(red), self.visitor(blue, site_url=second_site_url)

    def asleep(self, camera: Camera) -> AbstractContextManager[None]:
        """Let the browser with this camera sleep for as long as the context lasts."""
        return self._browsers.asleep(camera)

    def report(self) -> str:
        """Where all pages stand."""
        return "\n".join(visitor.report() for visitor in self._visitors)

    def complaints(self) -> Sequence[str]:
        """Errors in any page."""
        return [complaint for visitor in self._visitors for complaint in visitor.complaints]


@contextmanager
def stage(site_url: str, directory: Path) -> Iterator[Stage]:
    """A stage with browsers of its own; all are closed in the end."""
    with sync_playwright() as playwright, closing(Stage(Browsers(playwright, directory), site_url)) as stage:
        yield stage
