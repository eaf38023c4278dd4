"""The JavaScript client without a page: what frames mean for the call that a device is in (static/client/calls.js)."""

from __future__ import annotations

from typing import Any, Final

from twisted.internet.defer import Deferred

from tests.browser.case import BrowserCase
from tests.browser.stage import Stage
from tests.browser.visitor import Visitor

ROOM: Final = "a" * 32
OTHER_ROOM: Final = "b" * 32
PAGE: Final = "/static/demo/direct_chat.html?room_id="
DOUBT: Final = 1_200
"""Milliseconds after which a call that the server did not mention is not waited for any more."""

_PLAY: Final = """async ([isExtended, steps]) => {
    const { Calls } = await import("/static/client/calls.js");
    const said = [], changes = [];
    const note = ({ state, reason, isOwnEnd, isForgotten }) => changes.push(
        [state, reason, isOwnEnd ? "own" : "", isForgotten ? "forgotten" : ""].filter(Boolean).join(" "));
    const calls = new Calls((frame) => said.push(frame), note);
    calls.connected(isExtended);
    for (const [step, ...given] of steps) {
        if (step === "wait") await new Promise((done) => setTimeout(done, given[0]));
        else if (["accept", "refuse", "hangUp"].includes(step)) calls.present[step]();
        else calls[step](...given);
    }
    const { present } = calls;
    return { said, changes, present: present && { ...present } };
}"""

CALLED: Final = {"type": "called", "from_phone": "2", "from_device_id": "tv", "room_id": ROOM, "expires_in": 45}
SUCCESS: Final = {"type": "call_success", "to_phone": "2", "to_device_id": "tv", "room_id": ROOM, "page": PAGE + ROOM}
HANGUP: Final = {"type": "calling_hangup", "notified_phone": "2", "notified_device_id": "tv", "room_id": ROOM}
BE_HANGUP: Final = {"type": "calling_be_hangup", "fire_phone": "2", "fire_device_id": "tv", "room_id": ROOM}
VIEW: Final = {"room_id": ROOM, "peer_phone": "2", "peer_device_id": "tv", "page": PAGE + ROOM, "started_at": 1}


