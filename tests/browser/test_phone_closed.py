"""The phone rings when it is closed: a real push service takes the message that the browser gets.

Firefox gets it from there. What Chromium's service worker is delivered by DevTools a browser in Python has read.
"""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.serialization import Encoding
from OpenSSL import crypto
from playwright.sync_api import BrowserContext, Route
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred, DeferredQueue
from twisted.internet.ssl import CertificateOptions
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from callnet.model import DeviceAddress
from callnet.ops.certificates import sign
from harness.daemon import staying_listeners
from tests.browser.camera import Camera
from tests.browser.case import BrowserCase, in_reactor
from tests.browser.closed_phone import Closed, await_notification, preferences, subscribed
from tests.browser.continuity import wait_until
from tests.browser.phone_case import list_each_other
from tests.browser.phone_visitor import PhoneVisitor, phone, tab
from tests.browser.stage import Stage
from tests.browser.visitor import PATIENCE
from tests.support.daemon import Daemon
from tests.support.firefox_push import PushServer
from tests.support.push_browser import Browser as Subscriber

reactor: Any = installed

ALICE: Final = DeviceAddress("13800000001", "alices-desk")
BOB: Final = DeviceAddress("13800000002", "bobs-desk")
TABLET: Final = DeviceAddress(BOB.phone, "bobs-tablet")
PAIR: Final = sign(["localhost"], [], datetime.now(UTC))
SERVER_TLS: Final = CertificateOptions(
    privateKey=crypto.PKey.from_cryptography_key(PAIR.key), certificate=crypto.X509.from_cryptography(PAIR.chain[0])
)

_DEVICE: Final = {"phone": BOB.phone, "device_id": BOB.device_id}
"""Bob's device, as messages name it."""
_KNOWS: Final = "(device) => windowOf(device).then((window) => window !== null)"
"""True if the worker knows an open page that is this device."""
_LOOK: Final = """(isSeen) => {
    self.later ??= self.setTimeout;
    self.setTimeout = (work, after) => self.later(work, after === 1_000 ? 60_000 : after);
    self.found ??= self.clients.get.bind(self.clients);
    self.clients.get = async (id) => {
        const window = await self.found(id);
        const postMessage = (...asked) => window.postMessage(...asked);
        return { visibilityState: isSeen ? "visible" : "hidden", focus: async () => {}, postMessage };
    };
}"""
"""Hides the window or has it seen, for the worker, which waits until the page has said whether it rings."""
_LOOK_AWAY: Final = "() => { delete self.clients.get; self.setTimeout = self.later; }"
"""Lets the worker see by itself again."""
_CUTTABLE: Final = """
    const open = [];
    let isCut = false;
    window.WebSocket = class extends WebSocket {
        constructor(url, ...rest) {
            super(isCut ? new URL("/nowhere", url) : url, ...rest);
            open.push(this);
        }
    };
    window.cut = (isToBe) => {
        isCut = isToBe;
        if (isCut) for (const socket of open) socket.close();
    };
"""
"""Lets a page lose its connection, and have it again."""
_RING: Final = """async ({ ago, ...wake }) => {
    const message = ago === null ? wake : { ...wake, expires_at: Date.now() / 1_000 - ago };
    await (ago === null ? inTurn(() => hear(message)) : ring(message));
    const shown = await self.registration.getNotifications({ tag: message.call });
    return shown.map(({ title, actions }) => [title, actions.length]);
}"""
"""Hears a wake that was over some seconds ago. Returns the titles shown in the end, with their buttons."""
_COUNT: Final = """() => {
    self.rung = [];
    const show = self.registration.showNotification.bind(self.registration);
    self.registration.showNotification = (title, options) => {
        self.rung.push(title);
        return show(title, options);
    };
    self.told = 0;
    self.onmessage = ({ data }) => { self.told += data.event === "wake"; };
}"""
"""Counts what is shown, and so what is heard, and what pages say rings."""


