"""The page's handling of numbers and of notes: its modules that need no browser, run by Node.js."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from harness import ROOT
from tests.support.node import run

MODULES: Final = ROOT / "callnet" / "static" / "demo"

EASY: Final[Mapping[str, Any]] = {
    "available": 2_000_000,
    "isLimited": False,
    "lossIn": 0,
    "lossOut": 0,
    "rtt": 40,
    "isReceiving": True,
}
"""Measurements of a good path."""
NARROW: Final = {**EASY, "available": 100_000, "isLimited": True}
LOSSY: Final = {**EASY, "lossOut": 20}

_FOLLOW: Final = """({ newLink, next }, seconds) => {
    let link = newLink();
    return seconds.map((numbers) => {
        link = next(link, numbers);
        return [link.level, link.quality];
    });
}"""

_MEASURE: Final = """({ measure }, [before, now, seconds]) => {
    const report = (stats) => new Map(Object.entries(stats).map(([id, stat]) => [id, { id, ...stat }]));
    return measure(report(now), before && report(before), seconds);
}"""

_GUARD: Final = """({ Watchdog }, steps) => {
    const watchdog = new Watchdog();
    return steps.map(([method, ...given]) => watchdog[method](...given)).filter((said) => said !== undefined);
}"""

_SET_UP: Final = "({ setUp }, cases) => cases.map(([after, waited, numbers]) => setUp(after, waited, numbers, {}))"

_READ: Final = "({ readNote }, notes) => notes.map(readNote)"

DIGITS: Final = "0f" * 32


class LinkTests(SynchronousTestCase):
    """The picture's bit rate over a path, and the quality that is shown."""

    def follow(self, *parts: tuple[Mapping[str, Any], int]) -> Sequence[tuple[int, str, int]]:
        """Level, quality and their duration in seconds, after each of these numbers for its number of seconds."""
        seconds = [numbers for numbers, count in parts for _ in range(count)]
        links = itertools.groupby(map(tuple, run(MODULES / "link.js", _FOLLOW, seconds)))
        return [(*link, len(list(same))) for link, same in links]

    def test_good_path(self) -> None:
        """On a good path the whole picture goes, and so it does where a browser measures nothing."""
        self.assertEqual(self.follow((EASY, 60)), [(0, "good", 60)])
        self.assertEqual(self.follow(({}, 60)), [(0, "good", 60)])

    def test_beginning(self) -> None:
        """A browser that begins with little does not lower the picture."""
        self.assertEqual(self.follow((NARROW, 5), (EASY, 20)), [(0, "good", 25)])

    def test_narrow_path(self) -> None:
        """A path that carries too little gets less picture, as little as fits it, and is called weak."""
        links = self.follow((EASY, 10), (NARROW, 60))
        self.assertEqual([level for level, _, _ in links], sorted(level for level, _, _ in links))
        self.assertEqual(links[-1][:2], (2, "weak"))

    def test_lossy_path(self) -> None:
        """Loss takes the picture down level by level and then away; with the loss gone it comes back, more slowly."""
        links = self.follow((EASY, 10), (LOSSY, 12), (EASY, 60))
        levels = [level for level, _ in itertools.groupby(level for level, _, _ in links)]
        self.assertEqual(levels, [0, 1, 2, 3, 2, 1, 0])
        self.assertEqual(links[-1][:2], (0, "good"))
        self.assertIn((3, "bad"), [link[:2] for link in links])

    def test_hysteresis(self) -> None:
        """A better level that was tried too early is tried again after twice the time."""
        links = self.follow((EASY, 10), (LOSSY, 12), (EASY, 10), (LOSSY, 4), (EASY, 60))
        by_level = [
            (level, sum(count for *_, count in same)) for level, same in itertools.groupby(links, lambda link: link[0])
        ]
        without = [seconds for level, seconds in by_level if level == 3]
        self.assertEqual(len(without), 2)
        self.assertGreaterEqual(without[1], 2 * 10)

    def test_short_trouble(self) -> None:
        """A second of trouble changes nothing; two seconds are shown, and so is the end, some seconds later."""
        self.assertEqual(self.follow((EASY, 10), (LOSSY, 1), (EASY, 10)), [(0, "good", 21)])
        self.assertEqual(
            self.follow((EASY, 10), (LOSSY, 2), (EASY, 10)), [(0, "good", 11), (0, "bad", 4), (0, "good", 7)]
        )

    def test_late_answer(self) -> None:
        """One answer that came late changes nothing, however long the browser tells of it; two on end are shown."""
        on_time = [{**EASY, "trips": number} for number in range(4)]
        late = [{**numbers, "rtt": 600} for numbers in on_time]
        self.assertEqual(self.follow((on_time[0], 10), (late[1], 3), (on_time[2], 10)), [(0, "good", 23)])
        self.assertEqual(
            self.follow((on_time[0], 10), (late[1], 3), (late[2], 3), (on_time[3], 10)),
            [(0, "good", 14), (0, "weak", 5), (0, "good", 7)],
        )

    def test_silence(self) -> None:
        """A connection over which nothing comes is bad, whatever else is measured."""
        links = self.follow((EASY, 10), ({**EASY, "isReceiving": False}, 10))
        self.assertEqual(links, [(0, "good", 11), (0, "bad", 9)])


