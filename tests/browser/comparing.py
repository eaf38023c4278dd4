"""The code that two people compare, as it is shown to a person (docs/verification.md)."""

from __future__ import annotations

from typing import Final

from callnet_client.emoji import EMOJI
from callnet_client.verification import Code
from tests.browser.visitor import Visitor

SIGNS_IN_ORDER: Final = [emoji.sign for emoji in EMOJI]
LATE: Final = """window.RTCPeerConnection = class extends RTCPeerConnection {
    #opened;
    #isKnown = false;
    createDataChannel(...options) {
        const channel = super.createDataChannel(...options);
        this.#opened = new Promise((done) => channel.addEventListener("open", () => setTimeout(done)));
        return channel;
    }
    async setRemoteDescription(description) {
        await super.setRemoteDescription(description);
        if (description.type === "answer") await this.#opened;
        this.#isKnown = true;
    }
    get currentRemoteDescription() {
        return this.#isKnown ? super.currentRemoteDescription : null;
    }
};"""
"""A page that learns that the answer is in force after the connection stands, as now and then in Chromium."""


class Comparing:
    """The code as shown to a person."""

    def __init__(self, visitor: Visitor) -> None:
        self.visitor = visitor

    def open(self) -> None:
        """Open the panel, if it is not open, and wait until it shows a code."""
        if not self.is_open:
            self.visitor.press("more")
            self.visitor.press("verify")
        self.visitor.page.wait_for_selector("#verification-code li")

    @property
    def is_open(self) -> bool:
        """True if the panel is open."""
        return self.visitor.is_visible("verification-drawer")

    @property
    def code(self) -> Code:
        """The six emoji, as their numbers."""
        signs = self.visitor.page.locator("#verification-code .sign").all_inner_texts()
        return tuple(SIGNS_IN_ORDER.index(sign) for sign in signs)

    @property
    def names(self) -> list[str]:
        """The names below the emoji."""
        return self.visitor.page.locator("#verification-code .name").all_inner_texts()

    @property
    def text(self) -> str:
        """The panel's text about them."""
        return self.visitor.text("verification-text")
