"""``callnet doctor``: checks of this installation, with advice."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Final

import click

from callnet.cli.common import settings_of
from callnet.cli.status import NotRunning, Numbers, Running, found
from callnet.config.schema import Settings, TurnSettings
from callnet.doctor import listeners, machine, services, site
from callnet.doctor.findings import Finding, Level, bad, doubt, good
from callnet.doctor.site import Place, place_of
from callnet.errors import StartError
from callnet.ops.metrics import MEDIA_SETUP, RELAY_UNREACHABLE, WITHOUT_RELAY
from callnet.ops.readiness import Report

_SHOWN: Final = {Level.GOOD: ("ok", "green"), Level.DOUBT: ("warn", "yellow"), Level.BAD: ("fail", "red")}


@click.command()
@click.option(
    "--site",
    metavar="URL",
    help="Look at this site too, through its name, port and proxy, as browsers do.  [default: the first of"
    " tls.acme.names, where one_port is set]",
)
@click.pass_context
def doctor(context: click.Context, site: str | None) -> None:
    """Check settings, machine and services, and suggest fixes.

    The services are those that callnet needs. Changes nothing. Run it as the user that callnet runs as. The exit status
    is 1 if any check fails.
    """
    try:
        place = None if site is None else place_of(site)
    except ValueError:
        raise click.BadParameter("--site: not a URL such as https://calls.example.org") from None
    try:
        settings = settings_of(context)
    except StartError as error:
        show(bad("settings", str(error)))
        sys.exit(1)
    if place is None and settings.one_port and settings.tls.acme.names:
        place = Place(settings.tls.acme.names[0], settings.one_port, True)
    found = [Level.GOOD]
    for finding in examine(settings, context.find_root().params["config"], datetime.now(UTC), place):
        show(finding)
        found.append(finding.level)
    sys.exit(Level.BAD in found)


def show(finding: Finding) -> None:
    """Show one finding."""
    word, colour = _SHOWN[finding.level]
    click.echo(f"{click.style(f'{word:<5}', fg=colour)} {finding.about + ':':<24} {finding.text}")
    if finding.advice:
        click.echo(f"{'':<30} -> {finding.advice}")


def examine(settings: Settings, path: str | None, now: datetime, place: Place | None = None) -> Iterator[Finding]:
    """Look at everything, in the order of the dependencies. Each finding comes as soon as it is made.

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
    yield from services.examine(settings, running is not None, now)
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
