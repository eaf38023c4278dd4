"""The six emoji that two people compare (docs/verification.md), on two pages."""

from __future__ import annotations

import json
from itertools import product
from typing import Any, Final

from twisted.internet.defer import Deferred

from callnet_client.emoji import EMOJI
from callnet_client.verification import SIGNS, Code, Fingerprints, commitment
from harness import ROOT
from tests.browser.camera import Camera
from tests.browser.case import BrowserCase
from tests.browser.comparing import LATE, Comparing
from tests.browser.layout import faults, settle
from tests.browser.stage import Stage
from tests.browser.visitor import Visitor

VECTORS: Final = json.loads((ROOT / "tests" / "unit" / "verification_vectors.json").read_text(encoding="utf-8"))
SCREENS: Final = ((1920, 1080), (1366, 768), (390, 844), (844, 390))
KINDS: Final = ("commit", "nonce", "reveal")
OURS: Final = Fingerprints(offerer=b"o" * 32, answerer=b"a" * 32)

_COMPUTE: Final = """async ({codes, descriptions}) => {
    const { commitment, codeOf, fingerprintIn } = await import("/static/demo/verification.js");
    const { EMOJI } = await import("/static/demo/emoji.js");
    const { firstWords } = await import("/static/shared/words.js");
    const { emojiNames } = await firstWords();
    const computed = await Promise.all(codes.map(async (vector) => {
        const fingerprints = { offerer: vector.offerer_fingerprint, answerer: vector.answerer_fingerprint };
        const code = await codeOf(fingerprints, vector.offerer_nonce, vector.answerer_nonce);
        return {
            ...vector,
            commitment: await commitment(fingerprints, vector.offerer_nonce),
            code,
            signs: code.map((number) => EMOJI[number]).join(" "),
            english: code.map((number) => emojiNames[number]).join(", "),
        };
    }));
    const read = descriptions.map((vector) => {
        try {
            return { ...vector, fingerprint: fingerprintIn(vector.lines.map((line) => line + "\\r\\n").join("")) };
        } catch (error) {
            return { ...vector, fingerprint: null };
        }
    });
    return { codes: computed, descriptions: read };
}"""

_RUN: Final = """async (cases) => {
    const { Verification } = await import("/static/demo/verification.js");
    const play = async ({ offers, notes, fingerprints }) => {
        const [codes, said] = [[], []];
        let read = fingerprints;
        const [ours, theirs] = offers ? ["offerer", "answerer"] : ["answerer", "offerer"];
        const run = new Verification({ offers, handlers: {
            fingerprints: async () => ({ ours: read[ours], theirs: read[theirs] }),
            say: (note) => said.push(note.kind),
            changed: () => codes.push(run.code),
        } });
        run.begin();
        await run.recheck();
        const heard = [];
        for (const note of notes) {
            read = note?.described ?? read;
            if (note?.described) await run.recheck();
            else heard.push(run.hear(note));
        }
        await run.recheck();
        return { state: run.state, code: run.code, codes, said, heard };
    };
    return Promise.all(cases.map(play));
}"""
"""Plays one side of each run, to which all notes come at once; `described` is a new description instead of a note."""


_PANEL: Final = """async (states) => {
    const { VerificationPanel } = await import("/static/demo/verification_panel.js");
    const { firstWords } = await import("/static/shared/words.js");
    const panel = new VerificationPanel(() => {});
    const words = await firstWords();
    let call = { flowedAt: 1, verification: null };
    return states.map((state) => {
        if (state === "another call") call = { flowedAt: 1, verification: null };
        else call.verification = { state, code: state === "shown" ? [0, 1, 2, 3, 4, 5] : null };
        panel.show({ call }, words);
        const drawer = document.getElementById("verification-drawer");
        const isHidden = document.getElementById("verification-code").hidden;
        return [drawer.classList.contains("broken"), !isHidden];
    });
}"""
"""Shows a panel the runs of a call, one after the other: whether it warns, and whether it shows a code."""


def note(kind: str, value: Any) -> dict[str, Any]:
    """A note of one of the kinds."""
    return {"kind": kind, "hash" if kind == "commit" else "nonce": value}


def hexed(fingerprints: Fingerprints) -> dict[str, str]:
    """Fingerprints as the page has them."""
    return {"offerer": fingerprints.offerer.hex(), "answerer": fingerprints.answerer.hex()}


