"""The dashboard's reading of callnet's metrics: its modules that need no browser, run by Node.js."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from twisted.trial.unittest import SynchronousTestCase

from callnet.ops.metrics import (
    Family,
    Sample,
    as_text,
    of_certificate,
    of_numbers,
    of_sockets,
    of_times,
    of_unfinished,
)
from callnet.util.histogram import Histogram
from harness import ROOT
from tests.support.node import run

MODULES: Final = ROOT / "callnet" / "dashboard"

_READ: Final = """({ numbersIn }, text) => Array.from(numbersIn(text), ([name, samples]) =>
    [name, samples.map(({ labels, value }) => [labels, String(value)])])"""

_LOOK: Final = """async ({ History }, [exposition, looks]) => {
    const { numbersIn } = await import(exposition);
    const history = new History();
    for (const [at, text] of looks) history.add(at, numbersIn(text));
    return { ...history.now, past: history.past("calls") };
}"""

_ORDER: Final = """({ inOrder }, [keys, items]) => Array.from(inOrder(keys, new Map(items)).keys())"""

_SAY: Final = """(words, [language, name, values]) => {
    globalThis.document = { documentElement: { lang: language } };
    Object.defineProperty(globalThis, "navigator", { value: { languages: [language] } });
    return values.map((value) => words[name](value));
}"""


def counted(
    placed: int = 0,
    answered: int = 0,
    failed: Mapping[str, int] | None = None,
    lag: Iterable[float] = (),
    frames: int = 0,
) -> bytes:
    """The page ``/metrics`` with these counts."""
    took = Histogram()
    for seconds in lag:
        took.count(seconds)
    families = [
        of_sockets({"device": 12, "page": 3}),
        of_unfinished({"ringing": 2, "active": 5}),
        Family("callnet_calls_placed", "help", [Sample("", placed)]),
        Family("callnet_calls_answered", "help", [Sample("", answered)]),
        Family("callnet_calls_failed", "help", [Sample(*each) for each in (failed or {}).items()], "reason"),
        of_numbers("callnet_frames_received", "help", "kind", {"device": frames, "page": 0}),
        of_numbers("callnet_frames_sent", "help", "kind", {"device": 0, "page": 0}),
        of_numbers("callnet_sockets_closed", "help", "code", {4408: placed}),
        of_times("callnet_loop_lag_seconds", "help", took),
    ]
    return as_text(families)


class ReadingTests(SynchronousTestCase):
    """Prometheus' text."""

    def read(self, text: str) -> dict[str, Any]:
        """The samples by name, their values as JavaScript writes them."""
        return dict(run(MODULES / "exposition.js", _READ, text))

    def test_what_callnet_writes(self) -> None:
        """Counters, gauges and histograms come with their labels and values."""
        samples = self.read(counted(7, 5, {"busy": 2}, [0.003]).decode())
        self.assertEqual(samples["callnet_sockets"], [[{"kind": "device"}, "12"], [{"kind": "page"}, "3"]])
        self.assertEqual(samples["callnet_calls_placed_total"], [[{}, "7"]])
        self.assertEqual(samples["callnet_calls_failed_total"], [[{"reason": "busy"}, "2"]])
        buckets = [(labels["le"], value) for labels, value in samples["callnet_loop_lag_seconds_bucket"]]
        self.assertEqual(buckets[:3], [("0.001", "0"), ("0.0025", "0"), ("0.005", "1")])
        self.assertEqual(buckets[-1], ("+Inf", "1"))
        self.assertEqual(samples["callnet_loop_lag_seconds_count"], [[{}, "1"]])

    def test_what_others_may_write(self) -> None:
        """Escapes, exponents, infinities and times are read; comments and invalid samples are skipped."""
        lines = (
            *("# HELP a What it is.", "", 'a{b="x\\"y\\\\n\\nz",c="}"} 1.5e3 1700000000', "a +Inf", "<html>", "e NaN"),
            "f -Inf",
        )
        expected = {"a": [[{"b": 'x"y\\n\nz', "c": "}"}, "1500"], [{}, "Infinity"]], "e": [[{}, "NaN"]]}
        self.assertEqual(self.read("\n".join(lines)), {**expected, "f": [[{}, "-Infinity"]]})


