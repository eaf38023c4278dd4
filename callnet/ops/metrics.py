"""Metrics in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Literal, TypeAlias

from msgspec import Struct
from msgspec.structs import replace
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector
from twisted.internet.defer import Deferred

from callnet.calls.records import Active, Ringing
from callnet.model import Reason
from callnet.ops.admin_api import AdminCommand, AdminResult
from callnet.ops.ice import Recipient
from callnet.ops.readiness import Report
from callnet.util.histogram import Histogram

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""The content type of :func:`as_text`."""
SOCKETS: Final = "callnet_sockets"
"""The name of :func:`of_sockets`."""
SUM: Final = "sum"
"""The label of the sum of all values of a histogram."""


Kind: TypeAlias = Literal["counter", "gauge", "histogram"]


class Sample(Struct, frozen=True, array_like=True):
    """One number."""

    label: str
    """The value of the family's label; empty if the family has none."""
    value: float


class Family(Struct, frozen=True, array_like=True):
    """Numbers of one kind."""

    name: str
    """For a counter without the ``_total`` that Prometheus wants after it."""
    help: str
    samples: Sequence[Sample]
    label: str = ""
    """The name of the label that tells the samples apart, if there is one."""
    kind: Kind = "counter"
    """A counter only grows, a gauge shows the present value. Of a histogram the labels of the samples are the
    bounds, and :data:`SUM`; if it has a label itself, the value of that, a space, and one of these."""
    shared: bool = False
    """True if all nodes share it: each of them shows the whole value."""


def of_number(name: str, help_: str, number: float, kind: Kind = "counter", shared: bool = False) -> Family:
    """One number."""
    return Family(name, help_, [Sample("", number)], kind=kind, shared=shared)


def of_numbers(name: str, help_: str, label: str, numbers: Mapping[Any, float], kind: Kind = "counter") -> Family:
    """Numbers by what tells them apart, such as a status or a kind of sockets, in order."""
    return Family(name, help_, [Sample(str(value), number) for value, number in sorted(numbers.items())], label, kind)


def of_build(version: str) -> Family:
    """The version of callnet; nodes that are restarted one after the other may have two."""
    samples = [Sample(version, 1)]
    what = "Always 1, labelled with the version of callnet."
    return Family("callnet_build_info", what, samples, "version", "gauge", shared=True)


def of_readiness(report: Report) -> Family:
    """The checks of readiness: 1 if one passes, in each worker if there are any.

    During a stop there are none: whoever stops callnet knows, and it may take long.
    """
    passes: dict[str, bool] = {}
    if not report.is_draining:
        for each in (report, *report.workers.values()):
            for name, check in each.checks.items():
                kind, _, number = name.partition(" ")  # "worker 2" fails by itself only without a report of its own
                passes[kind] = passes.get(kind, True) and (check.ok or number in report.workers)
    return of_numbers("callnet_ready", "1 for a check of readiness that passes, otherwise 0.", "check", passes, "gauge")


def of_calls(placed: int, answered: int, failed: Mapping[Reason, int], ended: Mapping[Reason, int]) -> Sequence[Family]:
    """The outcomes of calls on this node since it started: the failed ones by what the callers here were told."""
    what = "Calls that failed or were refused, whether or not they rang."
    return (
        of_number("callnet_calls_placed", "Calls that started ringing.", placed),
        of_number("callnet_calls_answered", "Calls that were answered.", answered),
        of_numbers("callnet_calls_failed", what, "reason", failed),
        of_numbers("callnet_calls_ended", "Calls that ended after they started ringing.", "reason", ended),
    )


def of_unfinished(calls: Mapping[str, int]) -> Family:
    """The calls in progress, by state."""
    numbers = {state.word: calls.get(state.word, 0) for state in (Ringing, Active)}
    return of_numbers("callnet_calls", "Calls in progress: ringing or active.", "state", numbers, "gauge")


def of_sockets(sockets: Mapping[str, int]) -> Family:
    """The open sockets, by kind of client."""
    return of_numbers(SOCKETS, "Open WebSockets.", "kind", sockets, "gauge")


def of_events(waiting: int, dead: int) -> Family:
    """The webhook events that were not delivered."""
    samples = [Sample("waiting", waiting), Sample("dead", dead)]
    what = "Webhook events that wait for delivery or were given up."
    return Family("callnet_webhook_events", what, samples, "state", kind="gauge", shared=True)


def of_log(dropped: int) -> Family:
    """The log lines that were never written."""
    what = "Log lines dropped because the reader was stopped or too slow."
    return of_number("callnet_log_lines_dropped", what, dropped)


def of_certificate(expires: datetime, near_expiry: datetime) -> Iterator[Family]:
    """The expiry of the certificate, and the time from which it is near."""
    for name, what, when in (
        ("expiry", "Expiry of the certificate of the TLS listeners", expires),
        ("near_expiry", "Time from which that is near", near_expiry),
    ):
        help_text = f"{what}, in seconds since 1970."
        yield of_number(f"callnet_certificate_{name}_seconds", help_text, when.timestamp(), "gauge", shared=True)


def of_orders(outcomes: Mapping[str, int]) -> Family:
    """The orders of certificates."""
    numbers = {outcome: outcomes.get(outcome, 0) for outcome in ("done", "failed")}
    return of_numbers("callnet_certificate_orders", "Orders of a certificate by ACME, by outcome.", "outcome", numbers)


