"""Two people walk through the phone, by a script that knows only what they see (:mod:`acceptance.person`).

In each browser, on each screen, in a language that is read from the left and one that is read from the right: they log
in, add each other, call, chat, hand over a file, share a screen, decline and take a second call, look at their past
calls, block somebody and remove a device. A browser that cannot do one of these has that counted.
"""

from __future__ import annotations

import struct
import tempfile
import time
import zlib
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from random import Random
from typing import Final

from msgspec import Struct
from playwright.sync_api import BrowserContext, Error, FilePayload

from acceptance.daemon import WITHOUT_LIMITS
from acceptance.page import WITHOUT_TLS
from acceptance.person import Missing, Person, Words
from acceptance.proof import Outcome, Proof
from harness import ROOT
from harness.daemon import Daemon
from tests.browser.camera import Camera
from tests.browser.phone_visitor import PhoneVisitor
from tests.browser.stage import Stage, stage

TAKEN_IN: Final = 1_000
"""Milliseconds in which a person takes in who calls."""
MOST_CLICKS: Final = 5
"""From the open page to a running call between two tabs."""
PICTURES: Final = ROOT / "build" / "acceptance" / "walk"
"""Where the pictures of those who did not find something go."""
NAMES: Final = {
    "en": ("Ada", "Ben", "Carol", "Dora", "Emil", "Fay"),
    "ar": ("آدم", "بدر", "دانة", "رامي", "سلمى", "فرح"),
}
FILE: Final[FilePayload] = {"name": "recipe.txt", "mimeType": "text/plain", "buffer": b"flour, water, salt\n" * 99}


class Place(Struct, frozen=True):
    """Where a walk goes."""

    browser: str
    size: tuple[int, int]
    locale: str

    @property
    def language(self) -> str:
        """As the file of its words is called."""
        return self.locale.partition("-")[0]

    def __str__(self) -> str:
        return f"{self.browser}, {self.size[0]} x {self.size[1]}, {self.language}"


WHOLE: Final = [
    Place(browser, size, locale)
    for browser in ("Chromium", "Firefox")
    for size in ((390, 844), (1366, 768), (1920, 1080))
    for locale in ("en-US", "ar")
]
BRIEF: Final = [Place("Chromium", (390, 844), "ar"), Place("Chromium", (1366, 768), "en-US")]


