"""The languages of the call page and of the phone."""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred

from tests.browser.case import BrowserCase
from tests.browser.phone_case import PhoneCase
from tests.browser.phone_visitor import phone
from tests.browser.stage import Stage
from tests.browser.test_lobby import prejoin
from tests.browser.visitor import Visitor


def speak(visitor: Visitor, *languages: str) -> None:
    """Give a browser these languages, the first of them first."""
    get = f"get: () => {json.dumps(languages)}"
    visitor.page.add_init_script(f"Object.defineProperty(Navigator.prototype, 'languages', {{ {get} }});")


class PageTests(BrowserCase):
    """The call page."""

    def test_switch(self) -> Deferred[None]:
        """The language can be chosen before and in a call, and is remembered."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None))
            visitor.visit(prejoin(stage))
            visitor.await_shown("title", "Ready to join?")
            visitor.choose_language("zh-CN", "#language")
            visitor.await_shown("title", "准备加入")
            visitor.page.reload()
            visitor.await_shown("title", "准备加入")
            visitor.press("join")
            visitor.await_state("waiting")
            self.assertEqual(visitor.text("mute-label"), "静音")
            visitor.press("more")
            visitor.choose_language("en", "#menu-language")
            self.assertEqual(visitor.text("mute-label"), "Mute")
            self.assertEqual(visitor.page.get_attribute("#controls", "aria-label"), "Call controls")

        return self.play(story)

    def test_asked_for(self) -> Deferred[None]:
        """An address may ask for a language, whatever the browser's own is."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None))
            for language, title in (("zh", "视频通话"), ("pt-BR", "Chamada de vídeo"), ("eo", "Video call")):
                visitor.visit(f"?lang={language}")
                visitor.await_shown("title", title)

        return self.play(story)

    def test_the_browsers_languages(self) -> Deferred[None]:
        """The first of the browser's languages that is spoken is the page's; English if none is."""

        def story(stage: Stage) -> None:
            for languages, lang, title in (
                (("eo", "DE-at", "fr"), "de", "Videoanruf"),
                (("pt-PT",), "pt-BR", "Chamada de vídeo"),
                (("zh-TW",), "zh-CN", "视频通话"),
                (("eo", "arn"), "en", "Video call"),
            ):
                visitor = stage.visitor(stage.browser(None))
                speak(visitor, *languages)
                visitor.visit()
                visitor.await_shown("title", title)
                self.assertEqual(lang, visitor.page.get_attribute("html", "lang"))

        return self.play(story)

    def test_words_come_once(self) -> Deferred[None]:
        """The words are asked for once, by the script in the head, and not again by the module that reads them."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None))
            asked: list[tuple[str, str, str]] = []
            visitor.page.on("request", lambda request: asked.append(request.url.partition("/words/")))
            visitor.visit()
            visitor.await_shown("title", "Video call")
            self.assertEqual(["en.json"], [name for _, is_words, name in asked if is_words])

        return self.play(story)

    def test_missing_words(self) -> Deferred[None]:
        """A page whose words do not come speaks English; one that has none at all says that it did not arrive."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None), "de-DE")
            visitor.page.route("**/words/de.json", lambda route: route.abort())
            visitor.visit()
            visitor.await_shown("title", "Video call")
            self.assertEqual("en", visitor.page.get_attribute("html", "lang"))
            visitor.choose_language("fr", "#language")
            visitor.await_shown("title", "Appel vidéo")
            visitor.page.select_option("#language .languages", "de")
            visitor.await_that("document.querySelector('.languages').value === 'fr'")
            visitor.page.route("**/words/*.json", lambda route: route.abort())
            visitor.page.reload()
            visitor.await_shown("too-old", "part of the page did not arrive")
            self.assertFalse(visitor.page.is_visible("main"))
            visitor.complaints.clear()  # of what did not come

        return self.play(story)

    def test_right_to_left(self) -> Deferred[None]:
        """In Arabic the page runs from right to left, and so do the arrows of a remote control."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None), "ar")
            visitor.enter(stage.room)
            visitor.await_state("waiting", "waiting")
            self.assertEqual("rtl", visitor.page.get_attribute("html", "dir"))
            visitor.page.focus("#mute")
            visitor.page.keyboard.press("ArrowLeft")
            self.assertEqual("camera", visitor.focused)
            visitor.page.keyboard.press("ArrowRight")
            self.assertEqual("mute", visitor.focused)

        return self.play(story)


class PhoneTests(PhoneCase):
    """The phone."""

    def test_before_logging_in(self) -> Deferred[None]:
        """A person chooses the language before logging in; it is that of the call's page, and stays."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            alice, bob = phone(stage, browser), phone(stage, browser)
            alice.open()
            alice.await_scene("login")
            alice.choose_language("ar", "#login")
            self.assertEqual("تسجيل الدخول", alice.text("login-title"))
            self.introduce(alice, bob)
            self.assertEqual("rtl", alice.page.get_attribute("html", "dir"))
            bob.call(self.alice.phone)
            alice.await_scene("ringing")
            alice.press("accept")
            alice.inside.await_state("connected")
            self.assertEqual("rtl", alice.inside.page.get_attribute("html", "dir"))
            alice.hang_up()
            alice.await_text("notice-text", "Bob")
            alice.press("to-settings")
            alice.choose_language("de", "#settings")
            alice.await_text("notice-text", "Sie haben das Gespräch mit Bob beendet.")
            self.assertIn(self.bob.phone, alice.page.text_content("#people .soft bdi") or "")

        return self.play(story)

    def test_a_remote_control(self) -> Deferred[None]:
        """Arrows reach the choice of the language and leave it; they do not change it where OK opens it."""

        def story(stage: Stage) -> None:
            alice = phone(stage, stage.browser(None))
            alice.log_in(*self.alice)
            alice.press("to-settings")
            alice.page.focus("#settings .languages")
            alice.page.keyboard.press("ArrowLeft")
            self.assertEqual("en", alice.page.get_attribute("html", "lang"))
            self.assertNotEqual("SELECT", alice.page.evaluate("document.activeElement.tagName"))

        return self.play(story)
