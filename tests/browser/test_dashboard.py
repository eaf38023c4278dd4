"""The operator's dashboard, with a real daemon under load.

The screenshots go onto a contact sheet for each screen and language. `make screens` renews those in docs/screens.
"""

from __future__ import annotations

import random
import re
from functools import partial
from typing import Final

from playwright.sync_api import Route
from twisted.internet.defer import Deferred

from callnet_client import Account, CallState, Device
from harness.redis_server import new_prefix, shared
from tests.browser.axe import violations
from tests.browser.case import BrowserCase, OwnDaemonCase, in_reactor
from tests.browser.continuity import wait_until
from tests.browser.dashboard_layout import EXTREME_FAULTS, FAULTS, faults
from tests.browser.layout import look
from tests.browser.load import ALL, FIRST, LONG, SECOND, SHORT, UNLUCKY, Load
from tests.browser.operator import NO_ANSWER, Operator, key_of, operator
from tests.browser.photographer import SCREENS, Photographer
from tests.browser.stage import Stage
from tests.browser.window import resized
from tests.integration.test_workers import workers_of
from tests.support.devices import NodeLifecycle, member, service_of
from tests.support.processes import stopped

OTHERS: Final = {"desk": (1440, 900), "tablet": (820, 1180), "smallest": (320, 568)}
"""These are looked at, too, and have no sheet."""
ROUNDS: Final = 25
"""The number of rounds with one more answered and one more failed call each: about as many seconds."""

_KEEP_NOTHING: Final = """
    for (const name of ["localStorage", "sessionStorage"]) {
        Object.defineProperty(window, name, { get() { throw new DOMException("blocked", "SecurityError"); } });
    }
"""


def fail(caller: NodeLifecycle, phone: str) -> Deferred[CallState]:
    """Have somebody call a phone that nobody has."""
    return caller.calls(phone, "tv").until("over")


