"""Closed phones ring: from ``call`` to the notification, from there to the caller's picture, and to its withdrawal.

Most of them are subscriptions without a browser, whose messages are decrypted by an implementation of their own
(:mod:`acceptance.push_service`), and some are apps that listen to Debian's ntfy, as UnifiedPush does. Each has a tablet
beside it that is connected. Half of their calls are given up, the others answered by the tablet. The others are a
Firefox, which subscribes at the push service itself, and a Chromium, whose worker is handed by DevTools what was
decrypted: half of its calls are given up, half answered by pressing Accept, and the phone is opened.

They subscribe once and never come back. They are called right away, after the daemon was restarted, and after it was
restarted with a clock that is a week ahead.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from math import inf
from pathlib import Path
from typing import Any, Final

from msgspec import Struct, field
from playwright.sync_api import Error

from acceptance.daemon import WITHOUT_LIMITS, CountedDaemon
from acceptance.machine import set_clock
from acceptance.proof import Outcome, Proof
from acceptance.push_inboxes import Inboxes, Ntfy, PushService, environment, settings
from acceptance.tls import Files
from bench.figures import percentile
from harness.base_protocol import EVERY, Address
from harness.daemon import staying_listeners
from harness.device import Device
from harness.wire import Closed as SocketClosed
from harness.wire import login, post
from tests.browser.camera import Camera
from tests.browser.closed_phone import Closed, await_notification, forget_notifications, preferences, subscribed
from tests.browser.phone_visitor import PhoneVisitor, phone, tab
from tests.browser.stage import Stage, stage

RINGS_WITHIN: Final = 1.5
"""Seconds from the call to the message or the notification: of 95 in 100 calls of each kind."""
SHOWS_WITHIN: Final = 3.0
"""Seconds from the press on Accept to the caller's picture."""
WITHDRAWN_WITHIN: Final = 1.0
"""Seconds from the end of the ringing until the message or the notification says so."""
WEEK: Final = 7 * 86400.0
ROUNDS: Final = {"at once": 0.0, "restarted": 0.0, "a week later": WEEK}
"""The seconds by which the daemon's clock is ahead in each."""
VAPID_LASTS: Final = 86400.0
"""Seconds for which the signature of a sender may be good (RFC 8292 §2)."""

SHOWN: Final = 5
"""The misses of a kind that are shown."""
KINDS: Final = {"push service": "message", "ntfy": "message", "Chromium": "notification", "Firefox": "notification"}
"""The end of what is measured, by the kind of phone."""

ALICE: Final = Address("13800000001", "alices-desk")
BOB, CAROL = Address("13800000002", "bobs-desk"), Address("13800000003", "carols-desk")


class Plan(Struct, frozen=True):
    """The calls in each round, and the phones."""

    phones: int
    """Subscriptions without a browser."""
    calls: int
    """To each of these."""
    apps: int
    calls_of_apps: int
    chromium: int
    firefox: int

    @property
    def total(self) -> int:
        """All calls."""
        each = self.phones * self.calls + self.apps * self.calls_of_apps + self.chromium + self.firefox
        return each * len(ROUNDS)


FULL: Final = Plan(phones=8, calls=17, apps=3, calls_of_apps=6, chromium=8, firefox=6)
BRIEF: Final = Plan(phones=4, calls=3, apps=2, calls_of_apps=2, chromium=2, firefox=1)


class Seen(Struct):
    """The measurements, in seconds."""

    rang: list[float] = field(default_factory=list)
    withdrawn: list[float] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)

    def expect(self, holds: bool, otherwise: str) -> None:
        """Note a miss unless this holds."""
        if not holds:
            self.misses.append(otherwise)

    def late(self, shown: str) -> Sequence[str]:
        """The times that were too long.

        :param shown: what was waited for.
        """
        return [
            *beyond(f"95 in 100 {shown}s", percentile(self.rang, 0.95) if self.rang else inf, RINGS_WITHIN),
            *beyond("a withdrawal", max(self.withdrawn, default=inf), WITHDRAWN_WITHIN),
        ]


def beyond(what: str, seconds: float, most: float) -> Sequence[str]:
    """A line if this took longer than it may."""
    return [f"{what} took {seconds:.2f} s"] if seconds > most else []


def is_signed(claims: Mapping[str, Any] | None, now: float) -> bool:
    """Tell whether the signature of a sender is valid, if its claims are known, and not for too long."""
    return claims is None or now < claims.get("exp", 0) <= now + VAPID_LASTS


