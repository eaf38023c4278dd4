"""The page's connection alone: two of them in one page, which exchange their messages."""

from __future__ import annotations

from functools import partial
from typing import Any, Final

from twisted.internet.defer import Deferred

from tests.browser.case import BrowserCase
from tests.browser.continuity import wait_until
from tests.browser.stage import Stage
from tests.browser.visitor import Visitor

_CONNECT: Final = """async () => {
    const { Connection } = await import("/static/demo/connection.js");
    // A track of one colour, which changes its brightness all the time.
    window.paint = (hue) => {
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [160, 90];
        const context = canvas.getContext("2d");
        setInterval(() => {
            context.fillStyle = `hsl(${hue}, 100%, ${45 + 10 * Math.random()}%)`;
            context.fillRect(0, 0, 160, 90);
        }, 50);
        return canvas.captureStream(20).getVideoTracks()[0];
    };
    const sides = { offerer: {}, answerer: {} };
    const show = (side, name) => (stream) => {
        side[name] = side[name] || Object.assign(document.createElement("video"), { muted: true });
        side[name].srcObject = stream;
        side[name].play().catch(() => {});
    };
    for (const [name, other] of [["offerer", "answerer"], ["answerer", "offerer"]]) {
        const side = sides[name];
        side.heard = [];
        const handlers = {
            say: (data) => setTimeout(() => sides[other].connection.hear(JSON.parse(JSON.stringify(data)))),
            isDue: () => true,
            changed: () => {},
            expected: () => {},
            picture: show(side, "picture"),
            screen: show(side, "screen"),
            heard: (note) => side.heard.push(note),
            verified: () => {},
            dropped: () => {},
        };
        const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
        stream.addTrack(window.paint(name === "offerer" ? 0 : 120));
        const iceServers = [];
        side.connection = new Connection({ offers: name === "offerer", stream, iceServers, handlers });
    }
    sides.answerer.connection.begin();
    window.sides = sides;
}"""

_HUE: Final = """([side, name]) => {
    const video = window.sides[side][name];
    if (!video || !video.videoWidth) return "";
    const canvas = document.createElement("canvas");
    [canvas.width, canvas.height] = [1, 1];
    const context = canvas.getContext("2d");
    context.drawImage(video, 0, 0, 1, 1);
    const [red, green, blue] = context.getImageData(0, 0, 1, 1).data;
    if (Math.max(red, green, blue) < 60) return "black";
    return ["red", "green", "blue"][[red, green, blue].indexOf(Math.max(red, green, blue))];
}"""

_MEASURED: Final = """async (side) => {
    const { connection } = window.sides[side];
    return { ...(await connection.stats()), quality: connection.quality };
}"""
_DESCRIPTIONS: Final = "window.connections.map(({ localDescription }) => localDescription.sdp)"

HUES: Final = {"red": 0, "green": 120, "blue": 240}
_USE: Final = "([side, kind, hue]) => window.sides[side].connection.use(kind, hue === null ? null : window.paint(hue))"


