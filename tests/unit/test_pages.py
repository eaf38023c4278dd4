"""The pages of the manual: each has its place, its blocks are true, and the Chinese ones keep up with the English."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec
from jsonschema_rs import Draft202012Validator
from twisted.trial.unittest import SynchronousTestCase

from acceptance.readme import Block, blocks
from callnet import schemas
from callnet.frames.webhooks import CallAnswered, CallEnded, CallMissed, CallStarted, DeviceEnrolled
from callnet.schemas import (
    DIRECTIONS,
    FROM_GUEST,
    TO_GUEST,
    Schema,
    asyncapi_document,
    openapi_document,
    reference,
    schema_of,
)
from harness import ROOT
from tools.handbook import reference as handbook
from tools.handbook import seed
from tools.handbook.phrases import type_of

DOCS: Final = ROOT / "docs"
PAGES: Final = sorted(DOCS.rglob("*.md"))
EVERYWHERE: Final = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *PAGES]
EVENT: Final = CallStarted | CallAnswered | CallEnded | CallMissed | DeviceEnrolled

_FRAMES: Final = asyncapi_document()["components"]["schemas"]
_BODIES: Final = openapi_document()["components"]["schemas"]


def exact(components: Mapping[str, Schema]) -> dict[str, Schema]:
    """Schemas that allow no field beside those that they have: readers ignore others, and examples have none."""
    return {
        name: {**schema, "additionalProperties": False} if "properties" in schema else schema
        for name, schema in components.items()
    }


def validators() -> Iterator[Draft202012Validator]:
    """The validators of a block: a frame of any direction, a request or an answer of any call, or the seed's."""
    for direction in DIRECTIONS:
        found = schema_of(direction)
        yield Draft202012Validator({**found, "components": {"schemas": exact(found["components"]["schemas"])}})
    bodies = exact(_BODIES)
    for name in bodies:
        if name.endswith(("Request", "Answer")):
            yield Draft202012Validator({**reference(name), "components": {"schemas": bodies}})
    parts = {"components": {"schemas": exact(seed.parts(_BODIES))}}
    for schema in seed.schemas(_FRAMES, _BODIES).values():
        yield Draft202012Validator({**schema, **parts})


VALIDATORS: Final = list(validators())


def is_valid(value: Any) -> bool:
    """True if this is a frame, a request or an answer, or an event of a webhook."""
    return is_event(value) or any(validator.is_valid(value) for validator in VALIDATORS)


def is_event(value: Any) -> bool:
    """True if this is an event of a webhook, with all its fields and no others."""
    try:
        event = msgspec.convert(value, EVENT)
    except msgspec.ValidationError:
        return False
    return bool(msgspec.to_builtins(event) == value)


def contents(page: Path) -> list[str]:
    """The pages that the tables of contents of a page name, as paths below docs/."""
    trees = [block for block in blocks(page) if block.language == "{toctree}"]
    lines = [line.strip() for tree in trees for line in tree.text.splitlines()]
    return [line for line in lines if line and not line.startswith(":")]


def outline(page: Path) -> tuple[list[int], list[Block]]:
    """The levels of a page's headings, and its blocks without the lines on which they are."""
    text = re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
    levels = [len(marks) for marks in re.findall(r"^(#+) ", text, re.MULTILINE)]
    return levels, [Block(0, block.language, block.text) for block in blocks(page)]


class PlaceTests(SynchronousTestCase):
    """Where pages are."""

    def test_every_page_has_its_place(self) -> None:
        """Each page of docs/ is in the table of contents of index.md, once; and it names none that is not there."""
        named = contents(DOCS / "index.md")
        pages = [str(page.relative_to(DOCS).with_suffix("")) for page in PAGES]
        self.assertEqual(sorted(named), sorted(set(pages) - {"index"}))

    def test_every_page_has_a_title(self) -> None:
        """A page begins with a heading of the first level, its only one; contributing.md with that of its source."""
        for page in PAGES:
            if page.name == "contributing.md":
                continue
            levels, _ = outline(page)
            self.assertTrue(page.read_text().startswith("# "), page)
            self.assertEqual(1, levels.count(1), page)


