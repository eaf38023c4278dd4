"""The written part of a call."""

from __future__ import annotations

from typing import Final

from twisted.internet.defer import Deferred

from tests.browser.case import BrowserCase
from tests.browser.stage import Stage
from tests.browser.test_call import meet
from tests.browser.visitor import Visitor

MARKUP: Final = "<img src=x onerror=\"document.title='bad'\"> https://example.org\n你好 👋"


def write(visitor: Visitor, text: str) -> None:
    """Write a text in the chat, which is open, and send it."""
    visitor.page.fill("#chat-text", text)
    visitor.page.keyboard.press("Enter")


def texts(visitor: Visitor, side: str) -> list[str]:
    """The messages of one side, as the visitor reads them."""
    return visitor.page.locator(f"#log .{side} p").all_inner_texts()


class ChatTests(BrowserCase):
    """Two who write to each other."""

    def test_both_ways(self) -> Deferred[None]:
        """Messages arrive as they were written, and nothing in them becomes a link or markup."""

        def story(stage: Stage) -> None:
            red, blue = meet(stage)
            for visitor in (red, blue):
                visitor.press("chat")
                self.assertEqual(visitor.focused, "chat-text")
            write(red, MARKUP)
            blue.await_shown("log", "example.org")
            self.assertEqual(texts(blue, "theirs"), [MARKUP])
            self.assertEqual(texts(red, "own"), [MARKUP])
            self.assertEqual(blue.page.locator("#log a, #log img").count(), 0)
            write(blue, "Hello")
            red.await_shown("log", "Hello")
            self.assertEqual(texts(red, "theirs"), ["Hello"])
            self.assertEqual(red.page.input_value("#chat-text"), "")

        return self.play(story)

    def test_unread(self) -> Deferred[None]:
        """Messages that arrive while the chat is closed are counted and announced until it is opened."""

        def story(stage: Stage) -> None:
            red, blue = meet(stage)
            red.press("chat")
            for text in ("one", "two"):
                write(red, text)
            blue.await_shown("unread", "2")
            self.assertEqual(blue.page.get_attribute("#chat", "aria-label"), "Chat, 2 new messages")
            self.assertEqual(blue.text("notice"), "New message in the chat.")
            blue.press("chat")
            blue.await_hidden("unread")
            self.assertEqual(texts(blue, "theirs"), ["one", "two"])
            self.assertIsNone(blue.page.get_attribute("#chat", "aria-label"))

        return self.play(story)

    def test_not_connected(self) -> Deferred[None]:
        """A message that cannot be sent is reported, and stays in the input field."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None))
            visitor.enter(stage.room)
            visitor.await_state("waiting")
            visitor.press("chat")
            write(visitor, "Hello?")
            visitor.await_shown("chat-problem", "Not sent.")
            self.assertEqual(visitor.page.input_value("#chat-text"), "Hello?")
            self.assertEqual(texts(visitor, "own"), [])

        return self.play(story)

    def test_nothing_is_kept(self) -> Deferred[None]:
        """A text is gone with the page, and with the call."""

        def story(stage: Stage) -> None:
            red, blue = meet(stage)
            red.press("chat")
            write(red, "between us")
            blue.await_shown("unread")
            for visitor in (red, blue):
                self.assertNotIn("between us", visitor.page.evaluate("JSON.stringify([localStorage, sessionStorage])"))
            red.press("hangup")
            for visitor in (red, blue):
                visitor.await_state("ended")
                visitor.press("action")
            for visitor in (red, blue):
                visitor.await_state("connected")
                self.assertEqual(visitor.page.locator("#log > div").count(), 0)
            blue.await_hidden("unread")

        return self.play(story)

    def test_words_that_are_composed(self) -> Deferred[None]:
        """Enter that ends the composing of a word, as in Chinese, sends nothing; Shift and Enter begin a line."""

        def story(stage: Stage) -> None:
            red, blue = meet(stage)
            red.press("chat")
            red.page.fill("#chat-text", "你好")
            red.page.evaluate(
                "document.getElementById('chat-text').dispatchEvent("
                "new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true }))"
            )
            self.assertEqual(texts(red, "own"), [])
            red.page.keyboard.press("Shift+Enter")
            red.page.keyboard.type("second line")
            red.page.keyboard.press("Enter")
            self.assertEqual(texts(red, "own"), ["你好\nsecond line"])
            blue.await_shown("unread", "1")

        return self.play(story)
