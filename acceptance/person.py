"""A person at the phone who knows only what can be seen and heard there: texts and roles, in the language of the page.

There is no id in here, no class and no data attribute. A person does not see where a frame begins: everything is looked
for in the page and in its frames.
"""

from __future__ import annotations

import json
import random
import re
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from playwright.sync_api import Error, FilePayload, Frame, Locator, Page

from harness import ROOT
from tests.browser.camera import Camera
from tests.browser.visitor import PIXELS

STATIC: Final = ROOT / "callnet" / "static"
WORDS: Final = {"phone": STATIC / "phone" / "words", "page": STATIC / "demo" / "words"}
PATIENCE: Final = 40.0
"""Seconds in which something must be there, on a machine that is busy with other proofs."""
PRESSED_WITHIN: Final = 3_000
"""Milliseconds after which a hand moves again: a button may have stepped back from it meanwhile."""
LOOK_EVERY: Final = 50
"""Milliseconds."""
CHANGES: Final = 3
"""Changes of a picture after which it moves."""
_CHANGED: Final = 5_000
"""The sum of the differences of all values of a picture that has changed."""

Way: TypeAlias = Callable[[Frame, re.Pattern[str]], Locator]
"""A way of finding something by its text."""


class Missing(Exception):
    """Something that a person does not find. The text says who looked for what."""


class Words:
    """The words of a language, as patterns for texts on the page.

    :param language: as its file is called.
    """

    def __init__(self, language: str) -> None:
        self._texts: dict[str, Any] = {
            page: json.loads((folder / f"{language}.json").read_text("utf-8")) for page, folder in WORDS.items()
        }

    def pattern(self, path: str, values: Mapping[str, str]) -> str:
        """The regular expression of a text.

        :param path: such as ``phone.contacts``.
        :param values: of its placeholders. A placeholder without a value stands for anything.
        :raises KeyError: there is no such text.
        """
        leaf: Any = self._texts
        for name in path.split("."):
            leaf = leaf[name]
        forms = leaf["plural"].values() if isinstance(leaf, dict) else [leaf]
        return "|".join(_filled(form, values) for form in forms)


def _filled(text: str, values: Mapping[str, str]) -> str:
    parts = re.split(r"\{(\w+)\}", text)
    filled = [_exactly(part) if index % 2 == 0 else _value(values.get(part)) for index, part in enumerate(parts)]
    return "".join(filled)


def _value(value: str | None) -> str:
    """Match a value, which is isolated where the language is read from right to left."""
    return ".+" if value is None else f"\u2068?{_exactly(value)}\u2069?"


def _exactly(text: str) -> str:
    """Python and JavaScript escape alike here, which they do not in re.escape()."""
    return re.sub(r"[.*+?^${}()|[\]\\/]", r"\\\g<0>", text)


def _degrees(pattern: str) -> Sequence[re.Pattern[str]]:
    """The ways of having a text, the best first: as the whole text, at its end, at its beginning."""
    text = f"\u2068?(?:{pattern})\u2069?"  # a sentence may have been filled into another one
    return [re.compile(form % text) for form in (r"^%s$", r"(?:^|\s)%s$", r"^%s(?:[\s:]|$)")]


def _pressable(frame: Frame, text: re.Pattern[str]) -> Locator:
    button, link, switch = (frame.get_by_role(role, name=text) for role in ("button", "link", "switch"))
    return button.or_(link).or_(switch)


def _fillable(frame: Frame, text: re.Pattern[str]) -> Locator:
    return frame.get_by_label(text).or_(frame.get_by_placeholder(text))


def _visible(frame: Frame, text: re.Pattern[str]) -> Locator:
    return frame.get_by_text(text).or_(frame.get_by_label(text))


def _picture(frame: Frame, text: re.Pattern[str]) -> Locator:
    return frame.get_by_label(text).and_(frame.locator("video"))