_RENEW: Final = """async (subscription) => {
    const event = new Event("pushsubscriptionchange");
    event.newSubscription = subscription;
    let done = null;
    event.waitUntil = (promise) => { done = promise; };
    self.dispatchEvent(event);
    await done;
}"""
"""Gives the browser another subscription."""


class PushService(Resource):
    """Takes the messages for one subscriber."""

    isLeaf = True  # noqa: N815

    def __init__(self, subscriber: Subscriber) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._subscriber = subscriber
        self.taken: DeferredQueue[dict[str, Any]] = DeferredQueue()
        self.place = b""
        """The path of the last message."""

    def render_POST(self, request: Request) -> bytes:
        """Take a message."""
        content: Any = request.content
        self.place = request.path
        self.taken.put(json.loads(self._subscriber.read(content.read())))
        request.setResponseCode(201)
        return b""


class ClosedCase(BrowserCase):
    """A daemon with Web Push, and a push service of its own."""

    def push_service(self) -> Resource:
        """Make the push service."""
        self.subscriber = Subscriber()
        self.service = PushService(self.subscriber)
        return self.service

    async def start_daemon(self) -> None:
        """Let the push service listen, and start the daemon, which trusts it."""
        folder = Path(self.mktemp())
        folder.mkdir()
        authority = folder / "authority.pem"
        authority.write_bytes(PAIR.chain[0].public_bytes(Encoding.PEM))
        site = Site(self.push_service(), logFormatter=lambda *_: "served")
        listening = reactor.listenSSL(0, site, SERVER_TLS, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        self.host = f"localhost:{listening.getHost().port}"
        settings = (
            f'push = {{ allowed_hosts = ["{self.host}"], allowed_networks = ["127.0.0.0/8", "::1"], '
            'subject = "mailto:ops@example.org" }\ncalls = { grace = 1.0, ring_time = 600 }\n'
        )
        environment = {"SSL_CERT_FILE": os.fspath(authority.resolve())}
        self.daemon = Daemon(
            os.fspath(folder / "state"), settings, listeners=staying_listeners(), environment=environment
        )
        self.addCleanup(self.daemon.stop)
        await self.daemon.start()


class ChromiumCase(ClosedCase):
    """Bob has Chromium."""

    def profile(self, stage: Stage) -> BrowserContext:
        """A profile with the blue camera, whose owner allows notifications."""
        return subscribed(stage, self.subscriber.subscription(f"https://{self.host}/send/x"))

    def message(self) -> dict[str, Any]:
        """The next message that the push service takes."""
        message: dict[str, Any] = in_reactor(lambda: self.service.taken.get().addTimeout(PATIENCE / 1_000, reactor))
        return message


class ClosedTests(ChromiumCase):
    """Bob's phone rings when it is closed; Alice calls."""

    def begin(self, stage: Stage) -> tuple[PhoneVisitor, BrowserContext]:
        """Have Alice and Bob know each other, and Bob's browser ring when the phone is closed."""
        alice = phone(stage, stage.browser(Camera.RED))
        profile = self.profile(stage)
        bob = tab(stage, profile)
        list_each_other(self.daemon, ALICE.phone, BOB.phone)
        alice.log_in(*ALICE)
        bob.log_in(*BOB)
        alice.await_contact(BOB.phone, online=True)  # or nobody knows later whether Bob has left again
        bob.press("to-settings")
        bob.await_text("closed-state", "Calls only ring here")
        bob.page.check("#closed-switch")
        bob.await_text("closed-state", "even when")
        self.closed = Closed(profile, bob)
        bob.page.close()
        return alice, profile

    def called(self, alice: PhoneVisitor) -> dict[str, Any]:
        """The message for which Alice calls."""
        alice.call(BOB.phone)
        message = self.message()
        self.assertEqual("wake", message["event"])
        return message

    def ring(self, alice: PhoneVisitor) -> dict[str, Any]:
        """Have Alice call, and the message delivered."""
        alice.await_contact(BOB.phone, online=False)
        message = self.called(alice)
        self.closed.deliver(message)
        (self.shown,) = self.closed.shown("Alice is calling")
        return message

    def test_closed(self) -> Deferred[None]:
        """It rings again and again, whatever became of the call before."""

        def story(stage: Stage) -> None:
            alice, profile = self.begin(stage)
            self.late(alice)
            self.not_answered(stage, alice, profile)
            self.answered(stage, alice, profile)
            self.no_buttons(stage, alice, profile)
            self.renewed(alice)

        return self.play(story)

    def leave(self, alice: PhoneVisitor, bob: PhoneVisitor) -> None:
        """Have Alice end the call, and Bob close his phone."""
        alice.hang_up()
        bob.await_scene("home")
        bob.page.close()

    def late(self, alice: PhoneVisitor) -> None:
        """A wake after the end of its call does not ring, and one that has rung too long was missed."""
        wake = self.ring(alice)
        alice.press("cancel")
        self.closed.deliver(self.message())
        self.closed.shown("Missed call from Alice.")
        for call, ago in ((wake["call"], None), ("late", 1_000), ("never told", 14.5)):
            shown = self.closed.worker.evaluate(_RING, {**wake, "call": call, "ago": ago})
            self.assertEqual([["Missed call from Alice.", 0]], shown, call)
        self.closed.forget()

    def not_answered(self, stage: Stage, alice: PhoneVisitor, profile: BrowserContext) -> None:
        """Decline refuses without the phone. Who accepts a call that was given up is told that it was missed."""
        self.ring(alice)
        self.assertEqual([], self.closed.press("refuse"))
        alice.await_text("notice-text", "Bob declined.")
        wake = self.ring(alice)
        call = wake["call"]
        self.assertEqual(["/"], self.closed.press("accept"))
        alice.press("cancel")
        ended = self.message()
        self.assertEqual(("ring_ended", "cancelled", call), (ended["event"], ended["reason"], ended["call"]))
        self.closed.deliver(ended)
        (shown,) = self.closed.shown("Missed call from Alice.")
        self.assertEqual((False, []), (shown["requireInteraction"], shown["actions"]))
        bob = tab(stage, profile)
        bob.open()
        bob.await_text("notice-text", "Missed call from Alice.")
        self.closed.shown()
        bob.page.close()

    def talk_in_a_new_tab(self, stage: Stage, alice: PhoneVisitor, profile: BrowserContext) -> None:
        """Open the phone, which is in the call that was accepted; both see each other, and leave."""
        bob = tab(stage, profile)
        bob.open()
        bob.await_connected(Camera.RED)
        alice.await_connected(Camera.BLUE)
        self.leave(alice, bob)

    def answered(self, stage: Stage, alice: PhoneVisitor, profile: BrowserContext) -> None:
        """It says who calls; who presses Accept, or just the notification, is in the call."""
        message = self.ring(alice)
        icon = f"{stage.site_url}/static/phone/icon-192.png"
        shown = tuple(self.shown[name] for name in ("tag", "actions", "requireInteraction", "icon"))
        self.assertEqual((message["call"], ["Accept", "Decline"], True, icon), shown)
        self.assertEqual(["/"], self.closed.press("accept"))
        self.closed.shown()
        self.talk_in_a_new_tab(stage, alice, profile)

    def no_buttons(self, stage: Stage, alice: PhoneVisitor, profile: BrowserContext) -> None:
        """Where notifications have no buttons, who presses one is asked by the phone."""
        self.ring(alice)
        self.closed.worker.evaluate('() => Object.defineProperty(Notification, "maxActions", { value: undefined })')
        self.assertEqual(["/"], self.closed.press())
        bob = tab(stage, profile)
        bob.open()
        bob.await_scene("ringing")
        bob.press("accept")
        bob.await_connected(Camera.RED)
        self.leave(alice, bob)

    def renewed(self, alice: PhoneVisitor) -> None:
        """A browser that changes its subscription rings on, though nobody opens the phone."""
        alice.await_contact(BOB.phone, online=False)
        for place in ("y", "z"):
            subscription = self.subscriber.subscription(f"https://{self.host}/send/{place}")
            self.closed.worker.evaluate(_RENEW, subscription)
        self.called(alice)
        self.assertEqual(b"/send/z", self.service.place)
        alice.press("cancel")
        self.message()

    def test_open(self) -> Deferred[None]:
        """A phone that is open somewhere, which is closed, loses its connection, or is not seen."""

        def story(stage: Stage) -> None:
            alice, profile = self.begin(stage)
            self.closed_while_it_rings(stage, alice, profile)
            self.without_a_connection(stage, alice, profile)
            self.key_comes_late(stage, alice, profile)
            self.not_seen(stage, alice, profile)
            self.stood_still(stage, alice, profile)
            self.answered_elsewhere(stage, alice, profile)

        return self.play(story)

    def opened(self, stage: Stage, alice: PhoneVisitor, profile: BrowserContext, script: str = "") -> PhoneVisitor:
        """The open phone of Bob, in which a script runs first, and of which Alice and the worker know."""
        bob = tab(stage, profile)
        bob.page.add_init_script(script)
        bob.open()
        bob.await_scene("home", "online")
        alice.await_contact(BOB.phone, online=True)
        wait_until(bob, lambda: self.closed.worker.evaluate(_KNOWS, _DEVICE), "the page's word to the worker")
        return bob

    def ring_open(self, stage: Stage, alice: PhoneVisitor, profile: BrowserContext) -> PhoneVisitor:
        """The open phone of Bob, which Alice rings."""
        bob = self.opened(stage, alice, profile)
        alice.call(BOB.phone)
        bob.await_scene("ringing")
        return bob

    def closed_while_it_rings(self, stage: Stage, alice: PhoneVisitor, profile: BrowserContext) -> None:
        """A phone that is closed while it rings goes on to ring, and can be opened again to accept."""
        bob = self.ring_open(stage, alice, profile)
        bob.page.close()
        self.closed.deliver(self.message())
        self.closed.shown("Alice is calling")
        self.assertEqual(["/"], self.closed.press("accept"))
        self.talk_in_a_new_tab(stage, alice, profile)

    def without_a_connection(self, stage: Stage, alice: PhoneVisitor, profile: BrowserContext) -> None:
        """A phone that is seen, but has no connection, has the call shown; when it has one, nothing rings twice."""
        bob = self.opened(stage, alice, profile, _CUTTABLE)
        bob.page.evaluate("cut(true)")
        bob.await_scene("home", "offline")
        alice.await_contact(BOB.phone, online=False)
        self.closed.worker.evaluate(_COUNT)
        self.closed.deliver(self.called(alice))
        self.closed.shown("Alice is calling")
        self.closed.worker.evaluate(_LOOK, False)
        bob.view(False)
        bob.page.evaluate("cut(false)")
        bob.await_scene("ringing")
        wait_until(bob, lambda: self.closed.worker.evaluate("self.told"), "the page's word to the worker")
        self.closed.shown("Alice is calling")
        self.assertEqual([], self.closed.press("accept"))
        bob.await_connected(Camera.RED)
        self.closed.shown()
        self.assertEqual(["Alice is calling"], self.closed.worker.evaluate("self.rung"))
        bob.complaints.clear()  # the browser reports each try to connect
        self.leave(alice, bob)
        self.closed.worker.evaluate(_LOOK_AWAY)

    def key_comes_late(self, stage: Stage, alice: PhoneVisitor, profile: BrowserContext) -> None:
        """A page that nobody sees has a call shown that rings before the page has read the server's key."""
        bob = tab(stage, profile)
        questions: list[Route] = []
        bob.page.route("**/devices/push/key", lambda route: questions.append(route))  # noqa: PLW0108  # no builtin
        bob.open()
        bob.await_scene("home", "online")
        alice.await_contact(BOB.phone, online=True)
        alice.call(BOB.phone)
        bob.await_scene("ringing")
        self.closed.worker.evaluate(_LOOK, False)
        bob.view(False)
        bob.let_pass(1_000)  # it looks once more at that time
        self.closed.shown()
        questions.pop().continue_()
        self.closed.shown("Alice is calling")
        self.assertEqual([], self.closed.press("refuse"))
        alice.await_text("notice-text", "Bob declined.")
        self.closed.worker.evaluate(_LOOK_AWAY)
        bob.page.close()

    def not_seen(self, stage: Stage, alice: PhoneVisitor, profile: BrowserContext) -> None:
        """A phone that is seen rings by itself; one that nobody sees has it shown, and does what is pressed."""
        bob = self.ring_open(stage, alice, profile)
        self.closed.shown()
        self.closed.worker.evaluate(_LOOK, False)
        bob.view(False)
        (shown,) = self.closed.shown("Alice is calling")
        self.closed.worker.evaluate(_LOOK, True)
        bob.view(True)
        self.closed.shown()
        call = {"event": "wake", "call": shown["tag"], "from_phone": ALICE.phone, "from_name": "Alice"}
        self.closed.worker.evaluate("(call) => hear(call)", {**_DEVICE, **call})
        self.closed.shown()
        self.closed.worker.evaluate(_LOOK, False)
        bob.view(False)
        self.closed.shown("Alice is calling")
        self.assertEqual([], self.closed.press("refuse"))
        bob.await_scene("home")
        alice.await_text("notice-text", "Bob declined.")
        alice.call(BOB.phone)
        self.closed.shown("Alice is calling")
        self.assertEqual([], self.closed.press("accept"))
        bob.await_connected(Camera.RED)
        self.closed.shown()
        self.leave(alice, bob)
        self.closed.worker.evaluate(_LOOK_AWAY)

    def stood_still(self, stage: Stage, alice: PhoneVisitor, profile: BrowserContext) -> None:
        """A page that nobody sees, and that hears of a call and of its end at once, leaves no notification."""
        bob = self.opened(stage, alice, profile)
        self.closed.worker.evaluate(_LOOK, False)
        bob.view(False)
        self.closed.worker.evaluate(_COUNT)
        tools = profile.new_cdp_session(bob.page)
        stops: list[object] = []
        tools.on("Debugger.paused", lambda stop: stops.append(stop))  # noqa: PLW0108  # no builtin
        for command in ("Debugger.enable", "Debugger.pause"):
            tools.send(command)
        alice.call(BOB.phone)
        alice.await_scene("calling")
        alice.press("cancel")
        alice.await_scene("home")
        alice.wait(500)  # until the server has told both
        wait_until(alice, lambda: stops, "the stop of Bob's page")
        for command in ("Debugger.resume", "Debugger.disable"):
            tools.send(command)
        bob.await_text("notice-text", "Missed call from Alice.")
        while self.closed.worker.evaluate("self.rung") == []:
            alice.wait(50)
        self.closed.shown()
        self.closed.worker.evaluate(_LOOK_AWAY)
        bob.page.close()
        alice.await_contact(BOB.phone, online=False)

    def answered_elsewhere(self, stage: Stage, alice: PhoneVisitor, profile: BrowserContext) -> None:
        """If another device answers, the notification says so without a sound, in the language of the phone."""
        bob = self.opened(stage, alice, profile)
        bob.switch_language("de")
        kept = "kept(PLACE, '/words').then(({ lang }) => lang)"
        wait_until(bob, lambda: self.closed.worker.evaluate(kept) == "de", "the words for the worker")
        bob.page.close()
        tablet = phone(stage, stage.browser(Camera.BLUE))
        tablet.log_in(*TABLET)
        alice.await_contact(BOB.phone, online=True)
        self.closed.deliver(self.called(alice))
        (shown,) = self.closed.shown("Alice ruft an")
        self.assertEqual(["Annehmen", "Ablehnen"], shown["actions"])
        tablet.await_scene("ringing")
        tablet.press("accept")
        tablet.await_scene("call")
        self.closed.deliver(self.message())
        (shown,) = self.closed.shown("Sie haben Alice auf einem anderen Gerät geantwortet.")
        self.assertTrue(shown["silent"])

    def test_settings(self) -> Deferred[None]:
        """It is offered once, after the first call; it ends when it is switched off, and when the device logs out."""

        def story(stage: Stage) -> None:
            alice, profile = phone(stage, stage.browser(Camera.RED)), self.profile(stage)
            bob = tab(stage, profile)
            alice.log_in(*ALICE)
            bob.log_in(*BOB)
            alice.add_contact(BOB.phone, "Bob")
            alice.await_contact(BOB.phone, online=True)
            alice.call(BOB.phone)
            bob.press("accept")
            bob.await_connected(Camera.RED)
            bob.hang_up()
            bob.press("offer-yes")
            bob.await_hidden("offer")
            bob.press("to-settings")
            bob.await_text("closed-state", "even when")
            bob.page.uncheck("#closed-switch")
            bob.await_text("closed-state", "Calls only ring here")
            bob.page.check("#closed-switch")
            bob.await_text("closed-state", "even when")
            other = tab(stage, profile)
            other.log_in(*TABLET)
            other.press("to-settings")
            other.page.check("#closed-switch")
            other.await_text("closed-state", "even when")
            bob.await_text("closed-state", "Calls only ring here")
            for visitor in (bob, other):
                visitor.page.close()
            alice.await_contact(BOB.phone, online=False)
            self.assertEqual(TABLET.device_id, self.called(alice)["device_id"])
            alice.press("cancel")
            self.assertEqual("ring_ended", self.message()["event"])
            again = tab(stage, profile)
            again.open()
            again.await_scene("home", "online")
            alice.await_contact(BOB.phone, online=True)
            again.press("to-settings")
            again.press("log-out")
            again.await_scene("login")
            alice.await_contact(BOB.phone, online=False)
            alice.call(BOB.phone)
            alice.await_text("notice-text", "offline")

        return self.play(story)

    def test_blocked(self) -> Deferred[None]:
        """A person who has forbidden notifications is told so, and cannot switch them on."""

        def story(stage: Stage) -> None:
            bob = tab(stage, stage.profile(stage.browser(None)))
            bob.log_in(*BOB)
            bob.press("to-settings")
            bob.await_text("closed-state", "Notifications are blocked.")
            self.assertTrue(bob.page.is_disabled("#closed-switch"))

        return self.play(story)


class FirefoxTests(ClosedCase):
    """Bob has Firefox, which subscribes by itself."""

    def push_service(self) -> Resource:
        """Make the push service, which Firefox connects to."""
        self.server = PushServer()
        listening = reactor.listenTCP(0, self.server.sockets, interface="127.0.0.1")
        self.addCleanup(listening.stopListening)
        self.sockets = f"ws://127.0.0.1:{listening.getHost().port}/"
        return self.server

    def test_rings(self) -> Deferred[None]:
        """It says who calls, and then that the call was missed: nothing is made up between the two phones."""

        def story(stage: Stage) -> None:
            self.server.origin = f"https://{self.host}"
            profile = stage.profile(stage.firefox(**preferences(self.sockets)))
            alice, bob = phone(stage, stage.browser(Camera.RED)), tab(stage, profile)
            list_each_other(self.daemon, ALICE.phone, BOB.phone)
            alice.log_in(*ALICE)
            bob.log_in(*BOB)
            alice.await_contact(BOB.phone, online=True)  # or nobody knows later whether Bob has left again
            bob.press("to-settings")
            bob.page.check("#closed-switch")
            bob.await_text("closed-state", "even when")
            other = profile.new_page()
            other.goto(f"{stage.site_url}/nothing")
            bob.page.close()
            alice.await_contact(BOB.phone, online=False)
            alice.call(BOB.phone)
            call = await_notification(other, "Alice is calling")
            alice.press("cancel")
            self.assertEqual(call, await_notification(other, "Missed call from Alice."))

        return self.play(story)