class MeasureTests(SynchronousTestCase):
    """From the browser's counts to numbers."""

    def test_chromium(self) -> None:
        """Rates and losses are of the time between; the pair in use tells the way."""
        before = {
            "in": {
                "type": "inbound-rtp",
                "kind": "video",
                "bytesReceived": 1_000,
                "packetsLost": 5,
                "packetsReceived": 95,
            },
            "out": {"type": "outbound-rtp", "kind": "video", "bytesSent": 500},
        }
        now = {
            "in": {
                "type": "inbound-rtp",
                "kind": "video",
                "bytesReceived": 126_000,
                "packetsLost": 15,
                "packetsReceived": 185,
                "frameWidth": 640,
                "frameHeight": 360,
                "framesPerSecond": 25,
                "codecId": "c",
            },
            "out": {
                "type": "outbound-rtp",
                "kind": "video",
                "bytesSent": 63_000,
                "qualityLimitationReason": "bandwidth",
            },
            "far": {"type": "remote-inbound-rtp", "kind": "video", "fractionLost": 0.25, "roundTripTime": 0.5},
            "c": {"type": "codec", "mimeType": "video/VP8"},
            "t": {"type": "transport", "selectedCandidatePairId": "p"},
            "p": {
                "type": "candidate-pair",
                "currentRoundTripTime": 0.125,
                "responsesReceived": 17,
                "availableOutgoingBitrate": 90_000,
                "localCandidateId": "l",
                "remoteCandidateId": "r",
            },
            "l": {"type": "local-candidate", "candidateType": "relay"},
            "r": {"type": "remote-candidate", "candidateType": "srflx"},
        }
        numbers = run(MODULES / "measure.js", _MEASURE, [before, now, 2])
        expected = {
            "bitsIn": 500_000,
            "bitsOut": 250_000,
            "lossIn": 10,
            "lossOut": 25,
            "rtt": 125,
            "trips": 17,
            "width": 640,
            "height": 360,
            "fps": 25,
            "codecVideo": "VP8",
            "path": "relay",
            "pathRemote": "srflx",
            "available": 90_000,
            "isLimited": True,
            "isReceiving": True,
        }
        self.assertEqual({name: numbers[name] for name in expected}, expected)
        self.assertIsNone(numbers.get("codecAudio"))

    def test_older_browsers(self) -> None:
        """Values that a browser keeps elsewhere are found there, and missing values are unknown."""
        now = {
            "in": {
                "type": "inbound-rtp",
                "mediaType": "video",
                "bytesReceived": 9,
                "framesDecoded": 60,
                "trackId": "k",
            },
            "k": {"type": "track", "frameWidth": 320, "frameHeight": 180},
            "p": {"type": "candidate-pair", "nominated": True, "localCandidateId": "l", "remoteCandidateId": "r"},
            "l": {"type": "local-candidate", "candidateType": "host"},
        }
        numbers = run(MODULES / "measure.js", _MEASURE, [{}, now, 2])
        self.assertEqual((numbers["width"], numbers["height"], numbers["fps"]), (320, 180, 30))
        self.assertEqual((numbers.get("path"), numbers.get("pathRemote"), numbers.get("rtt")), ("host", None, None))

    def test_screen(self) -> None:
        """The numbers are those of the incoming picture that carries more."""
        lines = {"camera": (640, 1_000), "screen": (1_920, 90_000)}
        now = {
            name: {"type": "inbound-rtp", "kind": "video", "bytesReceived": count, "frameWidth": width}
            for name, (width, count) in lines.items()
        }
        numbers = run(MODULES / "measure.js", _MEASURE, [{}, now, 1])
        self.assertEqual(numbers["width"], 1_920)


