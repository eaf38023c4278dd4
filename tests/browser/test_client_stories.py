"""Stories of tests/client_stories, played by the client in JavaScript in Chromium: the logs are the committed ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Route
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred

from harness import ROOT
from tests.browser.case import OwnDaemonCase, in_reactor
from tests.browser.stage import Stage
from tests.support.daemon import Daemon
from tests.support.story_player import STORIES, Gate, expected, read

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
"""What depends on the browser: its requests, its sockets, how they are lost, and how each tells."""

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
    """Give a page what is not on the site: the player of stories, and what it imports, from where they are."""
    path = ROOT / urlsplit(route.request.url).path.removeprefix("/")
    route.fulfill(body=path.read_text(encoding="utf-8"), content_type="text/javascript")


class Theatre:
    """A daemon and a page, for one story on one protocol."""

    def __init__(self, context: BrowserContext, name: str, protocol: str, folder: Path) -> None:
        self._context = context
        self._story = read(name)
        self._protocol = protocol
        self._daemon = Daemon(str(folder), str(self._story.get("settings", "")))
        self._gates: dict[str, Gate] = {}
        self._ports: list[Any] = []

    def play(self) -> str:
        """The log."""
        in_reactor(self._daemon.start)
        try:
            urls = {device: self._open(device) for device in self._story["devices"]}
            page = self._context.new_page()
            page.expose_function("operate", self._operate)
            page.goto(f"{self._daemon.site_url}/static/client/package.json")
            log: str = page.evaluate(_PLAY, [self._story, self._protocol, urls])
            page.close()
        finally:
            for port in self._ports:
                in_reactor(port.stopListening)
            in_reactor(self._daemon.stop)
        return log

    def _open(self, device: str) -> str:
        parts = urlsplit(self._daemon.site_url)
        gate = self._gates[device] = Gate(str(parts.hostname), int(parts.port or 0))
        port = in_reactor(lambda: reactor.listenTCP(0, gate, interface="127.0.0.1"))
        self._ports.append(port)
        return f"https://127.0.0.1:{port.getHost().port}"

    def _operate(self, what: str, device: str, value: bool) -> None:
        gate = self._gates[device]
        if what == "cut":
            in_reactor(gate.cut)
        else:
            gate.is_shut = value


class StoriesTests(OwnDaemonCase):
    """The client in Chromium."""

    def test_stories(self) -> Deferred[None]:
        """Each story has the log that it has with the other client, and in Node.js."""

        def story(stage: Stage) -> None:
            # The site's policy lets its pages talk to nobody else; the ways that can be shut are other ports.
            context = stage.profile(stage.browser(None), bypass_csp=True)
            context.route("**/tests/javascript/*.mjs", serve)
            context.route("**/callnet/static/client/*.js", serve)
            for name in PLAYED:
                for protocol in json.loads((STORIES / f"{name}.json").read_text())["protocols"]:
                    log = Theatre(context, name, protocol, Path(self.mktemp())).play()
                    self.assertEqual(expected(name, protocol), log, f"{name}, {protocol}")

        return self.play(story)