class House:
    """A phone whose pocket is closed and whose tablet is connected, and somebody who calls it.

    :param place: the name of the pocket's messages.
    """

    def __init__(self, number: int, inboxes: Inboxes, place: str, subscription: dict[str, Any], seen: Seen) -> None:
        self._pocket = Address(f"137{number:08}", "pocket")
        self._tablet = Address(self._pocket.phone, "tablet")
        self._caller = Address(f"136{number:08}", "phone")
        self._inboxes = inboxes
        self._place = place
        self._target = json.dumps(subscription)
        self._seen = seen

    async def register(self, account: int) -> None:
        """Have the pocket say how it is woken. It is never heard of again."""
        token = await login(account, *self._pocket)
        answer = await post(account, "/devices/push", {"token": token, "kind": "webpush", "target": self._target})
        if answer["errorCode"]:
            raise ValueError(f"the registration was answered {answer}")

    async def use(self, ports: tuple[int, int], calls: int, ahead: float) -> None:
        """Have it called this often, one call after the other."""
        caller, tablet = [await Device.connect(ports, address) for address in (self._caller, self._tablet)]
        tablet.call(tablet.address)  # whoever is answered is registered, and rings from now on
        await tablet.until("call_failed")
        for number in range(calls):
            try:
                await self._ring(caller, tablet, number % 2 == 1, ahead)
            except (TimeoutError, SocketClosed) as error:
                self._seen.misses.append(f"a call to a closed phone: {error!r}")
                break
        for device in (caller, tablet):
            device.close()

    async def _ring(self, caller: Device, tablet: Device, is_answered: bool, ahead: float) -> None:
        began = time.monotonic()
        caller.call((tablet.address.phone, EVERY))
        wake = await asyncio.to_thread(self._inboxes.take, self._place)
        self._seen.rang.append(wake.at - began)
        message, now = wake.message, time.time() + ahead
        told = [message[name] for name in ("event", "phone", "device_id", "from_phone")]
        self._seen.expect(told == ["wake", *self._pocket, caller.address.phone], f"it was told {told}")
        self._seen.expect(now < message["expires_at"] < now + 60, "the end of the ringing is wrong")
        self._seen.expect(is_signed(wake.claims, now), "the sender's signature is out of date")
        called = await tablet.until("called")
        ended = time.monotonic()
        if is_answered:
            tablet.answer(called)
        else:
            caller.hang_up(tablet)
        end = await asyncio.to_thread(self._inboxes.take, self._place)
        self._seen.withdrawn.append(end.at - ended)
        told = [end.message[name] for name in ("event", "call", "reason")]
        reason = "answered_elsewhere" if is_answered else "cancelled"
        self._seen.expect(told == ["ring_ended", message["call"], reason], f"at the end it was told {told}")
        if is_answered:
            await caller.until("call_success")
            caller.hang_up(tablet, called["room_id"])
        await tablet.until("calling_be_hangup")


async def register(houses: Sequence[House], daemon: CountedDaemon) -> None:
    """Have all of them subscribe."""
    for house in houses:
        await house.register(daemon.ports["account"])


async def call_houses(houses: Sequence[tuple[House, int]], daemon: CountedDaemon, ahead: float) -> None:
    """Have all called at the same time, each as often as it says."""
    ports = daemon.ports["account"], daemon.ports["signaling"]
    await asyncio.gather(*(house.use(ports, calls, ahead) for house, calls in houses))


