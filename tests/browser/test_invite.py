"""Inviting somebody else into a call: by its link, or its QR code."""

from __future__ import annotations

import subprocess
from pathlib import Path
from urllib.parse import urlencode

from twisted.internet.defer import Deferred

from tests.browser.case import BrowserCase
from tests.browser.stage import Stage
from tests.browser.visitor import PAGE, Visitor


class InviteTests(BrowserCase):
    """Inviting the other party."""

    def link(self, stage: Stage, visitor: Visitor) -> str:
        """Enter a room with a name that needs quoting, ask for its link, and return the expected one."""
        query = urlencode({"room_id": f"{stage.room} häuser&"})
        visitor.visit(f"?{query}&lang=en")
        visitor.await_state("waiting", "waiting")
        visitor.press("action")
        visitor.await_shown("invite-drawer")
        return f"{stage.site_url}{PAGE}?{query}"

    def test_copy(self) -> Deferred[None]:
        """The link of the room is copied, and opens the room."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            visitor = stage.visitor(browser, permissions=["clipboard-read", "clipboard-write"])
            link = self.link(stage, visitor)
            visitor.press("copy")
            visitor.await_shown("notice", "Link copied.")
            self.assertEqual(visitor.page.evaluate("navigator.clipboard.readText()"), link)
            other = stage.visitor(browser)
            other.page.goto(link)
            other.await_state("connected")

        return self.play(story)

    def test_a_new_call(self) -> Deferred[None]:
        """A person without a room's name gets one that nobody guesses; with the other there, no place is offered."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            visitor, other = stage.visitor(browser), stage.visitor(browser)
            visitor.visit("?lang=en")
            visitor.await_state("idle")
            visitor.press("new-room")
            visitor.await_state("waiting")
            room = visitor.text("room")
            self.assertRegex(room, "^[a-z]{3}-[a-z]{4}-[a-z]{3}$")
            visitor.press("action")
            visitor.await_shown("invite-drawer")
            other.page.goto(visitor.page.input_value("#link"))
            visitor.await_state("connected")
            visitor.await_hidden("invite-drawer")
            visitor.wake()
            visitor.page.keyboard.press("Enter")
            self.assertNotEqual(visitor.focused, "")
            visitor.press("more")
            self.assertFalse(visitor.is_visible("open-invite"))
            visitor.page.reload()
            visitor.await_state("connected")

        return self.play(story)

    def test_copy_in_older_browsers(self) -> Deferred[None]:
        """Where the browser has no clipboard for pages the link is copied as of old, or marked for the person."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            for command, said in (
                ("return this.queryCommandSupported('copy')", "copied"),
                ("return false", "The link is selected"),
            ):
                visitor = stage.visitor(browser)
                visitor.page.add_init_script(
                    "Object.defineProperty(navigator, 'clipboard', { value: undefined });"
                    f"document.execCommand = function () {{ {command}; }};"
                )
                link = self.link(stage, visitor)
                visitor.press("copy")
                visitor.await_shown("notice", said)
                self.assertEqual(visitor.page.evaluate("getSelection().toString()"), link)
                visitor.page.close()

        return self.play(story)

    def test_code(self) -> Deferred[None]:
        """The link can be photographed: the QR code says it, drawn again where what draws it did not arrive."""
        picture = Path(self.mktemp())

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None))
            visitor.page.route("**/lean-qr.js", lambda route: route.abort(), times=1)
            with visitor.page.expect_event("requestfailed"):
                link = self.link(stage, visitor)
            visitor.page.keyboard.press("Escape")
            visitor.await_hidden("invite-drawer")
            visitor.press("action")
            visitor.await_that("document.getElementById('code').width < 300")
            visitor.forgive("ERR_FAILED")
            visitor.page.locator("#code").screenshot(path=picture.with_suffix(".png"))
            read = ("zbarimg", "--quiet", "--raw", picture.with_suffix(".png"))
            said = subprocess.run(read, capture_output=True, text=True, check=True, timeout=60).stdout
            self.assertEqual(said.strip(), link)

        return self.play(story)
