"""The metrics: as Prometheus reads them, and the sums of several nodes."""

from __future__ import annotations

from datetime import UTC, datetime

from prometheus_client.parser import text_string_to_metric_families
from twisted.trial.unittest import SynchronousTestCase

from callnet.model import Reason
from callnet.ops.metrics import (
    Family,
    Sample,
    as_text,
    counters,
    of_build,
    of_calls,
    of_certificate,
    of_events,
    of_media,
    of_readiness,
    of_sockets,
    of_times,
    of_turn,
    total,
)
from callnet.ops.readiness import DRAINING, Check, report_of
from callnet.util.histogram import Histogram

ONE = [*of_calls(7, 4, {Reason.BUSY: 2}, {Reason.HANGUP: 3}), of_sockets({"device": 5, "page": 1})]
OTHER = [*of_calls(1, 1, {Reason.BUSY: 1, Reason.OFFLINE: 9}, {}), of_sockets({"device": 2, "page": 0})]


def read(text: bytes) -> dict[tuple[str, str], float]:
    """The numbers in a text, by their name and the value of their label."""
    return {
        (sample.name, "".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text.decode())
        for sample in family.samples
    }


class TextTests(SynchronousTestCase):
    """The text that Prometheus reads."""

    def test_every_number_is_there(self) -> None:
        """Every number is there under its name, and with its reason or kind."""
        self.assertEqual(
            read(as_text(ONE)),
            {
                ("callnet_calls_placed_total", ""): 7,
                ("callnet_calls_answered_total", ""): 4,
                ("callnet_calls_failed_total", "busy"): 2,
                ("callnet_calls_ended_total", "hangup"): 3,
                ("callnet_sockets", "device"): 5,
                ("callnet_sockets", "page"): 1,
            },
        )

    def test_build(self) -> None:
        """Workers of one version show it once, those of two versions both."""
        first, next_ = [of_build("1.0.0")], [of_build("1.1.0rc1")]
        self.assertEqual(read(as_text(total([first, first]))), {("callnet_build_info", "1.0.0"): 1})
        both = {("callnet_build_info", "1.0.0"): 1.0, ("callnet_build_info", "1.1.0rc1"): 1.0}
        self.assertEqual(read(as_text(total([first, next_]))), both)

    def test_turn(self) -> None:
        """Credentials are counted by kind of client, and so are those that nobody got."""
        self.assertEqual(
            read(as_text(of_turn({"device": 3, "page": 2}, {"device": 0, "page": 1}))),
            {
                ("callnet_turn_credentials_total", "device"): 3,
                ("callnet_turn_credentials_total", "page"): 2,
                ("callnet_turn_credentials_refused_total", "device"): 0,
                ("callnet_turn_credentials_refused_total", "page"): 1,
            },
        )

    def test_certificate(self) -> None:
        """The time at which the certificate expires is a time of day, and the same for all workers."""
        times = list(of_certificate(datetime(2028, 4, 4, tzinfo=UTC), datetime(2028, 4, 1, tzinfo=UTC)))
        self.assertEqual(
            read(as_text(total([times, times]))),
            {
                ("callnet_certificate_expiry_seconds", ""): 1838419200,
                ("callnet_certificate_near_expiry_seconds", ""): 1838160000,
            },
        )

    def test_times(self) -> None:
        """Times are counted by bounds, each of which has those below it too, and added up as well."""
        took = Histogram((0.1, 1.0))
        for seconds in (0.1, 0.2, 7.0):
            took.count(seconds)
        family = of_times("took_seconds", "How long.", took)
        self.assertEqual(
            read(as_text(total([[family], [family]]))),
            {
                ("took_seconds_bucket", "0.1"): 2,
                ("took_seconds_bucket", "1.0"): 4,
                ("took_seconds_bucket", "+Inf"): 6,
                ("took_seconds_count", ""): 6,
                ("took_seconds_sum", ""): 14.6,
            },
        )
        self.assertEqual(counters([family]), [family])

    def test_media(self) -> None:
        """Times that differ by how media goes have bounds of their own for each way, those of no page included."""
        took = {"host": Histogram((0.5,)), "relay": Histogram((0.5,))}
        for seconds in (0.25, 0.75):
            took["host"].count(seconds)
        text = as_text(total([of_media(took.items(), 1, 0, 0), of_media(took.items(), 3, 1, 2)]))
        name = "callnet_media_setup_seconds"
        self.assertEqual(
            read(text),
            {
                (f"{name}_bucket", "0.5host"): 2,
                (f"{name}_bucket", "+Infhost"): 4,
                (f"{name}_count", "host"): 4,
                (f"{name}_sum", "host"): 2.0,
                (f"{name}_bucket", "0.5relay"): 0,
                (f"{name}_bucket", "+Infrelay"): 0,
                (f"{name}_count", "relay"): 0,
                (f"{name}_sum", "relay"): 0,
                ("callnet_media_setup_failed_total", ""): 4,
                ("callnet_media_setup_failed_without_relay_total", ""): 1,
                ("callnet_media_setup_failed_relay_unreachable_total", ""): 2,
            },
        )
        self.assertIn(f'{name}_bucket{{le="0.5",path="host"}} 2.0\n'.encode(), text)

    def test_labels_have_names(self) -> None:
        """A label that tells numbers of one name apart has a name itself."""
        text = as_text(ONE).decode()
        self.assertIn('callnet_calls_failed_total{reason="busy"} 2.0\n', text)
        self.assertIn('callnet_sockets{kind="device"} 5.0\n', text)

    def test_what_only_grows_is_a_counter(self) -> None:
        """A value that only grows is a counter, and any other a gauge."""
        text = as_text(ONE).decode()
        self.assertIn("# TYPE callnet_calls_placed_total counter\n", text)
        self.assertIn("# TYPE callnet_sockets gauge\n", text)