class RuleTests(BrowserCase):
    """The rules of the page's script and its reading of notes: the same as callnet_client/verification.py."""

    def test_rules(self) -> Deferred[None]:
        """The script computes and decides as Python does."""

        def story(stage: Stage) -> None:
            visitor = stage.visitor(stage.browser(None))
            visitor.visit()
            for act in (self.vectors, self.order, self.malformed, self.new_descriptions, self.a_warning_stays):
                act(visitor)

        return self.play(story)

    def results(self, visitor: Visitor, cases: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Play one side of a run for each case. Nothing may break loudly."""
        found: list[dict[str, Any]] = visitor.page.evaluate(_RUN, cases)
        return found

    def a_warning_stays(self, visitor: Visitor) -> None:
        """A run that was broken is warned of for the rest of its call, whatever another connection comes to."""
        states = ["pending", "shown", "broken", "pending", "shown", "another call", "shown"]
        calm, code, warning = [False, False], [False, True], [True, False]
        self.assertEqual(
            [calm, code, warning, warning, warning, calm, code],
            visitor.page.evaluate(_PANEL, states),
        )

    def vectors(self, visitor: Visitor) -> None:
        """Commitments, codes, names and fingerprints come out as in Python."""
        self.assertEqual(VECTORS, visitor.page.evaluate(_COMPUTE, VECTORS))

    def order(self, visitor: Visitor) -> None:
        """Only the right order of up to four notes leads to a code; later notes are ignored."""
        first, second = b"1" * 32, b"2" * 32
        notes = {
            "commit": note("commit", commitment(OURS, first).hex()),
            "nonce": note("nonce", second.hex()),
            "reveal": note("reveal", first.hex()),
        }
        rights = {True: ("nonce",), False: ("commit", "reveal")}
        orders = [order for length in range(5) for order in product(KINDS, repeat=length)]
        runs = [(offers, order) for offers in (True, False) for order in orders]
        cases = [
            {"offers": offers, "notes": [notes[kind] for kind in order], "fingerprints": hexed(OURS)}
            for offers, order in runs
        ]
        for (offers, order), result in zip(runs, self.results(visitor, cases), strict=True):
            right = rights[offers]
            is_right = order[: len(right)] == right
            is_open = order == right[: len(order)]
            expected = "shown" if is_right else "pending" if is_open else "broken"
            self.assertEqual(expected, result["state"], (offers, order))
            self.assertEqual(is_right, result["code"] is not None)
            self.assertLessEqual(len(result["codes"]), 1)
            if is_right:
                self.assertEqual(["commit", "reveal"] if offers else ["nonce"], result["said"])

    def malformed(self, visitor: Visitor) -> None:
        """A note of these kinds that is not as it has to be breaks the run; others have nothing to do with it."""
        values: tuple[Any, ...] = (
            "",
            "0" * 63,
            "0" * 65,
            "0" * 63 + "g",
            "A" * 64,
            "0" * 64 + "\n",
            None,
            5,
            ["0" * 64],
            {},
        )
        others: tuple[Any, ...] = (None, 5, "commit", [], {}, {"kind": None}, {"kind": "bye"}, {"kind": ["commit"]})
        bad = [(kind == "nonce", note(kind, value)) for kind in ("nonce", "commit") for value in values]
        good = [(offers, other) for offers in (True, False) for other in others]
        cases = [{"offers": offers, "notes": [said], "fingerprints": hexed(OURS)} for offers, said in (*bad, *good)]
        results = self.results(visitor, cases)
        self.assertEqual([("broken", [True])] * len(bad), [(r["state"], r["heard"]) for r in results[: len(bad)]])
        self.assertEqual([("pending", [False])] * len(good), [(r["state"], r["heard"]) for r in results[len(bad) :]])

    def new_descriptions(self, visitor: Visitor) -> None:
        """An ICE restart keeps the code; one that brings another certificate takes it back, for good."""
        nonce = note("nonce", "22" * 32)
        same, other = {"described": hexed(OURS)}, {"described": hexed(Fingerprints(OURS.offerer, b"m" * 32))}
        orders = [[nonce, same], [nonce, other], [other, nonce], [nonce, other, same, nonce]]
        cases = [{"offers": True, "notes": notes, "fingerprints": hexed(OURS)} for notes in orders]
        kept, *lost = self.results(visitor, cases)
        self.assertEqual("shown", kept["state"])
        self.assertEqual([("broken", None)] * 3, [(result["state"], result["code"]) for result in lost])


def pair(stage: Stage) -> tuple[Comparing, Comparing]:
    """Two people who are connected; one reads English and one Chinese."""
    red = stage.visitor(stage.browser(Camera.RED), "en-US")
    blue = stage.visitor(stage.browser(Camera.BLUE), "zh-CN")
    for visitor in (red, blue):
        visitor.enter(stage.room)
    for visitor in (red, blue):
        visitor.await_state("connected")
    return Comparing(red), Comparing(blue)


class ComparingTests(BrowserCase):
    """Two people compare."""

    def assert_same(self, red: Comparing, blue: Comparing) -> Code:
        """Both see the same code, each with the names of their language."""
        for one in (red, blue):
            one.open()
        code = red.code
        self.assertEqual(SIGNS, len(code))
        self.assertEqual(code, blue.code)
        self.assertEqual([EMOJI[number].english for number in code], red.names)
        self.assertEqual([EMOJI[number].chinese for number in code], blue.names)
        return code

    def test_comparing(self) -> Deferred[None]:
        """Two people compare, after an interruption, too, and after a reload."""

        def story(stage: Stage) -> None:
            red, blue = pair(stage)
            self.the_same_on_both_pages(red, blue)
            self.restart(stage, red, blue)
            self.another_one_after_a_reload(red, blue)
            self.looks(red, blue)
            self.panel(red, blue)

        return self.play(story)

    def the_same_on_both_pages(self, red: Comparing, blue: Comparing) -> None:
        """Both pages show the same six emoji."""
        self.assertFalse(red.is_open)
        self.assert_same(red, blue)
        self.assertIn("no one is listening in", red.text)
        self.assertIn("没有人在中间偷听", blue.text)

    def restart(self, stage: Stage, red: Comparing, blue: Comparing) -> None:
        """After an interruption on the same connection the code is still the same."""
        before = red.code
        with stage.asleep(Camera.BLUE):
            red.visitor.await_state("reconnecting")
            red.visitor.wait(3_000)  # longer than a connection may heal by itself
        for one in (red, blue):
            one.visitor.await_state("connected")
            one.visitor.await_movement()  # who slept shows at first what was shown before
            self.assertEqual(1, one.visitor.page.evaluate("window.connections.length"))
        self.assertEqual(before, self.assert_same(red, blue))
        self.assertNotIn("again", red.text)

    def another_one_after_a_reload(self, red: Comparing, blue: Comparing) -> None:
        """A reload brings others, the same on both again, and says so."""
        before = red.code
        for reloaded, other in ((red, blue), (blue, red)):
            reloaded.visitor.page.reload()
            for one in (red, blue):
                one.visitor.await_state("connected")
            other.visitor.await_that(
                "(signs) => !['', signs].includes("
                "Array.from(document.querySelectorAll('#verification-code .sign'), (e) => e.textContent).join())",
                ",".join(EMOJI[number].sign for number in before),
            )
            after = self.assert_same(red, blue)
            self.assertNotEqual(before, after)
            self.assertIn("again" if other is red else "再核对", other.text)
            self.assertNotIn("again" if reloaded is red else "再核对", reloaded.text)
            before = after

    def looks(self, red: Comparing, blue: Comparing) -> None:
        """On every screen and in both languages the panel is whole, in view, and covers nothing that matters."""
        for one in (red, blue):
            page = one.visitor.page
            one.open()
            for width, height in SCREENS:
                page.set_viewport_size({"width": width, "height": height})
                settle(page)
                self.assertEqual([], faults(page), (width, height))

    def panel(self, red: Comparing, blue: Comparing) -> None:
        """It opens and closes by its button, by Escape, and by arrows and OK; it ends with the call."""
        page = red.visitor.page
        page.keyboard.press("Escape")
        red.open()
        page.keyboard.press("Enter")  # the focused element closes it
        self.assertFalse(red.is_open)
        self.assertEqual("more", red.visitor.focused)
        red.visitor.stay_awake()
        page.keyboard.press("Enter")
        while red.visitor.focused != "verify":
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
        self.assertTrue(red.is_open)
        page.keyboard.press("Escape")
        self.assertFalse(red.is_open)
        self.assertEqual("more", red.visitor.focused)
        red.open()
        blue.visitor.press("hangup")
        red.visitor.await_state("ended")
        self.assertFalse(red.is_open)

    def test_late_description(self) -> Deferred[None]:
        """A connection that is there before the page has the answer is no reason for a warning."""

        def story(stage: Stage) -> None:
            red, blue = stage.pair()
            for visitor in (red, blue):
                visitor.page.add_init_script(LATE)
                visitor.enter(stage.room)
            for one in (Comparing(red), Comparing(blue)):
                one.visitor.await_state("connected")
                one.open()
                self.assertEqual(SIGNS, len(one.code))

        return self.play(story)