class BlockTests(SynchronousTestCase):
    """The content of blocks."""

    def test_no_block_hides(self) -> None:
        """A block of shell, JSON or TOML is named so, by the one name under which it is looked for."""
        hiding = {"bash", "shell", "console", "shell-session", "zsh", "json5", "jsonc", "ini"}
        for page in EVERYWHERE:
            for block in blocks(page):
                self.assertNotIn(block.language, hiding, f"{page}:{block.line}")
                self.assertFalse(block.language == "" and block.text.startswith("$ "), f"{page}:{block.line}")

    def test_json(self) -> None:
        """Every block of JSON is a frame, a request, an answer, or an event of a webhook, as the schemas have it."""
        checked = 0
        for page in EVERYWHERE:
            for block in (block for block in blocks(page) if block.language == "json"):
                value = json.loads(block.text)
                self.assertTrue(is_valid(value), f"{page}:{block.line}: {block.text}")
                checked += 1
        self.assertGreater(checked, 100)

    def test_what_is_wrong_is_found(self) -> None:
        """A frame with a field too many or too few, or an event with one, is none."""
        for value in (
            {"type": "call", "to_phone": "13800138000"},
            {"type": "call_success", "to_phone": "1", "to_device_id": "2", "room_id": "5" * 32, "pages": ""},
            {"event": "device_enrolled", "id": "1", "at": 1.0, "phone": "1", "device_id": "2", "more": 3},
            {"anything": 1},
        ):
            self.assertFalse(is_valid(value), value)


def as_base(name: str) -> str:
    """The name of a frame of an extended client among those of base clients."""
    direction, _, kind = name.partition(".")
    return f"{direction.partition('_')[0]}_device.{kind.removeprefix('Extended')}"


def fields_of(name: str) -> set[str]:
    """The fields of a frame besides its ``id``; none if there is no such frame."""
    return set(_FRAMES[name]["properties"]) - {"id"} if name in _FRAMES else set()


class ReferenceTests(SynchronousTestCase):
    """docs/protocol.md and docs/zh/protocol.md."""

    def test_they_are_what_the_structs_say(self) -> None:
        """Both are as they would be made now. ``make schemas`` updates them."""
        for language, place in handbook.PAGES.items():
            kept = (ROOT / place).read_text()
            self.assertEqual(kept, handbook.page(language), f"{place} is not what the structs say; run: make schemas")

    def test_every_string_has_its_words(self) -> None:
        """Whatever the English page says has words in the other language, and the table has no others."""
        for language, path in handbook.TABLES.items():
            words = tomllib.loads(path.read_text())
            table = handbook.table(language)
            handbook.render(handbook.TEMPLATE.read_text(), table)
            self.assertEqual(table.asked, words.keys(), language)
            for english, other in words.items():
                self.assertTrue(other.strip(), english)
                for code in re.findall(r"`[^`]+`|\{\w+\}", english):
                    self.assertIn(code, other, english)

    def test_numbers_with_limits(self) -> None:
        """A number with limits is a whole one only if its schema says so."""
        for kind, name in (("integer", "whole number"), ("number", "number")):
            schema = {"type": kind, "minimum": 0, "maximum": 9}
            self.assertEqual(f"{name} from 0 to 9", type_of(schema, str))

    def test_a_string_without_words(self) -> None:
        """A string that the table does not have is an error, and so is one that it has nothing for."""
        for words in ({}, {"Hello": ""}):
            self.assertRaises(handbook.Untranslated, handbook.render, "# Hello", handbook.Table(words))

    def test_every_frame_and_every_call_is_there(self) -> None:
        """Each frame of the sockets of devices has its paragraph, an extended one if it has fields of its own, and each
        call of the account service.
        """
        template = handbook.TEMPLATE.read_text()
        shown = set(re.findall(r"<!-- frame (\S+) -->", template))
        base = {name for name in _FRAMES if name.startswith(("from_device.", "to_device."))}
        frames = {name for each in DIRECTIONS if each.name.endswith("extended") for name in each.frames().values()}
        new = {name for name in frames if fields_of(name) - fields_of(as_base(name))}
        of_guests = {
            name
            for each in (FROM_GUEST, TO_GUEST)
            for kind, name in zip(each.kinds, each.frames().values(), strict=True)
            if kind.__module__ == "callnet.frames.guest"
        }
        self.assertEqual(shown, base | new | of_guests)
        self.assertEqual(re.findall(r"<!-- http (\S+) -->", template).__len__(), len(list(schemas.calls())))
        self.assertEqual(set(re.findall(r"<!-- http (\S+) -->", template)), {call.path for call in schemas.calls()})

    def test_what_the_seed_names_is_there(self) -> None:
        """Every field of the seed is one of ours, always present except those that a hang-up may leave out."""
        for name, fields in seed.FRAMES.items():
            optional = {"room_id"} if name == "from_device.CallingHangup" else set()
            self.assertLessEqual(set(fields) - optional, set(_FRAMES[name]["required"]), name)
        for path, (asked, answered) in seed.BODIES.items():
            self.assertLessEqual(set(seed.REQUESTS[path]), set(_BODIES[asked]["required"]), path)
            self.assertLessEqual(set(seed.ANSWERS[path]), set(_BODIES[answered]["required"]), path)