def photo() -> FilePayload:
    """A picture of one colour, as PNG."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    side = 64
    header = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + bytes((200, 120, 40)) * side) * side
    parts = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return {"name": "me.png", "mimeType": "image/png", "buffer": b"\x89PNG\r\n\x1a\n" + parts}


class Walk:
    """One walk.

    :param numbers: phone numbers that nobody has.
    """

    def __init__(self, browsers: Stage, place: Place, random: Random, numbers: Sequence[str]) -> None:
        self._browsers = browsers
        self._place = place
        self._random = random
        self._words = Words(place.language)
        self._numbers = list(numbers)
        self._names = random.sample(NAMES[place.language], 6)
        self._exits = ExitStack()
        self._visitors: list[PhoneVisitor] = []
        self._persons: list[Person] = []
        self._alice = self._person(Camera.RED)
        self._bob = self._person(Camera.BLUE)
        self.steps = 0
        self.calls = 0
        self.clicks = 0
        """From the open page to the running call between two tabs."""
        self.left_out: list[str] = []
        """Steps that the browser cannot do."""

    def walk(self) -> Sequence[str]:
        """Take all steps. Returns the first that could not be taken, and what the pages complain of."""
        misses = []
        with self._exits:
            for name, step in self._story().items():
                try:
                    step()
                except (Missing, Error) as error:
                    misses.append(f"{self._place}, {name}: {str(error).partition(chr(10))[0]}")
                    break
                self.steps += 1
            misses += [f"{self._place}: {complaint}" for one in self._visitors for complaint in one.complaints]
            if misses:
                self._take_pictures()
        return misses

    def _story(self) -> dict[str, Callable[[], None]]:
        """The steps by name. Where their order does not matter it is drawn."""
        in_call = {
            "chat": self.chat,
            "file": self.hand_over_a_file,
            "screen": self.share_the_screen,
            "second caller": self.second_caller,
        }
        if self._place.browser == "Firefox":
            del in_call["screen"]
            self.left_out.append("a shared screen (a Firefox without windows has none)")
        after = {
            "favourite": self.favourite,
            "block and unblock": self.block,
            "devices": self.devices,
            "second call": self.take_a_second_call,
        }
        return {
            "five clicks": self.two_tabs,
            "first minute": self.first_minute,
            "name and photo": self.introduce,
            "contact": self.add,
            "call": self.call,
            **self._shuffled(in_call),
            "hang up": self.hang_up,
            "history": self.history,
            **self._shuffled(after),
        }

    def _shuffled(self, steps: dict[str, Callable[[], None]]) -> dict[str, Callable[[], None]]:
        return {name: steps[name] for name in self._random.sample(sorted(steps), len(steps))}

    # The steps.

    def two_tabs(self) -> None:
        """Two tabs of one browser: from the open page to the running call."""
        profile = self._profile(Camera.RED)
        one, other = both = [self._person(profile=profile) for _ in range(2)]
        for person in both:
            person.page.bring_to_front()
            self._log_in(person)
            person.sees("phone.no_contacts")
        one.page.bring_to_front()
        one.fill("phone.add_number", other.number)
        one.press("phone.add_save")
        one.press("phone.person.all", name=other.number)
        other.page.bring_to_front()
        other.press("phone.accept")
        self.calls += 1
        for person, seen in ((other, one), (one, other)):
            person.page.bring_to_front()
            person.sees_moving(seen.number)
        self.clicks = sum(person.clicks for person in both)
        if self.clicks > MOST_CLICKS:
            raise Missing(f"{self.clicks} clicks to a call between two tabs")
        one.press("page.hangUp")
        other.sees("phone.over.active.hangup", name=one.number)
        profile.close()

    def first_minute(self) -> None:
        """Both open the address, read what it is, and log in with a number."""
        for person in self._random.sample((self._alice, self._bob), 2):
            self._log_in(person)
            person.sees("phone.no_contacts")
            person.reads(person.number)

    def introduce(self) -> None:
        """Both say what they are called; one has a photo."""
        for person in self._random.sample((self._alice, self._bob), 2):
            person.press("phone.settings")
            person.fill("phone.you.name", person.name)
            person.enter()
            person.sees("phone.you.named", name=person.name)
        self._alice.choose_file("phone.you.photo", photo())
        self._alice.sees("phone.you.photo_set")
        for person in (self._alice, self._bob):
            person.press("phone.contacts")

    def add(self) -> None:
        """One adds the other, who is told, and adds back."""
        alice, bob = self._alice, self._bob
        self._add_bob(alice)
        bob.sees("phone.adder.question", name=alice.name)
        bob.press("phone.adder.add")
        bob.sees("phone.added.there", name=alice.name)

    def call(self) -> None:
        """One calls, the other answers, and both see the other's moving picture."""
        alice, bob = self._alice, self._bob
        alice.press("phone.person.all", name=bob.name)
        alice.sees("phone.rings")
        bob.sees("phone.ringing")
        bob.reads(alice.name)
        bob.press("phone.accept")
        self.calls += 1
        self._see_each_other()

    def chat(self) -> None:
        """They write to each other."""
        one, other = self._random.sample((self._alice, self._bob), 2)
        number = self._random.randrange(1_000)
        one.press("page.chat")
        self._write(one, f"How are you? {number}")
        other.press("page.unread")
        other.reads(f"How are you? {number}")
        self._write(other, f"مرحبا {number}")
        one.reads(f"مرحبا {number}")
        for person in (one, other):
            person.press("page.close")

    def hand_over_a_file(self) -> None:
        """One offers a file, the other takes and saves it."""
        one, other = self._random.sample((self._alice, self._bob), 2)
        one.press("page.chat")
        one.choose_file("page.sendFile", FILE)
        one.sees("page.file.offered_own")
        other.sees("page.named.notice.file", name=one.name)
        other.press("page.unread")
        other.reads(str(FILE["name"]))
        other.press("page.file.accept")
        other.sees("page.file.done_theirs")
        one.sees("page.file.done_own")
        if self._place.browser == "Firefox":
            other.press("page.file.save")
            self.left_out.append("a look at the saved file (Playwright is not told of Firefox's downloads)")
        elif other.download("page.file.save") != FILE["buffer"]:
            raise Missing("the file arrived as another")
        for person in (one, other):
            person.press("page.close")

    def share_the_screen(self) -> None:
        """One shares the screen, the other sees it, and the camera again when it is over."""
        one, other = self._random.sample((self._alice, self._bob), 2)
        self._press_in_bar_or_menu(one, "page.share")
        other.sees("page.theirScreen")
        one.sees("page.notice.own_screen")
        self._press_in_bar_or_menu(one, "page.stopSharing")
        other.loses("page.theirScreen")
        self._see_each_other()

    def second_caller(self) -> None:
        """A third person who calls one of the two is shown to them, and declined; the call goes on."""
        carol = self._call_bob()
        self._bob.press("phone.refuse")
        carol.sees("phone.over.outgoing.refused", name=self._bob.name)
        carol.page.close()
        self._see_each_other()

    def take_a_second_call(self) -> None:
        """The two talk again, and one of them leaves the call for a third person, who hangs up."""
        alice, bob = self._alice, self._bob
        self.call()
        carol = self._call_bob()
        bob.page.wait_for_timeout(TAKEN_IN)
        bob.press("phone.end_and_accept")
        alice.sees("phone.over.active.replaced", name=bob.name)
        bob.sees_moving(carol.number)
        carol.sees_moving(bob.name)
        carol.press("page.hangUp")
        bob.sees("phone.over.active.hangup", name=carol.number)
        carol.page.close()

    def hang_up(self) -> None:
        """Either hangs up, and both read who did."""
        one, other = self._random.sample((self._alice, self._bob), 2)
        one.press("page.hangUp")
        one.sees("phone.over.own.hangup", name=other.name)
        other.sees("phone.over.active.hangup", name=one.name)

    def history(self) -> None:
        """Both find the call, could call back, and delete it."""
        alice, bob = self._alice, self._bob
        for person, other, kind in ((alice, bob, "outgoing"), (bob, alice, "incoming")):
            person.press("phone.calls")
            person.sees(f"phone.past.{kind}")
            if not person.has("phone.past.back", name=other.name):
                raise Missing(f"{person.name} cannot call back")
            person.press("phone.past.options", name=other.name)
            person.press("phone.past.delete")
            person.loses("phone.past.back", name=other.name)
            person.press("phone.contacts")

    def favourite(self) -> None:
        """One becomes a favourite of the other."""
        alice, bob = self._alice, self._bob
        alice.press("phone.person.edit", name=bob.name)
        alice.press("phone.person.favourite")
        alice.press("phone.person.save")
        alice.loses("phone.person.save")
        alice.sees("phone.person.favourite")

    def block(self) -> None:
        """A blocked person reads that the other is offline, and rings again when that is over."""
        alice, bob = self._alice, self._bob
        bob.press("phone.person.edit", name=alice.name)
        bob.press("phone.blocking.block")
        bob.sees("phone.blocking.blocked", name=alice.name)
        alice.press("phone.person.all", name=bob.name)
        alice.sees("phone.over.outgoing.offline", name=bob.name)
        bob.press("phone.settings")
        bob.press("phone.blocking.unblock")
        bob.sees("phone.blocking.unblocked", name=alice.name)
        alice.press("phone.person.all", name=bob.name)
        bob.sees("phone.ringing")
        bob.press("phone.refuse")
        alice.sees("phone.over.outgoing.refused", name=bob.name)
        bob.sees("phone.over.own.refused", name=alice.name)
        bob.press("phone.contacts")
        self.calls += 2

    def devices(self) -> None:
        """Another device of one's own is renamed and removed, and reads that it was."""
        alice = self._alice
        tablet = self._person(Camera.BLUE, number=alice.number)
        label, before = f"{tablet.name} 2", "Tablet"
        tablet.open(self._url)
        tablet.fill("phone.phone", tablet.number)
        tablet.fill("phone.device", before)
        tablet.press("phone.log_in")
        tablet.reads(before)
        alice.press("phone.settings")
        alice.press("phone.devices.change", name=before)
        alice.fill("phone.devices.rename", label)
        alice.press("phone.person.save")
        tablet.reads(label)
        alice.press("phone.devices.change", name=label)
        alice.press("phone.devices.remove")
        alice.sees("phone.devices.asks.remove", name=label)
        alice.press("phone.devices.remove")
        alice.sees("phone.devices.removed", name=label)
        tablet.sees("phone.error.logged_out")
        tablet.page.close()
        alice.press("phone.contacts")

    # What several steps have in common.

    def _log_in(self, person: Person) -> None:
        person.open(self._url)
        person.sees("phone.login_hint")
        person.fill("phone.phone", person.number)
        person.press("phone.log_in")

    def _call_bob(self) -> Person:
        """Have a third person call somebody who talks, and who sees that."""
        carol = self._person(Camera.BLUE)
        self._log_in(carol)
        self._add_bob(carol)
        carol.press("phone.person.all", name=self._bob.name)
        self.calls += 1
        carol.sees("phone.rings")
        self._bob.sees("phone.ringing")
        self._bob.reads(carol.number)
        return carol

    def _add_bob(self, person: Person) -> None:
        person.sees("phone.no_contacts")
        person.fill("phone.add_number", self._bob.number)
        person.fill("phone.add_name", self._bob.name)
        person.press("phone.add_save")
        person.sees("phone.added.there", name=self._bob.name)

    def _write(self, person: Person, text: str) -> None:
        person.fill("page.message", text)
        person.press("page.send")
        person.reads(text)

    def _press_in_bar_or_menu(self, person: Person, path: str) -> None:
        """Press what a narrow screen keeps in its menu."""
        is_in_menu = not person.has(path)
        if is_in_menu:
            person.press("page.more")
        person.press(path)
        if person.has("page.close"):
            person.press("page.close")

    def _see_each_other(self) -> None:
        shows_colours = self._place.browser == "Chromium"
        self._alice.sees_moving(self._bob.name, Camera.BLUE if shows_colours else None)
        self._bob.sees_moving(self._alice.name, Camera.RED if shows_colours else None)

    # Who walks.

    @property
    def _url(self) -> str:
        return f"{self._browsers.site_url}/"

    def _profile(self, camera: Camera) -> BrowserContext:
        is_firefox = self._place.browser == "Firefox"
        browser = self._browsers.firefox() if is_firefox else self._browsers.browser(camera)
        profile = self._browsers.profile(browser, self._place.locale, self._place.size)
        self._exits.callback(profile.close)
        return profile

    def _person(
        self, camera: Camera = Camera.RED, profile: BrowserContext | None = None, number: str | None = None
    ) -> Person:
        """Somebody new, in a profile of their own if none is given."""
        page = (profile or self._profile(camera)).new_page()
        self._visitors.append(PhoneVisitor(page, self._browsers.site_url))
        name = self._names[len(self._persons) % len(self._names)]
        person = Person(page, self._words, name, number or self._numbers.pop())
        self._persons.append(person)
        return person

    def _take_pictures(self) -> None:
        """Keep what everybody sees."""
        PICTURES.mkdir(parents=True, exist_ok=True)
        for number, person in enumerate(self._persons):
            if not person.page.is_closed():
                person.page.screenshot(path=PICTURES / f"{str(self._place).replace(', ', '-')}-{number}.png")