class DashboardCase(OwnDaemonCase):
    """Two workers, and an operator's view of them."""

    timeout = 300
    maxDiff = None

    def setUp(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        """Start the daemon."""
        self.settings = f"""
            workers = 2
            redis = {{ url = "{shared("redis").url()}", prefix = "{new_prefix()}" }}
            accounts.phone_format = "[0-9]{{3,15}}"
            calls.ring_time = 300
        """
        return super().setUp()

    def begin(self) -> Load:
        """Have all devices come and call. For stories: it waits."""
        load = Load(self.daemon)
        self.addCleanup(lambda: Deferred.fromCoroutine(load.end()))
        in_reactor(lambda: Deferred.fromCoroutine(load.begin(workers_of(self.daemon))))
        return load


class DashboardUnderLoadTests(DashboardCase):
    """Appearance and content of the dashboard."""

    def test_scenes(self) -> Deferred[None]:
        """Whatever the dashboard shows is whole and in its place on every screen, and no number moves anything."""

        def story(stage: Stage) -> None:
            browser = stage.browser(None)
            photographer = Photographer(OTHERS, [FAULTS, EXTREME_FAULTS])
            visitor = operator(stage, browser, self.daemon)
            visitor.open()
            visitor.await_state("ready", "unknown")
            load = self.begin()
            for _ in range(ROUNDS):
                in_reactor(lambda: Deferred.fromCoroutine(load.go_on()))
                visitor.wait(random.uniform(200, 1_800))  # noqa: S311
            self.tour(photographer, visitor)
            photographer.draw(browser, "dashboard")
            self.assertEqual("\n".join(photographer.faults), "")

        return self.play(story)

    def tour(self, photographer: Photographer, visitor: Operator) -> None:
        """Go through all that there is to be seen."""
        visitor.await_tile("Devices", f"{len(ALL)} connected")
        visitor.unlock("not-the-key")
        visitor.await_shown("key-problem")
        photographer.take(visitor, "before the key")
        visitor.unlock(key_of(self.daemon))
        visitor.await_tile("Calls in progress", "17 8 ringing, 9 active")
        visitor.await_rows("failures", ROUNDS)
        self.assertIn(
            f"{UNLUCKY.phone} · {UNLUCKY.device_id} to {LONG.phone} · {LONG.device_id} busy",
            visitor.rows("failures")[0],
        )
        visitor.page.click("#devices-form button")
        visitor.await_rows("devices", len(ALL))
        photographer.take(visitor, "under load", is_whole=True)
        visitor.page.fill("#phone", LONG.phone)
        visitor.page.click("#devices-form button[type=submit]")
        visitor.await_rows("devices", 1)
        visitor.press_in("#devices-rows tr", "Revoke")
        photographer.take(visitor, "a question")
        visitor.forgive(NO_ANSWER)
        visitor.page.close()


class DashboardDoingTests(DashboardCase):
    """The operator's actions on the dashboard."""

    def test_doing(self) -> Deferred[None]:
        """Actions on the page reach calls and devices at whichever worker they are."""

        def story(stage: Stage) -> None:
            load = self.begin()
            visitor = operator(stage, stage.browser(None), self.daemon)
            visitor.open()
            visitor.unlock(key_of(self.daemon))
            visitor.await_rows("calls", 17)
            visitor.page.select_option("#level", "debug")
            visitor.await_shown("said", "“debug”")
            self.end_a_call(visitor, load)
            in_reactor(lambda: self.daemon.said(r"#debug\] worker [12]: call [0-9a-f]{12}: over shutting_down"))
            self.lose_devices(visitor, load)
            self.drain(visitor, load)

        return self.play(story)

    def end_a_call(self, visitor: Operator, load: Load) -> None:
        """End that of two workers."""
        row = f"#calls-rows tr:has-text('{FIRST.device_id}')"
        visitor.press_in(row, "End")
        self.assertIn("13800000001 · kitchen and 13800000001 · hall", visitor.text("question-text"))
        visitor.press("question-no")
        visitor.await_hidden("question")
        visitor.await_rows("calls", 17)
        visitor.press_in(row, "End")
        visitor.agree()
        visitor.await_shown("said", "The call has ended.")
        visitor.await_rows("calls", 16)
        for address in (FIRST, SECOND):
            self.assertEqual(in_reactor(load[address].over.get).reason, "shutting_down")

    def lose_devices(self, visitor: Operator, load: Load) -> None:
        """Disconnect one, and revoke the tokens of the phone of two."""
        visitor.page.fill("#phone", FIRST.phone)
        visitor.page.keyboard.press("Enter")
        visitor.await_rows("devices", 2)
        visitor.press_in(f"#devices-rows tr:has-text('{SECOND.device_id}')", "Disconnect")
        lost: list[Deferred[int | None]] = in_reactor(lambda: [load[a].stays_away() for a in (FIRST, SECOND)])
        visitor.agree()
        in_reactor(lambda: lost[1])
        visitor.await_rows("devices", 1)
        visitor.press("devices-all")
        visitor.agree()
        self.assertEqual(in_reactor(lambda: lost[0]), 4401)
        visitor.await_shown("devices-none")

    def drain(self, visitor: Operator, load: Load) -> None:
        """Have callnet stop."""
        visitor.press("drain")
        [lost] = in_reactor(lambda: [load[SHORT].stays_away()])
        visitor.agree()
        in_reactor(lambda: lost)
        visitor.await_state("away", "known")
        visitor.forgive(NO_ANSWER)


class DashboardAloneTests(OwnDaemonCase):
    """One process without anybody."""

    def test_the_key(self) -> Deferred[None]:
        """Numbers are shown to all; the rest takes the key, which one tab keeps until it is to forget it."""

        def story(stage: Stage) -> None:
            visitor = operator(stage, stage.browser(None), self.daemon)
            visitor.open()
            visitor.await_tile("Devices", "0 connected")
            self.assertEqual(visitor.tile("Calls in progress"), "0 0 ringing, 0 active")
            for wrong in ("wrong", "not a key", ""):
                visitor.unlock(wrong)
                visitor.await_shown("key-problem", "doesn’t accept this key")
                self.assertFalse(visitor.is_visible("calls"))
            visitor.unlock(key_of(self.daemon))
            visitor.await_state("ready", "known")
            self.assertTrue(visitor.is_visible("calls"))
            visitor.await_that("document.activeElement.id === 'calls-title'")
            visitor.page.reload()
            visitor.await_state("ready", "known")
            self.assertEqual(visitor.page.evaluate("[localStorage.length, document.cookie]"), [0, ""])
            visitor.press("forget")
            visitor.await_state("ready", "unknown")
            self.assertFalse(visitor.is_visible("calls"))
            visitor.await_that("document.activeElement.id === 'key'")
            visitor.page.reload()
            visitor.await_state("ready", "unknown")
            visitor.forgive(NO_ANSWER)

        return self.play(story)

    def test_away(self) -> Deferred[None]:
        """While callnet is away the page says so and shows the last known state; it recovers by itself."""

        def story(stage: Stage) -> None:
            visitor = operator(stage, stage.browser(None), self.daemon)
            visitor.open()
            visitor.unlock(key_of(self.daemon))
            visitor.await_state("ready", "known")
            in_reactor(self.daemon.stop)
            visitor.await_state("away", "known")
            visitor.await_shown("away-text", "callnet isn’t answering. What you see is from")
            self.assertEqual(visitor.tile("Devices"), "0 connected")
            self.assertEqual(faults(visitor.page), [])
            self.assertEqual(violations(visitor.page), [])
            visitor.press_in("header", "Drain…")
            visitor.press("question-yes")
            visitor.await_shown("question-problem", "callnet isn’t answering.")
            visitor.press("question-no")
            self.restart_daemon("")
            visitor.await_state("ready", "known")
            visitor.await_hidden("away")
            visitor.forgive(NO_ANSWER)

        return self.play(story)

    def test_recent_failures(self) -> Deferred[None]:
        """Failures are shown the newest first, also those that come while one looks."""

        def story(stage: Stage) -> None:
            visitor = operator(stage, stage.browser(None), self.daemon)
            visitor.open()
            visitor.unlock(key_of(self.daemon))
            visitor.await_state("ready", "known")
            dialled = [f"1370000000{number}" for number in range(6)]
            caller = in_reactor(lambda: Deferred.fromCoroutine(member(self, service_of(self.daemon), *FIRST)))
            for number, phone in enumerate(dialled, 1):
                in_reactor(partial(fail, caller, phone))
                visitor.await_rows("failures", number)
                shown = [re.findall(r"to (\d+)", row)[0] for row in visitor.rows("failures")]
                self.assertEqual(shown, dialled[:number][::-1])

        return self.play(story)

    def test_asking(self) -> Deferred[None]:
        """The dashboard asks about what is there now, and says what went wrong, also after its question was closed."""

        def story(stage: Stage) -> None:
            visitor = operator(stage, stage.browser(None), self.daemon)
            visitor.open()
            visitor.unlock(key_of(self.daemon))
            visitor.await_state("ready", "known")
            self.taken_over(visitor)
            self.closed_meanwhile(visitor)
            self.name_of_a_phone(visitor)

        return self.play(story)

    def taken_over(self, visitor: Operator) -> None:
        """The row of a call names the devices that are in it, also after one has taken it over from another."""

        async def talk() -> str:
            service = service_of(self.daemon)
            caller, callee = [await member(self, service, *address, extended=True) for address in (FIRST, LONG)]
            await caller.talks_to(callee)
            assert caller.device.call is not None
            return caller.device.call.room_id

        async def pull(room: str) -> None:
            account = Account(service_of(self.daemon), *SECOND, keep=lambda _: None)  # with a secret it may
            device = Device(account, extended=True)
            self.addCleanup(device.close)
            device.connect()
            await device.until("online")
            taken = device.pull(room)
            assert taken is not None
            await taken.until("active")

        room = in_reactor(lambda: Deferred.fromCoroutine(talk()))
        visitor.await_rows("calls", 1)
        in_reactor(lambda: Deferred.fromCoroutine(pull(room)))
        visitor.page.wait_for_selector(f"#calls-rows tr:has-text('{SECOND.device_id}')")
        self.assertNotIn(FIRST.device_id, visitor.rows("calls")[0])
        label = visitor.page.get_attribute("#calls-rows button", "aria-label")
        self.assertIn(f"{SECOND.phone} · {SECOND.device_id}", str(label))
        visitor.press_in("#calls-rows tr", "End")
        self.assertIn(f"{SECOND.phone} · {SECOND.device_id} and {LONG.phone}", visitor.text("question-text"))

    def closed_meanwhile(self, visitor: Operator) -> None:
        """A failure after its question was closed is said above."""
        asked: list[Route] = []
        visitor.page.route("**/api/calls/end", lambda route: asked.append(route))  # noqa: PLW0108  # Playwright wants a function
        visitor.press("question-yes")
        wait_until(visitor, lambda: len(asked) == 1, "the order")
        visitor.page.keyboard.press("Escape")
        visitor.await_hidden("question")
        asked[0].abort()
        visitor.await_shown("said", "End the call – callnet isn’t answering.")
        visitor.page.unroute("**/api/calls/end")
        visitor.forgive(NO_ANSWER)

    def name_of_a_phone(self, visitor: Operator) -> None:
        """A number is looked up without what only makes it easier to read, any other name of a phone as it is."""
        for typed, phone in (("+1 (380) 000-0001 ", "+13800000001"), (" kitchen-tv", "kitchen-tv")):
            visitor.page.fill("#phone", typed)
            visitor.page.keyboard.press("Enter")
            visitor.await_shown("devices-all", f"of {phone}")

    def test_language(self) -> Deferred[None]:
        """The dashboard speaks the browser's language until another one is chosen, which stays; all of it changes."""

        def story(stage: Stage) -> None:
            visitor = operator(stage, stage.browser(None), self.daemon, "de-DE")
            asked: list[str] = []
            visitor.page.on("request", lambda request: asked.append(request.url.rpartition("/")[2]))
            visitor.open()
            visitor.await_tile("Geräte", "0 verbunden")
            self.assertEqual(["de.json"], [name for name in asked if name.endswith(".json")])
            visitor.unlock("wrong")
            visitor.await_shown("key-problem", "callnet nimmt diesen Schlüssel nicht an.")
            visitor.choose_language("ar", "footer")
            self.assertEqual("rtl", visitor.page.get_attribute("html", "dir"))
            self.assertEqual("callnet لا يقبل هذا المفتاح.", visitor.text("key-problem"))
            visitor.unlock(key_of(self.daemon))
            visitor.await_state("ready", "known")
            visitor.page.reload()
            visitor.await_state("ready", "known")
            self.assertEqual("جاهز", visitor.text("state"))
            caller = in_reactor(lambda: Deferred.fromCoroutine(member(self, service_of(self.daemon), *FIRST)))
            in_reactor(partial(fail, caller, "13700000000"))
            visitor.await_rows("failures", 1)
            self.assertIn("غير متصل", visitor.rows("failures")[0])
            self.assertEqual(faults(visitor.page), [])
            self.assertEqual(violations(visitor.page), [])
            visitor.choose_language("en", "footer")
            self.assertIn("offline", visitor.rows("failures")[0])
            visitor.forgive(NO_ANSWER)

        return self.play(story)


class DashboardPageTests(BrowserCase):
    """The page, whatever goes on at the daemon."""

    def test_hanging(self) -> Deferred[None]:
        """If a daemon hangs, the page says within three seconds that there is no answer, and after five that what it
        shows is old; when the daemon answers it is ready again.
        """

        def story(stage: Stage) -> None:
            visitor = operator(stage, stage.browser(None), self.daemon)
            visitor.stop_clock()
            visitor.open()
            visitor.await_state("ready")
            with stopped(self.daemon.pid):
                visitor.page.clock.run_for(3_000)
                visitor.await_state("late")
                self.assertEqual(visitor.text("state"), "No answer yet")
                self.assertFalse(visitor.is_visible("away"))
                with resized(visitor.page) as resize:
                    resize(*OTHERS["smallest"])
                    self.assertEqual(visitor.page.evaluate(EXTREME_FAULTS), [])
                visitor.page.clock.run_for(2_000)
                visitor.await_state("away")
                self.assertEqual(visitor.text("state"), "No answer")
            visitor.page.clock.resume()
            visitor.await_state("ready")
            visitor.forgive(NO_ANSWER)

        return self.play(story)

    def test_nothing_kept(self) -> Deferred[None]:
        """In a browser that keeps nothing the key is good until the page is closed."""

        def story(stage: Stage) -> None:
            visitor = operator(stage, stage.browser(None), self.daemon)
            visitor.page.add_init_script(_KEEP_NOTHING)
            visitor.open()
            visitor.await_state("ready", "unknown")
            visitor.unlock(key_of(self.daemon))
            visitor.await_state("ready", "known")
            self.assertTrue(visitor.is_visible("calls"))
            visitor.press("forget")
            visitor.await_state("ready", "unknown")

        return self.play(story)

    def test_theme(self) -> Deferred[None]:
        """The dashboard is dark or light as the system is until one of them is chosen, which stays."""
        theme = "document.documentElement.dataset.theme"

        def story(stage: Stage) -> None:
            visitor = operator(stage, stage.browser(None), self.daemon)
            visitor.page.emulate_media(color_scheme="light")
            visitor.open()
            visitor.await_state("ready")
            self.assertEqual(visitor.page.evaluate(theme), "light")
            visitor.page.select_option("#theme", "dark")
            self.assertEqual(visitor.page.evaluate(theme), "dark")
            visitor.page.reload()
            visitor.await_state("ready")
            self.assertEqual((visitor.page.evaluate(theme), visitor.page.input_value("#theme")), ("dark", "dark"))
            visitor.page.select_option("#theme", "system")
            self.assertEqual(visitor.page.evaluate(theme), "light")

        return self.play(story)

    def test_nobody_looks(self) -> Deferred[None]:
        """A tab that nobody sees asks nothing, and asks at once when it is seen again."""

        def story(stage: Stage) -> None:
            visitor = operator(stage, stage.browser(None), self.daemon)
            asked: list[str] = []
            visitor.page.on("request", lambda request: asked.append(request.url))
            visitor.open()
            visitor.await_state("ready")
            visitor.view(False)
            visitor.wait(500)  # pending requests are answered
            before = len(asked)
            visitor.wait(5_000)
            self.assertEqual(len(asked), before)
            visitor.view(True)
            wait_until(visitor, lambda: len(asked) > before, "a question")

        return self.play(story)

    def test_faults_are_seen(self) -> Deferred[None]:
        """The check finds what is cut off, off the screen, overlapping or moving, where the page is hardly painted."""
        wrongs = {
            "title.style = 'position: relative; left: 3000px'": "#health-title leaves the screen",
            "title.style.whiteSpace = 'nowrap'; title.style.width = '1rem'": "the text of #health-title does not fit",
            "panel.style.height = '1rem'": "#health-title is higher than #health",
            "panel.style.marginTop = '-5rem'": "div.tile and #health overlap",
        }

        def story(stage: Stage) -> None:
            visitor = operator(stage, stage.browser(None), self.daemon)
            element = "const [title, panel] = ['health-title', 'health'].map((id) => document.getElementById(id)); "
            with resized(visitor.page) as resize:
                for wrong, fault in wrongs.items():
                    visitor.open()
                    visitor.await_state("ready")
                    resize(*SCREENS["laptop"])
                    self.assertEqual(look(visitor.page, FAULTS, EXTREME_FAULTS), [])
                    self.assertIn(fault, "\n".join(faults(visitor.page, element + wrong)))

        return self.play(story)