class Browsers:
    """Alice, who calls from a Chromium; Bob's Chromium and Carol's Firefox, in which no phone is open."""

    def __init__(self, browsers: Stage, push: PushService, chromium: Seen, firefox: Seen) -> None:
        self._stage = browsers
        self._push = push
        self._of_bob = chromium
        self._of_carol = firefox
        self.shown: Final[list[float]] = []
        """Seconds from the press on Accept to the caller's picture."""
        self.alice: Final = phone(browsers, browsers.browser(Camera.RED))
        self.alice.log_in(*ALICE)
        self._place, subscription = push.subscribe()
        self._profile = subscribed(browsers, subscription)
        bob = self._settle(tab(browsers, self._profile), BOB, "Bob")
        self._bob = Closed(self._profile, bob)
        bob.page.close()
        profile = browsers.profile(browsers.firefox(**preferences(push.sockets)))
        carol = self._settle(tab(browsers, profile), CAROL, "Carol")
        self._beside = profile.new_page()
        self._beside.goto(f"{browsers.site_url}/nothing")
        carol.page.close()

    def _settle(self, visitor: PhoneVisitor, address: Address, name: str) -> PhoneVisitor:
        """Have somebody ring when the phone is closed, and know Alice, who knows them."""
        visitor.log_in(*address)
        visitor.add_contact(ALICE.phone, "Alice")
        self.alice.add_contact(address.phone, name)
        visitor.press("to-settings")
        visitor.page.check("#closed-switch")
        visitor.await_text("closed-state", "even when")
        return visitor

    def leave(self) -> None:
        """Have Alice leave her phone: a daemon that has just started refuses requests until it has read revocations."""
        self.alice.page.goto("about:blank")

    def come_back(self) -> None:
        """Have Alice there again after the daemon was restarted."""
        self.alice.open()
        self.alice.await_scene("home", "online")

    def call_bob(self, is_answered: bool) -> None:
        """Have Bob's Chromium ring; Alice gives up, or somebody presses Accept."""
        began = self._call(BOB)
        wake = self._push.take(self._place)
        self._bob.deliver(dict(wake.message))
        self._bob.shown("Alice is calling")
        self._of_bob.rang.append(time.monotonic() - began)
        if is_answered:
            self._answer()
        else:
            ended = self._give_up()
            self._bob.deliver(dict(self._push.take(self._place).message))
            self._bob.shown("Missed call from Alice.")
            self._of_bob.withdrawn.append(time.monotonic() - ended)
            self._bob.forget()

    def _call(self, somebody: Address) -> float:
        """Have Alice call. Returns the time of the press."""
        self.alice.await_contact(somebody.phone, online=False)
        pressed = self._time_of_press(f'[data-key="call-{somebody.phone}"]')
        self.alice.call(somebody.phone)
        return pressed

    def _give_up(self) -> float:
        """Have Alice hang up while it rings. Returns the time of the press."""
        pressed = self._time_of_press("#cancel")
        self.alice.press("cancel")
        return pressed

    def _time_of_press(self, selector: str) -> float:
        """The time, once something takes presses: what has just come up does not (``presses.js``)."""
        self.alice.page.click(selector, trial=True)
        return time.monotonic()

    def _answer(self) -> None:
        pressed = time.monotonic()
        opened = self._bob.press("accept")
        self._of_bob.expect(opened == ["/"], f"Accept opened {opened}")
        bob = tab(self._stage, self._profile)
        bob.open()
        bob.await_connected(Camera.RED)
        self.shown.append(time.monotonic() - pressed)
        bob.hang_up()
        self.alice.await_scene("home")
        bob.page.close()

    def call_carol(self) -> None:
        """Have Carol's Firefox ring; Alice gives up."""
        began = self._call(CAROL)
        await_notification(self._beside, "Alice is calling")
        self._of_carol.rang.append(time.monotonic() - began)
        ended = self._give_up()
        await_notification(self._beside, "Missed call from Alice.")
        self._of_carol.withdrawn.append(time.monotonic() - ended)
        forget_notifications(self._beside)