class SetUpTests(SynchronousTestCase):
    """The report to the server on how a page became connected."""

    def told(
        self, *cases: tuple[int | None, int | None, Mapping[str, str | None]]
    ) -> Sequence[tuple[str, float] | None]:
        """The reports: milliseconds until media flowed, or until it was given up; and the measured path."""
        return [media and (media["path"], media["seconds"]) for media in run(MODULES / "setup.js", _SET_UP, cases)]

    def test_path(self) -> None:
        """It goes by a relay if either side's is one, else as this side is reached."""
        for path, remote, told in (
            ("host", "host", "host"),
            ("host", "srflx", "host"),
            ("srflx", "host", "srflx"),
            ("prflx", "prflx", "srflx"),
            ("relay", "host", "relay"),
            ("srflx", "relay", "relay"),
            (None, "host", "unknown"),
        ):
            self.assertEqual(self.told((840, None, {"path": path, "pathRemote": remote})), [(told, 0.84)])

    def test_when(self) -> None:
        """The report is sent when the path was measured, and not before, nor while neither has come of it."""
        self.assertEqual(self.told((840, None, {}), (None, None, {}), (None, None, {"path": "host"})), [None] * 3)

    def test_given_up(self) -> None:
        """A page that gave up before media ever flowed tells that; one that gives up later had come to be connected."""
        self.assertEqual(
            self.told((None, 31_000, {}), (840, 31_000, {}), (840, 31_000, {"path": "host"})),
            [("none", 31), None, ("host", 0.84)],
        )

    def test_longest(self) -> None:
        """A time longer than the server accepts is reported as the longest that it accepts."""
        self.assertEqual(
            self.told((None, 7_200_000, {}), (121_000, None, {"path": "host"})), [("none", 120), ("host", 120)]
        )


