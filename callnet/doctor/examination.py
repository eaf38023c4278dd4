"""All checks, in the order of their dependencies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from callnet.config.schema import Settings, TurnSettings
from callnet.doctor import listeners, machine, services, site
from callnet.doctor.findings import Finding, bad, doubt, good
from callnet.doctor.site import Place
from callnet.ops.admin_client import NotRunning, Numbers, Running, found
from callnet.ops.metrics import MEDIA_SETUP, RELAY_UNREACHABLE, WITHOUT_RELAY
from callnet.ops.readiness import Report


def examine(settings: Settings, path: str | None, now: datetime, place: Place | None = None) -> Iterator[Finding]:
    """Look at everything. Each finding comes as soon as it is made.

    :param path: the file with the settings, if there is one.
    :param now: with a time zone.
    :param place: the site, as browsers reach it, if that is to be looked at.
    """
    running = found(settings.listeners)
    if running is not None:
        place_of_daemon, report = running
        yield _daemon(report)
        yield from _calls(place_of_daemon, settings.turn)
    yield from machine.examine(settings)
    yield from machine.examine_secrets(settings, path)
    yield from listeners.examine(settings, running is not None, now)
    yield from services.examine(settings, now)
    if place is not None:
        yield from site.examine(settings, place, now)


def _daemon(report: Report) -> Finding:
    if report.ready:
        return good("daemon", "running and ready")
    return bad("daemon", f"running but not ready: {report.wrong}")


def _calls(place: str, settings: TurnSettings) -> Iterator[Finding]:
    try:
        numbers = Running(place).numbers()
    except NotRunning:
        return
    yield from relayed(numbers, settings)


def relayed(numbers: Numbers, settings: TurnSettings) -> Iterator[Finding]:
    """The pages that needed a relay since the daemon started, by its metrics."""
    used = numbers.get((f"{MEDIA_SETUP}_count", "relay"), 0)
    without, unreachable = (_counted(numbers, name) for name in (WITHOUT_RELAY, RELAY_UNREACHABLE))
    needed = used + without + unreachable
    if not needed:
        return
    text = f"{needed:.0f} pages needed a relay since the start; {used:.0f} had one"
    if without:
        text += f", {without:.0f} had none"
    if unreachable:
        text += f", {unreachable:.0f} could not reach it"
    if without and not settings.all_urls:
        yield doubt("calls", text, "run a relay: turn.relay or turn.urls (docs/turn.md)")
    elif unreachable:
        yield doubt("calls", text, "open its ports in firewalls, TCP and UDP; offer it on port 443 too (docs/turn.md)")
    elif without:
        yield doubt("calls", text, "rooms without a call get none unless turn.adhoc is set (docs/turn.md)")
    else:
        yield good("calls", text)


def _counted(numbers: Numbers, name: str) -> float:
    return numbers.get((f"{name}_total", ""), 0)