def prove(brief: bool, seed: int) -> Outcome:
    """A walk in each place, or in two."""
    random = Random(seed)
    counts: dict[str, object] = {}
    misses: list[str] = []
    steps = calls = 0
    places = BRIEF if brief else WHOLE
    with (
        tempfile.TemporaryDirectory(prefix="callnet-cameras-") as folder,
        Daemon(Path(folder, "daemon"), WITHOUT_LIMITS, listeners=WITHOUT_TLS) as daemon,
        stage(f"http://localhost:{daemon.ports['site']}", Path(folder)) as browsers,
    ):
        numbers = _numbers(random, 8 * len(places))
        for index, place in enumerate(places):
            started = time.monotonic()
            walk = Walk(browsers, place, random, numbers[8 * index : 8 * index + 8])
            misses += walk.walk()
            steps += walk.steps
            calls += walk.calls
            counts[str(place)] = f"{walk.steps} steps in {time.monotonic() - started:.0f} s" + "".join(
                f", without {name}" for name in walk.left_out
            )
            counts["clicks to a call between two tabs"] = walk.clicks
        misses += [f"the daemon logged {line}" for line in daemon.complaints()]
    return Outcome({"walks": len(places), "steps": steps, "calls": calls, **counts}, misses)


def _numbers(random: Random, count: int) -> Sequence[str]:
    """Different phone numbers of every length that the usual rule allows."""
    found: set[str] = set()
    while len(found) < count:
        digits = random.randint(3, 15)
        found.add(f"{random.choice(('', '+'))}{random.randrange(10 ** (digits - 1), 10**digits)}")
    return random.sample(sorted(found), count)


PROOF: Final = Proof(
    "walk",
    "people who know only what they see log in, add each other, call, chat, hand over a file, share a screen, decline"
    " and take a second call, hang up, and find their past calls, blocking and devices; a call between two tabs takes"
    f" at most {MOST_CLICKS} clicks",
    prove,
)
