"""The manual's sequence diagrams: their syntax, the drawing, and that they are true."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path
from typing import Final
from xml.etree import ElementTree as ET

from twisted.trial.unittest import SynchronousTestCase

from acceptance.readme import blocks
from callnet import schemas
from callnet.accounts.links import link_id_of
from callnet.accounts.validation import secret_hash
from callnet.schemas import DIRECTIONS
from callnet.storage.links import SqlLinks, StoredLink
from callnet.storage.schema import LINK_SECRET_LENGTH
from harness import ROOT
from tests.support.account_fixture import ServiceFixture
from tests.support.immediate import run_at_once
from tests.support.played import GUEST, PHONES, SERVER, Player
from tests.support.quiet import QuietTestCase
from tests.support.wires import World
from tools.handbook.drawing import columns, draw, width_of
from tools.handbook.sequence import Arrow, Break, Diagram, Malformed, Note, read

PAGES: Final = sorted((ROOT / "docs").rglob("*.md"))
STORIES: Final = ROOT / "docs" / "how-a-call-works.md"
TEXT: Final = """Television, callnet, Phone
Television -> callnet: call | to Phone
callnet --> Phone: called
note Phone: it rings
note Television, Phone: both
== later ==
Television <-> Phone: sound
"""


def diagrams(page: Path) -> list[Diagram]:
    """All diagrams of a page."""
    return [read(block.text) for block in blocks(page) if block.language == "sequence"]


class ReadingTests(SynchronousTestCase):
    """The meaning of a text."""

    def test_steps(self) -> None:
        """Messages, answers, notes and time that goes by, in order."""
        self.assertEqual(
            read(TEXT),
            Diagram(
                ["Television", "callnet", "Phone"],
                [
                    Arrow(0, 1, "call", "to Phone"),
                    Arrow(1, 2, "called", kind="-->"),
                    Note(2, 2, "it rings"),
                    Note(0, 2, "both"),
                    Break("later"),
                    Arrow(0, 2, "sound", kind="<->"),
                ],
            ),
        )

    def test_what_is_none(self) -> None:
        """A line that is not understood, a stranger, a message to oneself, or a name twice is an error."""
        for text in ("A, B\nA => B: x", "A, B\nA -> C: x", "A, B\nA -> A: x", "A, A\n", "A, B\nnote C: x", "A, B\nx"):
            self.assertRaises(Malformed, read, text)


class DrawingTests(SynchronousTestCase):
    """The drawing."""

    def test_it_is_a_picture_with_words(self) -> None:
        """The picture is well formed, has a name for those who do not see it, and every word of the text."""
        figure = ET.fromstring(draw(read(TEXT), "A <call>"))  # noqa: S314
        [picture] = figure
        self.assertEqual("A <call>", picture.get("aria-label"))
        words = {text.text for text in picture.iter("text")}
        self.assertEqual(
            words,
            {"Television", "callnet", "Phone", "call", "to Phone", "called", "it rings", "both", "later", "sound"},
        )

    def test_labels_have_room(self) -> None:
        """Each label of an arrow has room between the two lines that it joins, in every diagram of the manual."""
        for page in PAGES:
            for diagram in diagrams(page):
                at = columns(diagram)
                for step in diagram.steps:
                    if isinstance(step, Arrow):
                        room = abs(at[step.head] - at[step.tail])
                        self.assertGreater(room, max(width_of(step.text), width_of(step.more, 12)), (page, step))

    def test_nothing_is_outside(self) -> None:
        """Participants stand side by side, and no rectangle or text leaves the picture."""
        for page in PAGES:
            for diagram in diagrams(page):
                at = columns(diagram)
                for (left, right), (a, b) in zip(pairwise(at), pairwise(diagram.participants), strict=True):
                    self.assertGreater(right - left, (width_of(a) + width_of(b)) / 2)
                picture = ET.fromstring(draw(diagram, "x"))[0]  # noqa: S314
                _, _, width, height = map(float, str(picture.get("viewBox")).split())
                for box in picture.iter("rect"):
                    left, top = float(box.get("x", 0)), float(box.get("y", 0))
                    self.assertGreaterEqual(left, 0, page)
                    self.assertLessEqual(left + float(box.get("width", 0)), width + 1, (page, diagram.participants))
                    self.assertLessEqual(top + float(box.get("height", 0)), height)

    def test_colours_are_the_pages(self) -> None:
        """No colour is in the picture, so that it goes with dark and light; the style sheet names Furo's."""
        self.assertIsNone(re.search(r"#[0-9a-f]{3}|rgb|fill=|stroke=", draw(read(TEXT), "x")))
        sheet = (ROOT / "docs" / "_static" / "manual.css").read_text()
        for line in re.findall(r"figure\.sequence.*", sheet):
            for colour in re.findall(r"(?:fill|stroke): ([^;]+);", line):
                self.assertRegex(colour, r"^(var\(--color-[a-z-]+\)|none)$")


class TruthTests(QuietTestCase):
    """The diagrams are true."""

    def test_messages_are_messages(self) -> None:
        """Whatever is said to callnet or by it is a message of the protocol, or a request that is served."""
        spoken = {
            by_server: {tag for each in DIRECTIONS if each.by_server is by_server for tag in each.frames()}
            for by_server in (True, False)
        }
        paths = {call.path for call in schemas.calls()} | {"/socket.io?token=TOKEN"}
        for page in PAGES:
            for diagram in diagrams(page):
                for step in (step for step in diagram.steps if isinstance(step, Arrow) and step.kind == "->"):
                    tail, head = diagram.participants[step.tail], diagram.participants[step.head]
                    method, _, path = step.text.partition(" ")
                    if method in ("POST", "GET"):
                        self.assertIn(path, paths, page)
                    elif SERVER in (tail, head) and "Your gateway" not in (tail, head):
                        self.assertIn(step.text, spoken[tail == SERVER], page)

    def guest(self, world: World) -> str:
        """The token of a guest by a link to the phone of all others."""
        fixture = ServiceFixture()
        self.addCleanup(fixture.database.close)
        world.guests = fixture.guests
        secret = "s" * LINK_SECRET_LENGTH
        link_id = link_id_of(secret_hash(secret))
        link = StoredLink(link_id, PHONES[1], secret, "Door", True, None, None, None, 0.0)
        self.successResultOf(SqlLinks(fixture.database, run_at_once).make(link, 1, 0.0))
        return fixture.guests.tokens.enter(secret, "Eve").guest_token

    def test_they_are_played(self) -> None:
        """Devices and pages with the messages of a diagram hear the answers in it, and nothing else."""
        stories = diagrams(STORIES)
        played = 0
        for diagram in stories:
            if any(isinstance(step, Arrow) and re.match("GET|POST", step.text) for step in diagram.steps):
                continue
            world = World()
            guest = self.guest(world) if GUEST in diagram.participants else ""
            Player(world, diagram, guest).play()
            world.stop()
            played += 1
        self.assertEqual(played, len(stories) - 2)