class WatchdogTests(SynchronousTestCase):
    """When a connection is repaired, and how. Times are milliseconds."""

    def guard(self, *steps: tuple[object, ...]) -> Sequence[str]:
        """The watchdog's answer to each look."""
        said: Sequence[str] = run(MODULES / "watchdog.js", _GUARD, steps)
        return said

    def test_disconnected(self) -> None:
        """A path that the browser misses may heal by itself for two seconds; then another one is looked for."""
        said = self.guard(("misses", 0), ("misses", 1_000), ("look", 1_999, {}), ("look", 2_000, {}))
        self.assertEqual(said, ["", "restart"])
        healed = self.guard(("misses", 0), ("flows",), ("look", 9_000, {}))
        self.assertEqual(healed, [""])

    def test_failed(self) -> None:
        """A failed connection is restarted at once, and a closed one is replaced."""
        said = self.guard(("look", 0, {"isFailed": True}), ("look", 0, {"isClosed": True}))
        self.assertEqual(said, ["restart", "renew"])

    def test_patience(self) -> None:
        """An attempt that does not succeed is followed by another connection, each time later."""
        said = self.guard(
            ("begin", "restart", 0),
            *(("look", 7_999, {}), ("look", 8_000, {}), ("begin", "renew", 8_000)),
            *(("look", 19_999, {}), ("look", 20_000, {}), ("begin", "renew", 20_000)),
            ("flows",),
            *(("begin", "renew", 50_000), ("look", 57_999, {}), ("look", 58_000, {})),
        )
        self.assertEqual(said, ["", "renew", "", "renew", "", "renew"])

    def test_nothing_yet(self) -> None:
        """A page without a connection asks for one every two seconds."""
        missing = {"isMissing": True}
        said = self.guard(("begin", "renew", 0), ("look", 1_999, missing), ("look", 2_000, missing))
        self.assertEqual(said, ["", "renew"])

    def test_doubt(self) -> None:
        """A silence right after a change of the network is no chance, though the browser still calls it connected."""
        silent, heard = {"flowing": True, "isSilent": True}, {"flowing": True, "isSilent": False}
        said = self.guard(("look", 0, silent), ("doubt", 0), ("look", 1_000, heard), ("look", 2_000, silent))
        self.assertEqual(said, ["", "", "restart"])
        late = self.guard(("doubt", 0), ("look", 5_000, silent))
        self.assertEqual(late, [""])

    def test_silent_relay(self) -> None:
        """A relay that ends leaves a silence: another path is looked for at once, and only once in each silence."""
        silent = {"flowing": True, "isSilent": True, "isRelayed": True}
        heard = {**silent, "isSilent": False}
        said = self.guard(
            *(("look", 0, heard), ("look", 500, silent), ("begin", "restart", 500), ("look", 9_000, silent)),
            *(("look", 9_500, heard), ("look", 10_000, silent)),
        )
        self.assertEqual(said, ["", "restart", "", "", "restart"])


class NoteTests(SynchronousTestCase):
    """The notes that are accepted from the other page."""

    def test_notes(self) -> None:
        """Notes of the known kinds come through with their fields."""
        notes = (
            '{"kind":"bye"}',
            '{"kind":"state","muted":true,"camera_off":false,"sharing":false}',
            '{"kind":"state","muted":true,"camera_off":true,"sharing":false,"paused":true}',
            '{"kind":"chat","text":"' + "好" * 2_000 + '"}',
            f'{{"kind":"commit","hash":"{DIGITS}"}}',
            f'{{"kind":"nonce","nonce":"{DIGITS}"}}',
            f'{{"kind":"reveal","nonce":"{DIGITS}"}}',
        )
        kinds = [note and note["kind"] for note in run(MODULES / "notes.js", _READ, notes)]
        self.assertEqual(kinds, ["bye", "state", "state", "chat", "commit", "nonce", "reveal"])

    def test_malformed(self) -> None:
        """Whatever else another program may send is dropped."""
        notes = (
            *("", "{", "null", "[]", '"bye"', "7", "{}", '["bye"]', 7, None),
            *('{"kind":null}', '{"kind":{}}', '{"kind":"constructor"}', '{"kind":"__proto__"}', '{"kind":"greeting"}'),
            *('{"kind":"state"}', '{"kind":"state","muted":1,"camera_off":false,"sharing":false}'),
            '{"kind":"state","muted":true,"camera_off":true,"sharing":false,"paused":1}',
            *('{"kind":"chat"}', '{"kind":"chat","text":""}', '{"kind":"chat","text":["a"]}'),
            *('{"kind":"chat","text":"' + "x" * 2_001 + '"}', '{"kind":"bye","x":"' + "x" * 16_384 + '"}'),
            *('{"kind":"commit","hash":"0f"}', f'{{"kind":"nonce","nonce":"{DIGITS.upper()}"}}'),
            f'{{"kind":"reveal","nonce":"{DIGITS}\\n"}}',
        )
        self.assertEqual(run(MODULES / "notes.js", _READ, notes), [None] * len(notes))