class CallsTests(BrowserCase):
    """A device, and what it believes, is told and says."""

    def try_out(self, *steps: Any, extended: bool = True) -> Any:
        """Play steps one after the other: what a person does (``accept``), what the server says (``hear``)."""
        outcome: Any = self.visitor.page.evaluate(_PLAY, [extended, list(steps)])
        return outcome

    def see(self, *trials: Any) -> Deferred[None]:
        """Open a page of the site, and try things out there."""

        def story(stage: Stage) -> None:
            self.visitor: Visitor = stage.visitor(stage.browser(None))
            self.visitor.visit()
            for trial in trials:
                trial()

        return self.play(story)

    def test_answers(self) -> Deferred[None]:
        """A call goes from calling over ringing to active and over, and only the answer to this very call counts."""

        def accepted() -> None:
            ringing = {"type": "call_ringing", "to_phone": "2", "to_device_id": "*", "room_id": ROOM, "id": "call-1"}
            over = {**BE_HANGUP, "reason": "connection_lost"}
            steps = (["place", "2", "*"], ["hear", ringing], ["hear", {**SUCCESS, "id": "call-1"}], ["hear", over])
            outcome = self.try_out(*steps)
            self.assertEqual(outcome["changes"], ["calling", "ringing", "active", "over connection_lost"])
            self.assertEqual(outcome["said"], [{"type": "call", "to_phone": "2", "to_device_id": "*", "id": "call-1"}])
            self.assertIsNone(outcome["present"])

        def another() -> None:
            failed = {"type": "call_failed", "to_phone": "2", "to_device_id": "tv", "reason": "busy", "id": "call-1"}
            outcome = self.try_out(["place", "2", "tv"], ["place", "2", "tv"], ["hear", failed])
            self.assertEqual(outcome["changes"], ["calling", "over cancelled own", "calling"])
            outcome = self.try_out(["place", "2", "tv"], ["hear", {**failed, "to_phone": "3", "id": "x"}])
            self.assertEqual(outcome["changes"], ["calling"])

        def base() -> None:
            bare = {"type": "call_refuse", "to_phone": "2", "to_device_id": "tv"}
            outcome = self.try_out(["place", "2", "tv"], ["hear", bare], extended=False)
            self.assertEqual(outcome["changes"], ["calling", "over refused"])
            self.assertNotIn("id", outcome["said"][0])

        return self.see(accepted, another, base)

    def test_ringing(self) -> Deferred[None]:
        """Who is rung accepts or refuses, and says so again to a server that has not heard it."""

        def accept() -> None:
            outcome = self.try_out(["hear", CALLED], ["accept"], ["hear", CALLED])
            self.assertEqual(outcome["changes"], ["ringing", "active"])
            answer = {"type": "called_success", "from_phone": "2", "from_device_id": "tv", "room_id": ROOM}
            self.assertEqual(outcome["said"], [answer, answer])

        def refuse() -> None:
            outcome = self.try_out(["hear", CALLED], ["refuse"], ["hear", CALLED])
            self.assertEqual(outcome["changes"], ["ringing", "over refused own"])
            answer = {"type": "called_refuse", "from_phone": "2", "from_device_id": "tv", "room_id": ROOM}
            self.assertEqual(outcome["said"], [answer, answer])

        def call_back() -> None:
            outcome = self.try_out(["hear", CALLED], ["place", "2", "*"])
            self.assertEqual(outcome["changes"], ["ringing", "active"])
            self.assertEqual([frame["type"] for frame in outcome["said"]], ["called_success"])

        def cross() -> None:
            outcome = self.try_out(["place", "3", "tv"], ["hear", CALLED])
            self.assertEqual(outcome["changes"], ["calling"])

        def too_late() -> None:
            outcome = self.try_out(["hear", CALLED], ["hear", {**BE_HANGUP, "reason": "answered_elsewhere"}])
            self.assertEqual(outcome["changes"], ["ringing", "over answered_elsewhere"])

        return self.see(accept, refuse, call_back, cross, too_late)

    def test_ends_stay(self) -> Deferred[None]:
        """What the device has ended it ends again whenever the server speaks of it as if it went on."""

        def active() -> None:
            view = {**VIEW, "state": "active", "direction": "incoming"}
            outcome = self.try_out(["hear", CALLED], ["accept"], ["hangUp"], ["welcomed", view])
            self.assertEqual(outcome["changes"][-1], "over hangup own")
            self.assertEqual(outcome["said"][-2:], [HANGUP, HANGUP])

        def taken_back() -> None:
            view = {**VIEW, "state": "ringing", "direction": "outgoing"}
            outcome = self.try_out(["place", "2", "tv"], ["hangUp"], ["welcomed", view], ["hear", SUCCESS])
            self.assertEqual(outcome["changes"], ["calling", "over cancelled own"])
            self.assertEqual(outcome["said"][-3:], [{**HANGUP, "room_id": ""}, HANGUP, HANGUP])

        return self.see(active, taken_back)

    def test_beginning_anew(self) -> Deferred[None]:
        """A program that begins anew takes up the call that the server names, and one that it remembers by itself."""

        def named() -> None:
            for direction in ("incoming", "outgoing"):
                view = {**VIEW, "state": "active", "direction": direction, "answered_at": 5}
                outcome = self.try_out(["welcomed", view])
                self.assertEqual((outcome["changes"], outcome["present"]["roomId"]), (["active"], ROOM))
                self.assertEqual(outcome["present"]["answeredAt"], 5_000)
            outcome = self.try_out(
                ["welcomed", {**VIEW, "state": "ringing", "direction": "outgoing"}], ["hear", SUCCESS]
            )
            self.assertEqual(outcome["changes"], ["ringing", "active"])

        def remembered() -> None:
            peer = {"phone": "2", "deviceId": "tv"}
            kept = {"direction": "incoming", "peer": peer, "roomId": ROOM, "page": PAGE + ROOM, "answeredAt": 5_000}
            view = {**VIEW, "state": "active", "direction": "incoming"}
            outcome = self.try_out(["resume", kept], ["welcomed", view])
            self.assertEqual((set(outcome["changes"]), outcome["present"]["answeredAt"]), ({"active"}, 5_000))

        def answered_unasked() -> None:
            outcome = self.try_out(["hear", SUCCESS], extended=False)
            self.assertEqual((outcome["changes"], outcome["present"]["roomId"]), (["active"], ROOM))

        return self.see(named, remembered, answered_unasked)

    def test_a_server_that_has_forgotten(self) -> Deferred[None]:
        """Of a call that the server does not mention it may still say the end; else it is over, if no media flows."""

        def rings() -> None:
            for begin in (["place", "2", "tv"], ["hear", CALLED]):
                outcome = self.try_out(begin, ["welcomed"], ["wait", DOUBT])
                self.assertEqual(outcome["changes"][-1], "over forgotten")

        def ends() -> None:
            refuse = {"type": "call_refuse", "to_phone": "2", "to_device_id": "tv", "reason": "refused"}
            outcome = self.try_out(["place", "2", "tv"], ["welcomed"], ["hear", refuse], ["wait", DOUBT])
            self.assertEqual(outcome["changes"], ["calling", "over refused"])

        def goes_on() -> None:
            outcome = self.try_out(["hear", CALLED], ["accept"], ["welcomed"], ["wait", DOUBT], ["hangUp"])
            self.assertEqual(outcome["changes"][2:], ["active forgotten", "over hangup own forgotten"])

        return self.see(rings, ends, goes_on)

    def test_the_other_side(self) -> Deferred[None]:
        """What becomes of the other side is told, and goes with the call; what is about another call is not taken."""

        def moves() -> None:
            state = {"type": "peer_state", "room_id": ROOM, "state": "reconnecting"}
            begin = (["hear", CALLED], ["accept"])
            self.assertEqual(self.try_out(*begin, ["hear", state])["present"]["otherSide"], "reconnecting")
            moved = {**state, "state": "moved", "device_id": "phone"}
            present = self.try_out(*begin, ["hear", state], ["hear", moved])["present"]
            self.assertEqual((present["otherSide"], present["peer"]["deviceId"]), ("here", "phone"))

        def another() -> None:
            elsewhere = {**BE_HANGUP, "room_id": OTHER_ROOM}
            outcome = self.try_out(["hear", CALLED], ["accept"], ["hear", elsewhere])
            self.assertEqual(outcome["changes"], ["ringing", "active"])

        return self.see(moves, another)
