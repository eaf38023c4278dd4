"""The written part of a call."""

from __future__ import annotations

import time
from typing import Final

from twisted.internet.defer import Deferred

from tests.browser.case import BrowserCase
from tests.browser.continuity import wait_until
from tests.browser.stage import Stage
from tests.browser.visitor import Visitor

MARKUP: Final = "<img src=x onerror=\"document.title='bad'\"> https://example.org\n你好 👋"

_CHOOSE: Final = """([name, type, size]) => {
    const content = Uint8Array.from({ length: size }, (_, place) => place % 251);
    const chosen = new DataTransfer();
    chosen.items.add(new File([content], name, { type }));
    const input = document.getElementById("file");
    input.files = chosen.files;
    input.dispatchEvent(new Event("change"));
}"""
"""A file is made in the page: Playwright would take two seconds of CPU for each megabyte to hand it over."""
_NOTE_REACTIONS: Final = """() => {
    window.seen = [];
    const note = (sign) => window.seen.push([sign.className, sign.textContent, sign.checkVisibility()]);
    new MutationObserver((changes) => changes.forEach(({ addedNodes }) => addedNodes.forEach(note)))
        .observe(document.getElementById("flying"), { childList: true });
}"""
"""Each is over in less time than a look may take on a busy machine."""

_SEND_INSTEAD: Final = """(isText) => {
    const create = RTCPeerConnection.prototype.createDataChannel;
    RTCPeerConnection.prototype.createDataChannel = function (...given) {
        RTCPeerConnection.prototype.createDataChannel = create;
        const channel = create.apply(this, given);
        const send = channel.send.bind(channel);
        channel.send = () => send(isText ? "text" : new ArrayBuffer(0));
        return channel;
    };
}"""
"""Each message on the next channel is a text, or has no bytes."""
MANY: Final = 600
LONGEST_LOG: Final = 500
_WRITE_MANY: Final = """(many) => {
    for (let number = 0; number < many; number++) {
        document.getElementById("chat-text").value = String(number);
        document.getElementById("chat-form").requestSubmit();
    }
}"""
_NOTES: Final = """async () => Array.from((await window.connections.at(-1).getStats()).values())
    .find(({ label }) => label === "notes").messagesReceived"""
"""The number of notes that came, heard or not."""


def choose(visitor: Visitor, name: str, kind: str, size: int) -> None:
    """Choose a file to be sent.

    :param kind: its media type.
    :param size: in bytes.
    """
    visitor.page.evaluate(_CHOOSE, [name, kind, size])


def write(visitor: Visitor, text: str) -> None:
    """Write a text in the chat, which is open, and send it."""
    visitor.page.fill("#chat-text", text)
    visitor.page.keyboard.press("Enter")


def texts(visitor: Visitor, side: str) -> list[str]:
    """The messages of one side, as the visitor reads them."""
    return visitor.page.locator(f"#log .{side} p").all_inner_texts()