class QuickStartTests(SynchronousTestCase):
    """The first page that anybody reads."""

    def test_it_says_what_readme_says(self) -> None:
        """The commands of the quick start are those of README.md, which ``make acceptance newcomer`` types."""
        shell = [block.text for block in blocks(DOCS / "quick-start.md") if block.language == "sh"]
        self.assertEqual(shell, [block.text for block in blocks(ROOT / "README.md") if block.language == "sh"])

    def test_both_languages_are_in_step(self) -> None:
        """The Chinese page has the headings and the blocks of the English one, in the same order."""
        self.assertEqual(outline(DOCS / "quick-start.md"), outline(DOCS / "zh" / "quick-start.md"))


class FiguresTests(SynchronousTestCase):
    """docs/sizing.md."""

    def test_what_was_measured_is_below(self) -> None:
        """On either machine that ``make bench`` was run on, each thing took less than one is told to plan with."""
        plan = dict(re.findall(r"^\| (.+?) \| ([0-9]+) \|$", (DOCS / "sizing.md").read_text(), re.MULTILINE))
        for name in ("latest", "amd-epyc"):
            measured = figures((ROOT / "bench" / "results" / f"{name}.txt").read_text())
            self.assertEqual(measured.keys(), plan.keys())
            for what, most in plan.items():
                self.assertLessEqual(measured[what], float(most), f"{name}: {what}")


def figures(text: str) -> dict[str, float]:
    """The figures of a run of ``make bench``, by the words of docs/sizing.md; of more than one process the most."""
    alone, tls, shared = (
        text.split("callnet : Autobahn")[1],
        text.split("Node over TLS\n")[1],
        text.split("Redis : callnet")[1],
    )
    return {
        "CPU of a whole call, µs": _figure(alone, "CPU of a whole call"),
        "CPU of a whole call, over TLS, µs": _figure(tls, "CPU of a whole call"),
        "CPU of a connection, µs": _figure(alone, "CPU of a connection"),
        "CPU of a connection, with its TLS handshakes, µs": _figure(tls, "CPU of a connection"),
        "CPU of a login of a known device, µs": _figure(alone, "CPU of a login"),
        "memory of an idle socket, KiB": _figure(alone, "memory of an idle socket"),
        "memory of an idle socket, over TLS, KiB": _figure(tls, "memory of an idle socket"),
        "CPU of a whole call, all nodes together, µs": _most(shared, "CPU of a whole call"),
        "CPU of a connection, all nodes together, µs": _most(shared, "CPU of a connection"),
        "… and of Redis for a call, µs": _most(shared, "beside it: CPU of Redis for a call"),
        "… and of Redis for a connection, µs": _most(shared, "beside it: CPU of Redis for a connection"),
    }


def _row(text: str, name: str) -> list[float]:
    line = re.findall(rf"^{re.escape(name)}[^\n]*?(?:µs|KiB)\s+([0-9][^\n]*|–[^\n]*)$", text, re.MULTILINE)[0]
    return [float(cell) for cell in line.split() if cell != "–"]


def _figure(text: str, name: str) -> float:
    return _row(text, name)[0]


def _most(text: str, name: str) -> float:
    return max(_row(text, name))


class IncidentTests(SynchronousTestCase):
    """docs/incidents.md."""

    def test_every_alert_has_its_paragraph(self) -> None:
        """Each alert has a paragraph that says what to do."""
        alerts = set(re.findall(r"alert: (\w+)", (ROOT / "etc" / "callnet-alerts.yml").read_text()))
        named = set(re.findall(r"^## .*\(`(\w+)`\)$", (DOCS / "incidents.md").read_text(), re.MULTILINE))
        self.assertEqual(alerts, named)