def of_turn(given: Mapping[Recipient, int], refused: Mapping[Recipient, int]) -> Sequence[Family]:
    """TURN credentials issued and refused, by recipient."""
    what = "TURN credentials refused because an address requested too many."
    return (
        of_numbers("callnet_turn_credentials", "TURN credentials issued.", "to", given),
        of_numbers("callnet_turn_credentials_refused", what, "to", refused),
    )


RELAY: Final = "callnet_relay"
"""The name of the first of :func:`of_relay`."""


def of_relay(states: Sequence[str], state: str, restarts: int) -> Sequence[Family]:
    """The state of the relay that callnet runs, one of these, and its restarts."""
    samples = [Sample(each, each == state) for each in states]
    return (
        Family(RELAY, "1 for the state of the supervised relay, otherwise 0.", samples, "state", "gauge"),
        of_number("callnet_relay_restarts", "Attempts to start the relay again.", restarts),
    )


def of_times(name: str, help_: str, took: Histogram) -> Family:
    """A histogram of durations in seconds."""
    samples = [Sample(repr(bound), number) for bound, number in took.buckets()]
    return Family(name, help_, [*samples, Sample(SUM, took.sum)], kind="histogram")


MEDIA_SETUP: Final = "callnet_media_setup_seconds"
WITHOUT_RELAY: Final = "callnet_media_setup_failed_without_relay"
RELAY_UNREACHABLE: Final = "callnet_media_setup_failed_relay_unreachable"
"""Names of :func:`of_media`."""


def of_media(
    took: Iterable[tuple[str, Histogram]], failed: int, without_relay: int, relay_unreachable: int
) -> Sequence[Family]:
    """The time until media flowed, by path, and the pages that gave up.

    :param without_relay: how many of those that failed had no relay.
    :param relay_unreachable: how many of them had one that did not answer.
    """
    what = "Time until media flowed, as reported by pages, by path."
    samples = [
        Sample(f"{path} {sample.label}", sample.value)
        for path, times in took
        for sample in of_times("", "", times).samples
    ]
    return (
        Family(MEDIA_SETUP, what, samples, "path", kind="histogram"),
        of_number("callnet_media_setup_failed", "Pages that gave up before media flowed.", failed),
        of_number(WITHOUT_RELAY, "Pages that gave up before media flowed and had no TURN server.", without_relay),
        of_number(
            RELAY_UNREACHABLE,
            "Pages that gave up before media flowed and to which no TURN server answered.",
            relay_unreachable,
        ),
    )


def counters(of: Iterable[Family]) -> Sequence[Family]:
    """Those that only ever grow."""
    return [family for family in of if family.kind != "gauge"]


def total(nodes: Iterable[Sequence[Family]]) -> Sequence[Family]:
    """The sums of the same families of several nodes; of what they share the greatest that one of them shows."""
    shapes: dict[str, Family] = {}
    sums: dict[str, dict[str, float]] = {}
    for family in (family for node in nodes for family in node):
        shapes.setdefault(family.name, family)
        summed = sums.setdefault(family.name, {})
        for sample in family.samples:
            before = summed.get(sample.label, 0)
            summed[sample.label] = max(before, sample.value) if family.shared else before + sample.value
    return [
        replace(shape, samples=[Sample(*each) for each in sorted(sums[name].items())]) for name, shape in shapes.items()
    ]


def as_text(of: Iterable[Family]) -> bytes:
    """Write families as Prometheus reads them."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(of))
    return generate_latest(registry)


class _Families(Collector):
    def __init__(self, of: Iterable[Family]) -> None:
        self._families = of

    def collect(self) -> Iterator[Metric]:
        for family in self._families:
            yield _histogram(family) if family.kind == "histogram" else _numbers(family)


def _numbers(family: Family) -> Metric:
    kind = CounterMetricFamily if family.kind == "counter" else GaugeMetricFamily
    metric = kind(family.name, family.help, labels=[family.label] if family.label else [])
    for sample in family.samples:
        metric.add_metric([sample.label] if family.label else [], sample.value)
    return metric


def _histogram(family: Family) -> Metric:
    metric = HistogramMetricFamily(family.name, family.help, labels=[family.label] if family.label else [])
    by_label: dict[str, dict[str, float]] = {}
    for sample in family.samples:
        label, _, bound = sample.label.rpartition(" ")
        by_label.setdefault(label, {})[bound] = sample.value
    for label, values in by_label.items():
        total = values.pop(SUM)
        bounds = sorted(values, key=float)
        buckets = [("+Inf" if bound == "inf" else bound, values[bound]) for bound in bounds]
        metric.add_metric([label] if family.label else [], buckets, total)
    return metric


class Observed(Struct, frozen=True):
    """Something to look at, whose Deferreds never fail then."""

    report: Callable[[], Deferred[Report]]
    """The readiness."""
    families: Callable[[], Deferred[Sequence[Family]]]
    """The metrics."""
    execute: Callable[[AdminCommand], Deferred[AdminResult]]
    """Carries out an order. It fails with :class:`callnet.errors.Unavailable` if that cannot be done now."""
    stop: Callable[[], None]
    """Have it stop as SIGTERM does."""