class ChatTests(BrowserCase):
    """Two who write to each other."""

    def test_chat(self) -> Deferred[None]:
        """Two people write, send emoji, and hand each other files, past the server; nothing of it is kept."""

        def story(stage: Stage) -> None:
            red, blue = stage.pair()
            red.enter(stage.room)
            self.not_connected(red)
            blue.enter(stage.room)
            for visitor in (red, blue):
                visitor.await_state("connected")
            self.both_ways(red, blue)
            self.unread(red, blue)
            self.words_that_are_composed(red, blue)
            self.picker(red, blue)
            self.reaction(red, blue)
            self.nothing_is_kept(red, blue)
            for visitor in (red, blue):
                visitor.press("chat")
            self.too_large(red, blue)
            self.handed_over(red, blue)
            self.not_wanted(red, blue)
            self.no_bytes(red, blue)
            self.flood(red, blue)
            self.cut_off(red, blue)

        return self.play(story)

    def not_connected(self, visitor: Visitor) -> None:
        """A message that cannot be sent is reported, and stays in the input field."""
        visitor.await_state("waiting")
        visitor.press("chat")
        write(visitor, "Hello?")
        visitor.await_shown("chat-problem", "Not sent.")
        self.assertEqual(visitor.page.input_value("#chat-text"), "Hello?")
        self.assertEqual(texts(visitor, "own"), [])
        visitor.page.keyboard.press("Escape")

    def both_ways(self, red: Visitor, blue: Visitor) -> None:
        """Messages arrive as they were written: addresses of the web are links, and nothing becomes markup."""
        for visitor in (red, blue):
            visitor.press("chat")
            self.assertEqual(visitor.focused, "chat-text")
        write(red, MARKUP)
        blue.await_shown("log", "example.org")
        self.assertEqual(texts(blue, "theirs"), [MARKUP])
        self.assertEqual(texts(red, "own"), [MARKUP])
        self.assertEqual(blue.page.locator("#log img").count(), 0)
        (link,) = blue.page.locator("#log a").all()
        self.assertEqual(link.text_content(), "https://example.org")
        self.assertEqual([link.get_attribute(name) for name in ("target", "rel")], ["_blank", "noopener noreferrer"])
        write(blue, "Hello")
        red.await_shown("log", "Hello")
        self.assertEqual(texts(red, "theirs"), ["Hello"])
        self.assertEqual(red.page.input_value("#chat-text"), "")
        blue.page.keyboard.press("Escape")

    def unread(self, red: Visitor, blue: Visitor) -> None:
        """Messages that arrive while the chat is closed are counted and announced until it is opened."""
        with blue.noticing("New message in the chat."):
            for text in ("one", "two"):
                write(red, text)
        blue.await_shown("unread", "2")
        self.assertEqual(blue.page.get_attribute("#chat", "aria-label"), "Chat, 2 new messages")
        blue.press("chat")
        blue.await_hidden("unread")
        self.assertEqual(texts(blue, "theirs"), [MARKUP, "one", "two"])
        self.assertIsNone(blue.page.get_attribute("#chat", "aria-label"))
        blue.page.keyboard.press("Escape")

    def words_that_are_composed(self, red: Visitor, blue: Visitor) -> None:
        """Enter that ends the composing of a word, as in Chinese, sends nothing; Shift and Enter begin a line."""
        before = texts(red, "own")
        red.page.fill("#chat-text", "你好")
        red.page.evaluate(
            "document.getElementById('chat-text').dispatchEvent("
            "new KeyboardEvent('keydown', { key: 'Enter', isComposing: true, bubbles: true, cancelable: true }))"
        )
        self.assertEqual(texts(red, "own"), before)
        red.page.keyboard.press("Shift+Enter")
        red.page.keyboard.type("second line")
        red.page.keyboard.press("Enter")
        self.assertEqual(texts(red, "own"), [*before, "你好\nsecond line"])
        blue.await_shown("unread", "1")

    def picker(self, red: Visitor, blue: Visitor) -> None:
        """An emoji goes where the cursor is, if it fits in, and the picker stays for the next."""
        red.page.fill("#chat-text", "ab")
        red.page.keyboard.press("ArrowLeft")
        red.press("open-emoji")
        self.assertEqual(red.page.get_attribute("#open-emoji", "aria-expanded"), "true")
        red.page.click("#emoji button:has-text('😂')")
        red.page.click("#emoji button:has-text('👍')")
        red.press("send")
        self.assertEqual(texts(red, "own")[-1], "a😂👍b")
        for before, after in (("a" * 1_998, "a" * 1_998 + "😂"), ("a" * 1_999, "a" * 1_999)):
            red.page.fill("#chat-text", before)
            red.page.click("#emoji button:has-text('😂')")
            self.assertEqual(red.page.input_value("#chat-text"), after)
        red.page.evaluate("document.getElementById('chat-text').select()")
        red.page.click("#emoji button:has-text('👍')")
        self.assertEqual(red.page.input_value("#chat-text"), "👍")
        red.page.fill("#chat-text", "")
        red.page.focus("#emoji button")
        red.page.keyboard.press("Escape")
        red.await_hidden("emoji")
        self.assertEqual(red.focused, "open-emoji")
        self.assertTrue(red.is_visible("chat-drawer"))
        blue.await_shown("unread", "2")

    def reaction(self, red: Visitor, blue: Visitor) -> None:
        """A reaction rises once over the pictures of both, and is read aloud at the other side."""
        red.press("more")
        for visitor in (red, blue):
            visitor.page.evaluate(_NOTE_REACTIONS)
        red.page.click("#reactions button:has-text('🎉')")
        for visitor, side in ((red, "own"), (blue, "theirs")):
            visitor.await_that("window.seen.length > 0")
            self.assertEqual([[side, "🎉", True]], visitor.page.evaluate("window.seen"))
        self.assertEqual(blue.page.text_content("#reaction"), "The other person: 🎉")
        for visitor in (red, blue):
            visitor.await_that("document.getElementById('flying').childElementCount === 0")

    def nothing_is_kept(self, red: Visitor, blue: Visitor) -> None:
        """A text is gone with the page, and with the call."""
        red.press("chat")
        write(red, "between us")
        blue.await_shown("unread", "3")
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

    def too_large(self, red: Visitor, blue: Visitor) -> None:
        """A file of more than 8 MB, and one without content, is not offered, and the page says why."""
        choose(red, "a.jpg", "text/html", 8 * 1024 * 1024 + 1)
        red.await_shown("chat-problem", "up to 8 MB")
        choose(red, "b.txt", "text/plain", 0)
        red.await_shown("chat-problem", "empty")
        self.assertEqual(blue.page.locator("#log .file").count(), 0)

    def handed_over(self, red: Visitor, blue: Visitor) -> None:
        """A file arrives whole once it was accepted, under a name that is none of a path, to be saved only."""
        size = 3_000_000
        choose(red, "a\u202egnp.exe", "text/html", size)
        red.await_shown("log", "Waiting for the other person")
        blue.await_shown("log", "a_gnp.exe · 2.9 MB")
        blue.page.click("#log .file .main")
        red.await_shown("log", "Sent")
        with blue.page.expect_download() as download:
            blue.page.click("#log a.main")
        self.assertEqual(download.value.suggested_filename, "a_gnp.exe")
        content = download.value.path().read_bytes()
        self.assertEqual(content, bytes(number % 251 for number in range(size)))

    def not_wanted(self, red: Visitor, blue: Visitor) -> None:
        """A file can be declined, and withdrawn; while the chat is closed it is announced and counted."""
        choose(red, "photo.jpg", "text/html", 1_000)
        blue.page.click("#log .file .plain")
        red.await_shown("log", "Not sent")
        blue.page.keyboard.press("Escape")
        with blue.noticing("is sending you a file"):
            choose(red, "b.txt", "text/plain", 1)
        blue.await_shown("unread", "1")
        red.page.click("#log .file .plain")
        blue.press("chat")
        blue.page.locator("#log .file", has_text="Not sent").nth(1).wait_for()
        self.assertEqual(blue.page.locator("#log .file button").count(), 0)

    def no_bytes(self, red: Visitor, blue: Visitor) -> None:
        """A file of which there come messages without bytes, or texts, is not taken."""
        given_up = blue.page.locator("#log .file", has_text="Not sent")
        for is_text in (False, True):
            before = given_up.count()
            red.page.evaluate(_SEND_INSTEAD, is_text)
            choose(red, "photo.jpg", "text/html", 1_000)
            blue.page.click("#log .file button.main")
            given_up.nth(before).wait_for()

    def flood(self, red: Visitor, blue: Visitor) -> None:
        """Of more texts than anybody reads, most of a sudden are not heard, and the earliest are kept no longer."""
        begun = time.monotonic()
        before = blue.page.evaluate(_NOTES)
        red.page.evaluate(_WRITE_MANY, MANY)
        self.assertEqual(texts(red, "own"), [str(number) for number in range(MANY - LONGEST_LOG, MANY)])
        self.assertEqual(red.page.locator("#log .file").count(), 0)
        wait_until(blue, lambda: blue.page.evaluate(_NOTES) >= before + MANY, "the texts")
        blue.let_pass(1_000)  # so that more are heard
        write(red, "the end")
        blue.await_shown("log", "the end")
        heard = [text for text in texts(blue, "theirs") if text.isdecimal()]
        self.assertEqual(heard[:30], [str(number) for number in range(30)])
        self.assertLessEqual(len(heard), 50 + 20 * (time.monotonic() - begun))

    def cut_off(self, red: Visitor, blue: Visitor) -> None:
        """When the other page is closed what was not handed over yet is given up."""
        choose(red, "photo.jpg", "text/html", 1_000)
        blue.await_shown("log", "Do you want this file?")
        blue.page.close()
        red.await_shown("log", "The connection broke.")