class FigureTests(SynchronousTestCase):
    """Recent figures."""

    def look(self, *looks: tuple[float, bytes]) -> dict[str, Any]:
        """The figures after looks at these times, in seconds."""
        given = [(MODULES / "exposition.js").as_uri(), [(1e9 + at, text.decode()) for at, text in looks]]
        figures: dict[str, Any] = run(MODULES / "figures.js", _LOOK, given)
        return figures

    def test_the_first_look(self) -> None:
        """A single look shows the present state, and neither rates nor times."""
        figures = self.look((0, counted(100, 50, {"busy": 9}, [0.003] * 5)))
        self.assertEqual((figures["devices"], figures["pages"]), (12, 3))
        self.assertEqual((figures["unfinished"], figures["ringing"], figures["active"]), (7, 2, 5))
        for name in ("calls", "answered", "failed", "lag", "database", "redis", "certificate"):
            self.assertIsNone(figures[name], name)
        self.assertEqual((figures["reasons"], figures["closed"], figures["hasRedis"]), ([], [], False))

    def test_certificate(self) -> None:
        """Somebody should look after the certificate from when its expiry is near."""
        now, day = datetime.fromtimestamp(1e9, UTC), timedelta(days=1)
        for near, is_near in ((now + day, False), (now, True)):
            figures = self.look((0, as_text(list(of_certificate(now + 5 * day, near)))))
            self.assertEqual((figures["certificate"], figures["mustRenew"]), (5, is_near))

    def test_rates(self) -> None:
        """Rates are those between two looks, scaled to a minute."""
        figures = self.look(
            (0, counted(100, 50, {"busy": 9})), (2, counted(101, 51, {"busy": 10, "offline": 4}, frames=30))
        )
        self.assertEqual((figures["calls"], figures["failed"], figures["received"]), (30, 150, 15))
        self.assertEqual(figures["reasons"], [["offline", 4], ["busy", 1]])
        self.assertEqual((figures["answered"], figures["rang"]), (1, 1))
        self.assertEqual(figures["closed"], [["4408", 1]])

    def test_the_last_minute(self) -> None:
        """Rates are of the last minute, answers of the last five, and nothing is of the time before."""
        looks = [(at, counted(placed=at, answered=at // 2)) for at in range(0, 601, 20)]
        figures = self.look(*looks, (620, counted(placed=720, answered=300)))
        self.assertEqual(figures["calls"], 40 + 120)
        self.assertEqual((figures["rang"], figures["answered"]), (280 + 120, 140 / 400))

    def test_the_past(self) -> None:
        """The last five minutes are drawn, the oldest first."""
        looks = [(at, counted(placed=at * 2)) for at in range(0, 601, 20)]
        past: Sequence[tuple[float, float]] = self.look(*looks)["past"]
        self.assertEqual([ago for ago, _ in past], list(range(280, -1, -20)))
        self.assertEqual({value for _, value in past}, {120})

    def test_a_restart(self) -> None:
        """A counter that falls means that callnet was restarted; earlier values are not used."""
        figures = self.look((0, counted(100)), (2, counted(101)), (4, counted(1)), (6, counted(2)))
        self.assertEqual((figures["calls"], figures["rang"]), (30, 1))
        self.assertIsNone(self.look((0, counted(100)), (2, counted(1)))["calls"])

    def test_a_clock_that_was_put_back(self) -> None:
        """Looks whose time does not rise are as a restart."""
        self.assertIsNone(self.look((10, counted(1)), (5, counted(2)))["calls"])

    def test_quantiles(self) -> None:
        """Times are those of the last minute alone, and lie evenly in their bucket."""
        before = [4.0] * 100
        figures = self.look((0, counted(lag=before)), (2, counted(lag=[*before, *[0.002] * 90, *[0.04] * 10])))
        self.assertAlmostEqual(figures["lag"], 0.025 + 0.025 * 9 / 10)

    def test_no_times(self) -> None:
        """Without calls there is no time, and a time above all bounds counts as the last of them."""
        self.assertIsNone(self.look((0, counted(lag=[1])), (2, counted(lag=[1])))["lag"])
        self.assertEqual(self.look((0, counted()), (2, counted(lag=[70])))["lag"], 5)


class WordTests(SynchronousTestCase):
    """The format of numbers and times."""

    def say(self, name: str, *values: float | None, language: str = "en-US") -> list[str]:
        """The results of a function of ``format.js`` for these values, with spaces of one kind."""
        said: list[str] = run(MODULES / "format.js", _SAY, [language, name, values])
        return [" ".join(text.split()) for text in said]

    def test_numbers(self) -> None:
        """Numbers are whole, and short when they are great; rates below ten have a decimal."""
        self.assertEqual(self.say("count", 0, 1234.4, 99_999, 1_234_567, None), ["0", "1,234", "99,999", "1.2M", "–"])
        self.assertEqual(self.say("rate", 0, 0.25, 9.96, 12.3, None), ["0", "0.3", "10", "12", "–"])
        self.assertEqual(self.say("percent", 0.914, 1, None), ["91%", "100%", "–"])

    def test_times(self) -> None:
        """Short times are in milliseconds, long ones as on a clock."""
        self.assertEqual(self.say("duration", 0.0042, 0.042, 2.5, None), ["4.2ms", "42ms", "2.5s", "–"])
        self.assertEqual(self.say("running", 7.9, 754, 3723), ["0:07", "12:34", "1:02:03"])
        said = self.say("ago", 9.9, 61, 7200, 360_000)
        self.assertEqual(said, ["9 sec. ago", "1 min. ago", "2 hr. ago", "4 days ago"])

    def test_a_language(self) -> None:
        """They are written as in the page's language."""
        self.assertEqual(self.say("count", 1234, 1_234_567, language="de-DE"), ["1.234", "1,2 Mio."])
        self.assertEqual(self.say("percent", 0.914, language="de-DE"), ["91 %"])
        self.assertEqual(self.say("duration", 0.0042, language="ru-RU"), ["4,2 мс"])
        self.assertEqual(self.say("ago", 61, language="ar-EG"), ["قبل دقيقة واحدة"])


class ListTests(SynchronousTestCase):
    """Long lists."""

    def order(self, shown: Sequence[str], items: Sequence[str]) -> list[str]:
        """The rows that are shown of items, the newest first, after these."""
        keys: list[str] = run(MODULES / "lists.js", _ORDER, [shown, [(item, {}) for item in items]])
        return keys

    def test_rows_stay_where_they_are(self) -> None:
        """Rows keep their order, whatever the workers' clocks say; new ones come first."""
        self.assertEqual(self.order(["c", "a", "b"], ["new", "a", "b"]), ["new", "a", "b"])
        self.assertEqual(self.order(["b", "a"], ["a", "b"]), ["b", "a"])

    def test_a_hundred_rows(self) -> None:
        """At most a hundred are shown: the same ones at each look, but for new ones; others fill places behind them."""
        many = [str(number) for number in range(250)]
        self.assertEqual(self.order([], many), many[:100])
        self.assertEqual(self.order(many[:100], many), many[:100])
        self.assertEqual(self.order(many[:100], ["new", *many]), ["new", *many[:99]])
        self.assertEqual(self.order(many[:100], many[1:]), many[1:101])