class ReadinessTests(SynchronousTestCase):
    """The checks of readiness."""

    def shown(self, checks: dict[str, bool], workers: dict[str, dict[str, bool]] | None = None) -> dict[str, float]:
        """The samples of a report; of a parent's if there are workers, by their numbers, that answer."""

        def checked(each: dict[str, bool]) -> dict[str, Check]:
            return {name: Check(passes) for name, passes in each.items()}

        answered = {number: report_of(checked(each)) for number, each in (workers or {}).items()}
        return {sample.label: sample.value for sample in of_readiness(report_of(checked(checks), answered)).samples}

    def test_each_check(self) -> None:
        """Each check is shown, whether it passes or not."""
        checks = {"listeners": True, "database": True, "redis": False}
        self.assertEqual(self.shown(checks), {"listeners": 1, "database": 1, "redis": 0})

    def test_workers(self) -> None:
        """A check passes if it does in all workers, and that of the workers themselves if all answer."""
        well, ill = ({"listeners": True, "redis": passes} for passes in (True, False))
        parent = {"listeners": True, "worker 1": False, "worker 2": True}
        self.assertEqual(self.shown(parent, {"1": ill, "2": well}), {"listeners": 1, "worker": 1, "redis": 0})
        self.assertEqual(self.shown(parent, {"2": well}), {"listeners": 1, "worker": 0, "redis": 1})

    def test_a_stop(self) -> None:
        """During a stop there are none: it is no fault, and may take long."""
        draining = {"listeners": Check(False, DRAINING), "database": Check(True)}
        self.assertEqual(of_readiness(report_of(draining)).samples, [])


class SumTests(SynchronousTestCase):
    """The sums of several nodes."""

    def test_numbers_with_the_same_label_are_added(self) -> None:
        """Numbers with the same name and label are added; those of only one node are kept."""
        self.assertEqual(
            read(as_text(total([ONE, OTHER]))),
            {
                ("callnet_calls_placed_total", ""): 8,
                ("callnet_calls_answered_total", ""): 5,
                ("callnet_calls_failed_total", "busy"): 3,
                ("callnet_calls_failed_total", "offline"): 9,
                ("callnet_calls_ended_total", "hangup"): 3,
                ("callnet_sockets", "device"): 7,
                ("callnet_sockets", "page"): 1,
            },
        )

    def test_a_family_stays_what_it_is(self) -> None:
        """A sum is of the same kind as its parts, of which there may be none."""
        self.assertEqual(total([ONE]), ONE)
        self.assertEqual(total([]), [])
        self.assertEqual(total([ONE, []]), ONE)

    def test_counters_can_be_told_from_the_rest(self) -> None:
        """Counters can be told from the rest: they count even if the node is gone."""
        gauge, counter = Family("g", "", [Sample("", 1)], kind="gauge"), Family("c", "", [Sample("", 1)])
        self.assertEqual(counters([gauge, counter]), [counter])

    def test_shared(self) -> None:
        """A value that all nodes share is not added up: the greatest of them is shown."""
        [summed] = total([[of_events(3, 1)], [of_events(2, 4)], []])
        self.assertEqual(of_events(3, 4).samples, sorted(summed.samples, key=lambda sample: sample.label != "waiting"))
