"""What a person sees of the code that two people compare (docs/verification.md)."""

from __future__ import annotations

from typing import Final

from callnet.client.emoji import EMOJI
from callnet.client.verification import Code
from tests.browser.visitor import Visitor

SIGNS_IN_ORDER: Final = [emoji.sign for emoji in EMOJI]


class Comparing:
    """What a person sees of the code."""

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
        """Whether the panel is."""
        return self.visitor.is_visible("verification-drawer")

    @property
    def code(self) -> Code:
        """The six emoji, as their numbers."""
        signs = self.visitor.page.locator("#verification-code .sign").all_inner_texts()
        return tuple(SIGNS_IN_ORDER.index(sign) for sign in signs)

    @property
    def names(self) -> list[str]:
        """What stands below them."""
        return self.visitor.page.locator("#verification-code .name").all_inner_texts()

    @property
    def text(self) -> str:
        """What it says of them."""
        return self.visitor.text("verification-text")