class ConnectionTests(BrowserCase):
    """Both sides of a connection."""

    def connect(self, stage: Stage) -> Visitor:
        """A page with both, through which media flows."""
        stage.has_sound = True
        visitor = stage.visitor(stage.browser(None))
        visitor.visit()
        visitor.page.evaluate(_CONNECT)
        for side in ("offerer", "answerer"):
            wait_until(visitor, partial(visitor.page.evaluate, f"window.sides.{side}.connection.flowing"), "media")
        return visitor

    def use(self, visitor: Visitor, side: str, kind: str, colour: str | None) -> None:
        """Let a side send a picture of this colour as its camera or screen."""
        visitor.page.evaluate(_USE, [side, kind, None if colour is None else HUES[colour]])

    def await_hue(self, visitor: Visitor, side: str, picture: str, colour: str) -> None:
        """Wait until a side sees a picture of this colour."""
        wait_until(visitor, lambda: visitor.page.evaluate(_HUE, [side, picture]) == colour, f"{colour} for {side}")

    def test_connection(self) -> Deferred[None]:
        """Two sides send each other pictures, sound and notes, and go on over another RTCPeerConnection."""

        def story(stage: Stage) -> None:
            visitor = self.connect(stage)
            self.stats(visitor)
            self.sound_first(visitor)
            self.notes(visitor)
            self.tracks(visitor)
            self.tracks_of_a_new_connection(visitor)

        return self.play(story)

    def stats(self, visitor: Visitor) -> None:
        """Both sides measure sent and received media."""
        for side in ("offerer", "answerer"):
            numbers: dict[str, Any] = {}

            def is_measured(side: str = side, numbers: dict[str, Any] = numbers) -> bool:
                numbers.update(visitor.page.evaluate(_MEASURED, side))
                is_flowing = numbers.get("bitsIn") and numbers.get("fps") and numbers["bitsOut"] > 10_000
                return bool(is_flowing and numbers["rtt"] < 5_000 and numbers["quality"] == "good")

            wait_until(visitor, is_measured, "numbers")
            self.assertEqual((numbers["path"], numbers["pathRemote"]), ("host", "host"))
            self.assertEqual((numbers["width"], numbers["height"]), (160, 90))
            self.assertEqual(numbers["codecAudio"], "opus")
            self.assertIn(numbers["codecVideo"], ("VP8", "VP9", "H264", "AV1"))

    def sound_first(self, visitor: Visitor) -> None:
        """Sound goes before the pictures."""
        priorities = """window.connections.map((peer) => peer.getTransceivers()
            .map(({ sender }) => sender.getParameters().encodings[0]?.priority))"""
        expected = [["high", "low", "low"]] * 2
        wait_until(visitor, lambda: visitor.page.evaluate(priorities) == expected, "the priorities")

    def notes(self, visitor: Visitor) -> None:
        """A note arrives unchanged, and an invalid one is dropped."""
        notes = [{"kind": "chat", "text": "你好"}, {"kind": "greeting"}, {"kind": "state"}, {"kind": "bye"}]
        for note in notes:
            visitor.page.evaluate("(note) => window.sides.answerer.connection.tell(note)", note)
        heard = "window.sides.offerer.heard"
        wait_until(visitor, lambda: len(visitor.page.evaluate(heard)) == 2, "the notes")
        self.assertEqual(visitor.page.evaluate(heard), [notes[0], notes[3]])

    def tracks(self, visitor: Visitor) -> None:
        """Either side changes its camera and shares a screen beside it, and nothing is negotiated for that."""
        self.await_hue(visitor, "answerer", "picture", "red")
        self.await_hue(visitor, "offerer", "picture", "green")
        before = visitor.page.evaluate(_DESCRIPTIONS)
        self.use(visitor, "answerer", "screen", "blue")
        self.await_hue(visitor, "offerer", "screen", "blue")
        self.use(visitor, "offerer", "screen", "green")
        self.await_hue(visitor, "answerer", "screen", "green")
        self.use(visitor, "answerer", "camera", "red")
        self.use(visitor, "offerer", "camera", "blue")
        self.await_hue(visitor, "offerer", "picture", "red")
        self.await_hue(visitor, "answerer", "picture", "blue")
        self.await_hue(visitor, "offerer", "screen", "blue")
        self.use(visitor, "answerer", "screen", None)
        self.assertEqual(visitor.page.evaluate(_DESCRIPTIONS), before)

    def tracks_of_a_new_connection(self, visitor: Visitor) -> None:
        """Tracks of a broken RTCPeerConnection are also sent over its replacement."""
        self.use(visitor, "answerer", "screen", "blue")
        self.use(visitor, "answerer", "camera", "green")
        self.use(visitor, "offerer", "camera", "green")
        self.await_hue(visitor, "offerer", "screen", "blue")
        for side in ("offerer", "answerer"):
            visitor.page.evaluate(f"window.sides.{side}.screen = window.sides.{side}.picture = null")
        visitor.page.evaluate("window.connections.at(-1).close()")
        self.await_hue(visitor, "offerer", "screen", "blue")
        self.await_hue(visitor, "offerer", "picture", "green")
        self.await_hue(visitor, "answerer", "picture", "green")