class Person:
    """Somebody in a tab with the phone.

    :param words: of the language that they read.
    :param number: their phone number.
    """

    def __init__(self, page: Page, words: Words, name: str, number: str) -> None:
        self.page: Final = page
        self.name: Final = name
        self.number: Final = number
        self.clicks = 0
        """Buttons that were pressed."""
        self._words = words

    def open(self, url: str) -> None:
        """Open an address."""
        self.page.goto(url)

    def press(self, path: str, **values: str) -> None:
        """Press the button, link or switch that is called so."""
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self._find(_pressable, path, values, "press")
            try:
                found.click(timeout=PRESSED_WITHIN)
            except Error as error:
                if time.monotonic() > deadline:
                    raise Missing(f"{self.name} cannot press {path}: {_first_line(error)}") from error
            else:
                break
        self.clicks += 1

    def has(self, path: str, **values: str) -> bool:
        """True if there is just now something of this name to press."""
        return self._look(_pressable, self._degrees(path, values)) is not None

    def fill(self, path: str, text: str) -> None:
        """Fill in the field that is called so."""
        self._find(_fillable, path, {}, "fill in").fill(text)

    def enter(self) -> None:
        """Send the form that was just filled in with the Enter key."""
        self.page.keyboard.press("Enter")

    def sees(self, path: str, **values: str) -> None:
        """Wait until this can be read, or something is called so."""
        self._find(_visible, path, values, "read")

    def reads(self, text: str) -> None:
        """Wait until this can be read, which is none of the page's own words."""
        self._await(_visible, _degrees(_exactly(text)), f"read {text!r}")

    def loses(self, path: str, **values: str) -> None:
        """Wait until this can no longer be seen."""
        deadline = time.monotonic() + PATIENCE
        while self._look(_visible, self._degrees(path, values)) or self.has(path, **values):
            if time.monotonic() > deadline:
                raise Missing(f"{self.name} still sees {path}")
            self.page.wait_for_timeout(LOOK_EVERY)

    def choose_file(self, path: str, file: FilePayload) -> None:
        """Press what asks for a file, and choose one."""
        with self.page.expect_file_chooser() as chooser:
            self.press(path)
        chooser.value.set_files(file)

    def download(self, path: str) -> bytes:
        """Press what saves a file. Returns what is in it."""
        with self.page.expect_download() as download:
            self.press(path)
        return Path(download.value.path()).read_bytes()

    def sees_moving(self, name: str, camera: Camera | None = None) -> None:
        """Wait until the picture of somebody moves.

        :param camera: theirs; ``None``: its colour does not matter.
        """
        picture = self._find(_picture, "page.named.other", {"name": name}, "see")
        deadline = time.monotonic() + PATIENCE
        before: Sequence[int] = []
        changes = 0
        while changes < CHANGES or (camera is not None and _camera_of(before) is not camera):
            if time.monotonic() > deadline:
                raise Missing(f"{self.name} does not see {name}'s picture move")
            self.page.wait_for_timeout(2 * LOOK_EVERY)
            now: Sequence[int] = picture.evaluate(PIXELS)
            changes += sum(abs(one - other) for one, other in zip(before, now, strict=False)) > _CHANGED
            before = now

    def _degrees(self, path: str, values: Mapping[str, str]) -> Sequence[re.Pattern[str]]:
        return _degrees(self._words.pattern(path, values))

    def _find(self, way: Way, path: str, values: Mapping[str, str], verb: str) -> Locator:
        named = f" ({', '.join(values.values())})" if values else ""
        return self._await(way, self._degrees(path, values), f"{verb} {path}{named}")

    def _await(self, way: Way, degrees: Sequence[re.Pattern[str]], what: str) -> Locator:
        deadline = time.monotonic() + PATIENCE
        while True:
            found = self._look(way, degrees)
            if found is not None:
                return found
            if time.monotonic() > deadline:
                raise Missing(f"{self.name} finds nothing to {what}: {degrees[0].pattern}")
            self.page.wait_for_timeout(LOOK_EVERY)

    def _look(self, way: Way, degrees: Sequence[re.Pattern[str]]) -> Locator | None:
        """Look once, with a hand that moves: in a call the buttons step back from one that rests."""
        size = self.page.viewport_size or {"width": 0, "height": 0}
        place = (length * random.uniform(0.3, 0.6) for length in (size["width"], size["height"]))
        self.page.mouse.move(*place, steps=2)
        for degree in degrees:
            for frame in self.page.frames:
                try:
                    found = way(frame, degree).filter(visible=True)
                    if found.count():
                        return found.first
                except Error:
                    if not frame.is_detached() and frame in self.page.frames:
                        raise
        return None


def _camera_of(pixels: Sequence[int]) -> Camera | None:
    red, blue = sum(pixels[0::4]), sum(pixels[2::4])
    return None if abs(red - blue) < 25 * len(pixels) / 4 else Camera.RED if red > blue else Camera.BLUE


def _first_line(error: Error) -> str:
    return str(error).partition("\n")[0]
