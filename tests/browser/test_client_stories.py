"""Stories of tests/client_stories, played by the client in JavaScript in Chromium: the logs are the committed ones."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import Route
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred

from harness import ROOT
from tests.browser.case import BrowserCase, in_reactor
from tests.browser.stage import Stage
from tests.support.shared_daemon import shared_daemon
from tests.support.story_player import RUNS, Gate, add_tests, expected, read

PLAYED: Final = (
    "accepted-hung-up-by-the-caller",
    "accepts-while-away",
    "calls-someone-else",
    "comes-back-in-a-call",
    "contacts",
    "denied",
    "displaced",
    "hangs-up-while-away",
    "history",
    "logged-out",
    "missed",
    "presence",
    "pulled",
    "signals",
)
"""The stories that depend on the browser: its requests, its sockets, how they are lost, and how each tells."""

_PLAY: Final = """async ([story, protocol, gates]) => {
    const { play } = await import("/tests/javascript/story.mjs");
    const gate = (name) => ({
        site: gates[name],
        shut: (isShut) => operate("shut", name, isShut),
        cut: () => operate("cut", name, true),
    });
    return play(story, protocol, { site: location.origin, gate });
}"""

reactor: Any = installed


def serve(route: Route) -> None:
    """Give a page the files that are not on the site: the player of stories, and its imports."""
    path = ROOT / urlsplit(route.request.url).path.removeprefix("/")
    route.fulfill(body=path.read_text(encoding="utf-8"), content_type="text/javascript")


class Gates:
    """The ways of the devices of a story to the daemon, each of which can be shut. In the reactor's thread."""

    def __init__(self, site_url: str, devices: Iterable[str]) -> None:
        site = urlsplit(site_url)
        self._gates = {device: Gate(str(site.hostname), int(site.port or 0)) for device in devices}
        self._ports = {
            device: reactor.listenTCP(0, gate, interface="127.0.0.1") for device, gate in self._gates.items()
        }

    @property
    def urls(self) -> dict[str, str]:
        """The site, for each device."""
        return {device: f"https://127.0.0.1:{port.getHost().port}" for device, port in self._ports.items()}

    def operate(self, what: str, device: str, value: bool) -> None:
        """Cut a device's connections, or shut its way or open it."""
        if what == "cut":
            self._gates[device].cut()
        else:
            self._gates[device].is_shut = value

    async def close(self) -> None:
        """Cut all connections, and accept no others."""
        for device, port in self._ports.items():
            await port.stopListening()
            self._gates[device].cut()


class StoriesTests(BrowserCase):
    """Each story, on each protocol that it names: the log is that of the other client, and of Node.js."""

    async def start_daemon(self) -> None:
        """Leave it to the story, which says with which settings."""

    async def perform(self, name: str, protocol: str) -> None:
        """Play one."""
        run = next(RUNS)
        told = read(name, run)
        self.daemon = await shared_daemon(self, told.get("settings", ""))
        gates = Gates(self.daemon.site_url, told["devices"])
        self.addCleanup(lambda: Deferred.fromCoroutine(gates.close()))

        def story(stage: Stage) -> None:
            # The site's policy lets its pages talk to nobody else; the ways that can be shut are other ports.
            context = stage.profile(stage.browser(None), bypass_csp=True)
            context.route("**/tests/javascript/*.mjs", serve)
            context.route("**/clients/javascript/*.js", serve)
            page = context.new_page()

            def operate(what: str, device: str, value: bool) -> None:
                in_reactor(partial(gates.operate, what, device, value))

            page.expose_function("operate", operate)
            page.goto(f"{stage.site_url}/static/client/package.json")
            self.assertEqual(expected(name, protocol, run), page.evaluate(_PLAY, [told, protocol, gates.urls]))

        await self.play(story)


add_tests(StoriesTests, PLAYED)
