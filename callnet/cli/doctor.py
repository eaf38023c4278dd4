"""``callnet doctor``: checks of this installation, with advice."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from typing import Final

import click

from callnet.cli.common import settings_of
from callnet.doctor.examination import examine
from callnet.doctor.findings import Finding, Level, bad
from callnet.doctor.site import Place, place_of
from callnet.errors import StartError

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
