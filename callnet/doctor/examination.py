"""All checks, in the order of their dependencies."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from callnet.config.schema import Settings
from callnet.doctor import listeners, machine, secret_places, services, site
from callnet.doctor.findings import Finding, bad, good
from callnet.doctor.site import Place
from callnet.ops.admin_client import found
from callnet.ops.readiness import Report


def examine(settings: Settings, path: str | None, now: datetime, place: Place | None = None) -> Iterator[Finding]:
    """Look at everything. Each finding comes as soon as it is made.

    :param path: the file with the settings, if there is one.
    :param now: with a time zone.
    :param place: the site, as browsers reach it, if that is to be looked at.
    """
    running = found(settings.listeners)
    if running is not None:
        yield _daemon(running[1])
    yield from machine.examine(settings)
    yield from secret_places.examine(settings, path)
    yield from listeners.examine(settings, running is not None, now)
    yield from services.examine(settings, now)
    if place is not None:
        yield from site.examine(settings, place, now)


def _daemon(report: Report) -> Finding:
    if report.ready:
        return good("daemon", "running and ready")
    return bad("daemon", f"running but not ready: {report.wrong}")
