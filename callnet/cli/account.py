"""``callnet account``: who has an account, and which devices may be its."""

from __future__ import annotations

import re
import time

import click
import msgspec
from msgspec import UNSET

from callnet.accounts.device_secrets import new_secret, secret_hash
from callnet.accounts.enrolment import is_device_id
from callnet.calls.quiet_hours import TIME, QuietHours, minute_of, time_zone
from callnet.cli.common import CommandError, require_phones, settings_of
from callnet.cli.databases import opened
from callnet.model import EVERY_DEVICE, DeviceAddress
from callnet.storage import contacts, devices
from callnet.storage.settings import change


@click.group()
def account() -> None:
    """Who has an account."""


@account.command("list")
@click.pass_context
def list_(context: click.Context) -> None:
    """Show all accounts: phone, number of devices."""
    with opened(settings_of(context)) as database:
        for found in contacts.accounts(database):
            click.echo(f"{found.phone}  {found.devices}")


@account.command()
@click.argument("phone")
@click.argument("device_ids", metavar="[DEVICE_ID]...", nargs=-1)
@click.option("--no-secret", is_flag=True, help="For devices that cannot be told one: whoever knows the id gets in.")
@click.pass_context
def add(context: click.Context, phone: str, device_ids: tuple[str, ...], no_secret: bool) -> None:
    """Make an account and devices of it, so that they may log in where accounts.enrolment is "known".

    For each new device its id and its secret are printed. A secret is shown once, and required for every login. Devices
    that exist already are left as they are.
    """
    settings = settings_of(context)
    require_phones(settings, phone)
    for device_id in device_ids:
        _require_device_id(device_id)
    with opened(settings) as database:
        is_told = "device_enrolled" in settings.webhooks.told
        secrets = {} if no_secret else {device_id: new_secret() for device_id in device_ids}
        hashes = {device_id: secret_hash(secret) for device_id, secret in secrets.items()}
        made = devices.provision(database, phone, device_ids, time.time(), is_told, hashes)
    for device_id in sorted(made):
        click.echo(f"{device_id}  {secrets[device_id]}")


@account.command()
@click.argument("phone")
@click.argument("device_id")
@click.option("--clear", is_flag=True, help="Let the device log in without a secret again.")
@click.pass_context
def secret(context: click.Context, phone: str, device_id: str, clear: bool) -> None:
    """Give a device a new secret, without which it logs in no more, and show it. It is shown only now.

    Tokens that the device has already go on to be valid: see "callnet account revoke".
    """
    settings = settings_of(context)
    require_phones(settings, phone)
    made = None if clear else new_secret()
    with opened(settings) as database:
        address = DeviceAddress(phone, device_id)
        hashed = None if made is None else secret_hash(made)
        if not devices.set_secret(database, address, hashed, time.time()):
            raise CommandError("there is no such device; see: callnet account add")
    if made is not None:
        click.echo(made)


@account.command()
@click.argument("phone")
@click.argument("device_id", required=False)
@click.pass_context
def revoke(context: click.Context, phone: str, device_id: str | None) -> None:
    """Refuse every token of a phone, or of one device of it, of all logins until now.

    Its sockets are closed within a second or two, and it leaves its calls. It may log in again.
    """
    settings = settings_of(context)
    require_phones(settings, phone)
    if device_id is not None:
        _require_device_id(device_id)
    with opened(settings) as database:
        if not devices.revoke(database, DeviceAddress(phone, device_id or EVERY_DEVICE), time.time):
            raise CommandError("there is no such account or device; tokens of it, if there are any, are revoked")


@account.command("settings")
@click.argument("phone")
@click.option(
    "--do-not-disturb",
    "hours",
    nargs=3,
    metavar="FROM TO ZONE",
    help='The phone is quiet each day in between, as in: 22:30 07:00 Europe/Berlin. "00:00 00:00" is always.',
)
@click.option("--disturb", is_flag=True, help="The phone rings at all times.")
@click.option(
    "--auto-answer", "answered", multiple=True, metavar="PHONE", help="Its devices may answer these by themselves."
)
@click.option("--no-auto-answer", is_flag=True, help="... and nobody.")
@click.pass_context
def settings_(
    context: click.Context,
    phone: str,
    hours: tuple[str, str, str] | None,
    disturb: bool,
    answered: tuple[str, ...],
    no_auto_answer: bool,
) -> None:
    """Set when a phone is quiet, and whom its devices may answer by themselves; show what is set.

    In quiet hours the phone is offline for others; its own devices may call each other. Whether a device answers by
    itself is up to the device.
    """
    if (hours and disturb) or (answered and no_auto_answer):
        raise CommandError("to set something and to clear it exclude each other")
    settings = settings_of(context)
    require_phones(settings, phone, *answered)
    if phone in answered:
        raise CommandError("that is the phone's own number")
    quiet = _quiet_hours(*hours) if hours else None if disturb else UNSET
    with opened(settings) as database:
        given = sorted(set(answered)) if answered or no_auto_answer else UNSET
        found = change(database, phone, quiet, given, time.time())
    if found.quiet is not None:
        shown = found.quiet.fields()
        click.echo(f"quiet from {shown['from']} to {shown['to']}, {shown['time_zone']}")
    for other in found.auto_answer:
        click.echo(f"answers {other} by itself")


def _quiet_hours(begins: str, ends: str, zone: str) -> QuietHours:
    for time_ in (begins, ends):
        if not re.fullmatch(TIME, time_):
            raise CommandError(f"{time_!r} is no time of the day such as 07:30")
    if time_zone(zone) is None:
        raise CommandError(f"{zone!r} is no time zone that is known here, such as Europe/Berlin")
    return QuietHours(minute_of(begins), minute_of(ends), zone)


@account.command()
@click.argument("phone")
@click.pass_context
def export(context: click.Context, phone: str) -> None:
    """Show all that is kept of a phone, as JSON."""
    settings = settings_of(context)
    require_phones(settings, phone)
    with opened(settings) as database:
        found = devices.export(database, phone)
    if found is None:
        raise CommandError("nothing is kept of this phone")
    click.echo(msgspec.json.format(msgspec.json.encode(found), indent=2).decode())


@account.command()
@click.argument("phone")
@click.confirmation_option(prompt="Remove the account, its devices and its lists?")
@click.pass_context
def delete(context: click.Context, phone: str) -> None:
    """Remove all that is kept of a phone, and revoke its tokens.

    What others have in their own lists stays. What a program of yours was still to be told of the phone is not told.
    Its sockets are closed within a second or two.
    """
    settings = settings_of(context)
    require_phones(settings, phone)
    with opened(settings) as database:
        if not devices.delete(database, phone, time.time):
            raise CommandError("nothing is kept of this phone; tokens of it, if there are any, are revoked")


def _require_device_id(device_id: str) -> None:
    if not is_device_id(device_id):
        raise CommandError(f"{device_id!r} is not an acceptable device id")
