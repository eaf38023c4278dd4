"""An operator at the dashboard, in a browser. Everything here blocks, as in :mod:`tests.browser.visitor`."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path
from typing import Final, Literal

from playwright.sync_api import Browser, ConsoleMessage

from tests.browser.stage import Stage
from tests.browser.visitor import Visitor
from tests.support.daemon import Daemon

NO_ANSWER: Final = "Failed to load resource"
"""Chromium's console message for each answer that is an error, and for no other."""


class Operator(Visitor):
    """One tab with the dashboard."""

    @property
    def shown(self) -> str:
        """The state of callnet in a word, once an answer that a busy machine has late is there."""
        self.page.wait_for_selector("body:not([data-state=late], [data-state=away])")
        return self.page.get_attribute("body", "data-state") or ""

    def _print(self, message: ConsoleMessage) -> None:
        """Complain of an error in the console, but for a daemon that is so busy that it is not ready for a moment."""
        if not message.location["url"].endswith("/readyz") or "status of 503" not in message.text:
            super()._print(message)

    def open(self) -> None:
        """Open the dashboard."""
        self.page.goto(f"{self._site_url}/")

    def stop_clock(self) -> None:
        """Have time in the page, which is yet to be opened, pass only as ``page.clock`` is told."""
        self.page.clock.install()
        self.page.clock.pause_at(time.time() + 1)

    def await_state(self, state: str, scene: str = "") -> None:
        """Wait until callnet is shown to be so, and whether the key is ``known``."""
        self.page.wait_for_selector(f'body[data-state="{state}"]' + (f'[data-key="{scene}"]' if scene else ""))

    def unlock(self, key: str) -> None:
        """Show the key."""
        self.page.fill("#key", key)
        self.press("key-submit")

    def tile(self, label: str) -> str:
        """The number under a label, and the line below it."""
        tile = self.page.locator(".tile", has_text=label)
        return " ".join(tile.locator(".value, .more").all_inner_texts())

    def await_tile(self, label: str, text: str) -> None:
        """Wait until the number, with the line below it, is this."""
        label, text = json.dumps(label), json.dumps(text)
        self.await_that(
            f"Array.from(document.querySelectorAll('.tile')).some((tile) => tile.innerText.startsWith({label})"
            f" && tile.querySelector('.value').innerText + ' ' + tile.querySelector('.more').innerText === {text})"
        )

    def rows(self, table: Literal["calls", "devices", "failures"]) -> list[str]:
        """The rows of a table, each in one line."""
        return [re.sub(r"\s+", " ", text) for text in self.page.locator(f"#{table}-rows tr").all_inner_texts()]

    def await_rows(self, table: Literal["calls", "devices", "failures"], number: int) -> None:
        """Wait until a table has this number of rows."""
        self.await_that(f"document.querySelectorAll('#{table}-rows tr').length === {number}")

    def press_in(self, row: str, button: str) -> None:
        """Press a button of the row that this selector finds."""
        self.page.click(f"{row} button:text-is({json.dumps(button, ensure_ascii=False)})")

    def agree(self) -> None:
        """Confirm the page's question, and wait until it is done."""
        self.press("question-yes")
        self.await_hidden("question")


def key_of(daemon: Daemon) -> str:
    """The key that a daemon has made."""
    return Path(daemon.state_dir, "admin.key").read_text(encoding="ascii").strip()


def operator(stage: Stage, browser: Browser, daemon: Daemon, language: str = "en-US") -> Operator:
    """Somebody in a profile of their own."""
    return stage.add(Operator(stage.profile(browser, language).new_page(), daemon.admin_url))