class Story:
    """The whole of it.

    :param folder: for the daemon, the push services and what cameras see.
    """

    def __init__(self, folder: Path, plan: Plan) -> None:
        self._folder = folder
        self._plan = plan
        self._exits = ExitStack()
        self._aside = ThreadPoolExecutor(1)
        self.of_kinds: Final = {kind: Seen() for kind in KINDS}
        self.shown: Sequence[float] = ()
        self.misses: list[str] = []

    def tell(self) -> None:
        """Three rounds."""
        plan, clock = self._plan, self._folder / "clock"
        files = Files(self._folder)
        files.write()
        set_clock(clock, 0)
        with self._exits:
            push = self._exits.enter_context(PushService(files))
            hosts = [push.host]
            houses = [(self._house(n, push, *push.subscribe(), "push service"), plan.calls) for n in range(plan.phones)]
            if shutil.which("ntfy") is None:
                self.misses.append("this machine has no ntfy")
            else:
                ntfy = self._exits.enter_context(Ntfy(self._folder, files, plan.apps))
                hosts.append(ntfy.host)
                apps = enumerate(ntfy.subscriptions(), plan.phones)
                houses += [(self._house(n, ntfy, *app, "ntfy"), plan.calls_of_apps) for n, app in apps]
            daemon = CountedDaemon(
                self._folder / "daemon",
                settings(hosts) + WITHOUT_LIMITS,
                ("acceptance.set_clock", str(clock)),
                listeners=staying_listeners().replace("site = [{ ", "site = [{ tls = false, "),
                environment=environment(files),
            )
            self._exits.enter_context(daemon)
            self._wait(register([house for house, _ in houses], daemon))
            browsers = self._exits.enter_context(stage(daemon.site_url.replace("127.0.0.1", "localhost"), self._folder))
            people = Browsers(browsers, push, self.of_kinds["Chromium"], self.of_kinds["Firefox"])
            for name, ahead in ROUNDS.items():
                if name != "at once":
                    set_clock(clock, ahead)
                    daemon.start()
                    people.come_back()
                self._wait(call_houses(houses, daemon, ahead))
                self._call_browsers(people)
                people.leave()
                print(f"{name}: {sum(len(seen.rang) for seen in self.of_kinds.values())} calls have rung", flush=True)
                self._end(daemon, browsers)
            self.shown = people.shown
            self.misses += [f"{push.rest()} messages were sent that nobody waited for"] if push.rest() else []
        self._aside.shutdown()

    def _house(self, number: int, inboxes: Inboxes, place: str, subscription: dict[str, Any], kind: str) -> House:
        return House(number, inboxes, place, subscription, self.of_kinds[kind])

    def _wait(self, work: Any) -> None:
        """Do something in another thread: Playwright has an event loop in this one."""
        self._aside.submit(asyncio.run, work).result()

    def _end(self, daemon: CountedDaemon, browsers: Stage) -> None:
        """End a round: note the errors of pages, stop the daemon, and note what it has logged."""
        self.misses += [complaint for complaint in browsers.complaints() if complaint not in self.misses]
        daemon.stop()
        self.misses += [f"the daemon logged {line}" for line in daemon.complaints()]

    def _call_browsers(self, people: Browsers) -> None:
        try:
            for number in range(self._plan.chromium):
                people.call_bob(is_answered=number % 2 == 1)
            for _ in range(self._plan.firefox):
                people.call_carol()
        except (AssertionError, Error, TimeoutError) as error:
            self.misses.append(f"a browser: {str(error).partition(chr(10))[0]}")


def in_milliseconds(seconds: Sequence[float]) -> str:
    """The median, the 95th percentile and the longest."""
    figures = (percentile(seconds, 0.5), percentile(seconds, 0.95), max(seconds)) if seconds else ()
    return ", ".join(f"{figure * 1e3:.0f}" for figure in figures)


def prove(brief: bool, seed: int) -> Outcome:  # noqa: ARG001  nothing is random
    """Five hundred calls, or some of each kind."""
    plan = BRIEF if brief else FULL
    with tempfile.TemporaryDirectory(prefix="callnet-proof-") as folder:
        story = Story(Path(folder), plan)
        story.tell()
    counts: dict[str, object] = {"calls": plan.total}
    misses = list(story.misses)
    for kind, seen in story.of_kinds.items():
        to = f"to the {KINDS[kind]}, ms (median, p95, longest)"
        counts[f"{kind}: calls that rang"] = len(seen.rang)
        counts[f"{kind}: from the call {to}"] = in_milliseconds(seen.rang)
        counts[f"{kind}: from the end {to}"] = in_milliseconds(seen.withdrawn)
        misses += [f"{kind}: {miss}" for miss in (*seen.misses[:SHOWN], *seen.late(KINDS[kind]))]
    counts["from the press on Accept to the picture, ms (median, p95, longest)"] = in_milliseconds(story.shown)
    rang = sum(len(seen.rang) for seen in story.of_kinds.values())
    misses += [f"{rang} of {plan.total} calls rang"] if rang != plan.total else []
    misses += beyond("a picture", max(story.shown, default=inf), SHOWS_WITHIN)
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "closed",
    f"all calls to closed phones ring, 95 in 100 of each kind within {RINGS_WITHIN:g} s, also after a restart and by a"
    f" subscription that is a week old; Accept shows the caller's picture within {SHOWS_WITHIN:g} s; what was answered"
    f" elsewhere or given up is withdrawn within {WITHDRAWN_WITHIN:g} s; with the project's push service and with ntfy",
    prove,
)
