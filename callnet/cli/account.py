"""``callnet account`` and ``callnet link``: accounts, their devices, and the links that ring them."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from secrets import token_hex

import click
import msgspec
from msgspec import UNSET

from callnet.accounts.history import row_of
from callnet.accounts.pairing import draw_code
from callnet.accounts.validation import is_device_id, new_secret, secret_hash
from callnet.calls.preferences import TIME, QuietHours, minute_of, time_zone
from callnet.cli.common import CommandError, read_phones, settings_of
from callnet.cli.database import opened
from callnet.model import EVERY_DEVICE, DeviceAddress
from callnet.storage import codes, contacts, devices, links
from callnet.storage.codes import NewPairing
from callnet.storage.preferences import SettingsChange, WhoMayCall, change
from callnet.util import qr_code

_INVITED_FOR = 86400
"""Seconds."""


@click.group()
def account() -> None:
    """Manage accounts and their devices."""


@account.command("list")
@click.pass_context
def list_(context: click.Context) -> None:
    """List all accounts: phone, number of devices."""
    with opened(settings_of(context)) as database:
        for found in contacts.accounts(database):
            click.echo(f"{found.phone}  {found.devices}")


@account.command()
@click.argument("phone")
@click.argument("device_ids", metavar="[DEVICE_ID]...", nargs=-1)
@click.option(
    "--no-secret", is_flag=True, help="Create the devices without secrets: anyone who knows a device id can log in."
)
@click.pass_context
def add(context: click.Context, phone: str, device_ids: tuple[str, ...], no_secret: bool) -> None:
    """Create an account and its devices.

    They may then log in where accounts.enrolment is "known". Prints the id and the secret of each new device. A secret
    is shown once and required for every login. Existing devices are not changed.
    """
    settings = settings_of(context)
    (phone,) = read_phones(settings, phone)
    for device_id in device_ids:
        _require_device_id(device_id)
    with opened(settings, is_made=True) as database:
        is_told = "device_enrolled" in settings.webhooks.wanted
        secrets = {} if no_secret else {device_id: new_secret() for device_id in device_ids}
        hashes = {device_id: secret_hash(secret) for device_id, secret in secrets.items()}
        made = devices.provision(database, phone, device_ids, time.time(), is_told, hashes)
    for device_id in sorted(made):
        click.echo(f"{device_id}  {secrets[device_id]}")


@account.command()
@click.argument("phone")
@click.argument("device_id")
@click.option("--clear", is_flag=True, help="Remove the secret: the device logs in without one.")
@click.pass_context
def secret(context: click.Context, phone: str, device_id: str, clear: bool) -> None:
    """Generate and print a new device secret. It is shown once and required for every later login.

    Tokens issued earlier remain valid: see "callnet account revoke".
    """
    settings = settings_of(context)
    (phone,) = read_phones(settings, phone, are_there=True)
    made = None if clear else new_secret()
    with opened(settings) as database:
        address = DeviceAddress(phone, device_id)
        hashed = None if made is None else secret_hash(made)
        if not devices.set_secret(database, address, hashed, time.time()):
            raise CommandError("no such device; create it with: callnet account add")
    if made is not None:
        click.echo(made)


@account.command()
@click.argument("phone")
@click.argument("device_id")
@click.option("--site", required=True, metavar="URL", help="Use this site, for example https://calls.example.org/.")
@click.pass_context
def invite(context: click.Context, phone: str, device_id: str, site: str) -> None:
    """Create a device, and show a link that makes a browser this device.

    The link is shown as a QR code too, and is valid for a day. It has the secret of the device in it: give it only to
    the person who is to use the device. An existing device gets another secret, and its tokens are revoked.
    """
    settings = settings_of(context)
    (phone,) = read_phones(settings, phone)
    _require_device_id(device_id)
    made, address = new_secret(), DeviceAddress(phone, device_id)
    hashed, now = secret_hash(made), time.time()
    with opened(settings, is_made=True) as database:
        is_told = "device_enrolled" in settings.webhooks.wanted
        if device_id not in devices.provision(database, phone, [device_id], now, is_told, {device_id: hashed}):
            devices.set_secret(database, address, hashed, now)
            devices.revoke(database, address, time.time)
        new = NewPairing(token_hex(16), hashed, secret_hash(draw_code()), device_id)
        codes.invite(database, new, address, now, _INVITED_FOR)
    url = f"{site.rstrip('/')}/#join={made}"
    click.echo(f"{qr_code.drawn(url)}{url}")


@account.command()
@click.argument("phone")
@click.argument("device_id", required=False)
@click.pass_context
def revoke(context: click.Context, phone: str, device_id: str | None) -> None:
    """Revoke all tokens of a phone, or of one of its devices.

    This covers every token issued so far. Its sockets are closed within a second or two, and it leaves its calls. It
    may log in again.
    """
    settings = settings_of(context)
    (phone,) = read_phones(settings, phone, are_there=True)
    if device_id is not None:
        _require_device_id(device_id)
    with opened(settings) as database:
        if not devices.revoke(database, DeviceAddress(phone, device_id or EVERY_DEVICE), time.time):
            raise CommandError("no such account or device; any tokens it had are revoked")


@account.command("settings")
@click.argument("phone")
@click.option(
    "--do-not-disturb",
    "hours",
    nargs=3,
    metavar="FROM TO ZONE",
    help='Set daily quiet hours, for example: 22:30 07:00 Europe/Berlin. "00:00 00:00" means always.',
)
@click.option("--disturb", is_flag=True, help="Clear the quiet hours, and the end of a single quiet time.")
@click.option(
    "--auto-answer", "answered", multiple=True, metavar="PHONE", help="Let its devices answer this phone automatically."
)
@click.option("--no-auto-answer", is_flag=True, help="Let its devices answer no phone automatically.")
@click.option(
    "--rings-through", "through", multiple=True, metavar="PHONE", help="Let this phone call in quiet hours too."
)
@click.option("--no-rings-through", is_flag=True, help="Let no phone call in quiet hours.")
@click.option(
    "--second-call-rings/--no-second-call-rings",
    "again",
    default=None,
    help="In quiet hours, let any phone ring that calls a second time within three minutes.",
)
@click.option(
    "--who-may-call", type=click.Choice(["anyone", "contacts"]), help="Let only phones that it lists call the phone."
)
@click.pass_context
def settings_(
    context: click.Context,
    phone: str,
    hours: tuple[str, str, str] | None,
    disturb: bool,
    answered: tuple[str, ...],
    no_auto_answer: bool,
    through: tuple[str, ...],
    no_rings_through: bool,
    again: bool | None,
    who_may_call: WhoMayCall | None,
) -> None:
    """Set and show quiet hours, automatic answers and permitted callers of a phone.

    During quiet hours the phone appears offline to others, but for the exceptions; its own devices may call each
    other. Each device decides for itself whether to answer automatically.
    """
    if (hours and disturb) or (answered and no_auto_answer) or (through and no_rings_through):
        raise CommandError("a setting cannot be set and cleared at the same time")
    settings = settings_of(context)
    phone, *others = read_phones(settings, phone, *answered, *through)
    if phone in others:
        option = "--auto-answer" if phone in others[: len(answered)] else "--rings-through"
        raise CommandError(f"{option}: this is the phone's own number; name another phone")
    quiet = _quiet_hours(*hours) if hours else None if disturb else UNSET
    answering, ringing = set(others[: len(answered)]), set(others[len(answered) :])
    wanted = SettingsChange(
        quiet,
        sorted(answering) if answering or no_auto_answer else UNSET,
        UNSET if who_may_call is None else who_may_call,
        None if disturb else UNSET,
        sorted(ringing) if ringing or no_rings_through else UNSET,
        UNSET if again is None else again,
    )
    with opened(settings, is_made=True) as database:
        found = change(database, phone, wanted, time.time())
    if found.quiet is not None:
        shown = found.quiet.fields()
        click.echo(f"quiet from {shown['from']} to {shown['to']}, {shown['time_zone']}")
    if found.quiet_until is not None and found.quiet_until > time.time():
        click.echo(f"quiet until {datetime.fromtimestamp(found.quiet_until, UTC):%Y-%m-%d %H:%M} UTC")
    for other in found.rings_through:
        click.echo(f"quiet hours: {other} may call")
    if found.second_call_rings:
        click.echo("quiet hours: a second call within three minutes rings")
    for other in found.auto_answer:
        click.echo(f"answers {other} automatically")
    if found.who_may_call == "contacts":
        click.echo("only its contacts may call")


def _quiet_hours(begins: str, ends: str, zone: str) -> QuietHours:
    for time_ in (begins, ends):
        if not re.fullmatch(TIME, time_):
            raise CommandError(f"{time_!r} is not a time of day such as 07:30")
    if time_zone(zone) is None:
        raise CommandError(f"{zone!r} is not a known time zone; use a name such as Europe/Berlin")
    return QuietHours(minute_of(begins), minute_of(ends), zone)


@account.command()
@click.argument("phone")
@click.pass_context
def export(context: click.Context, phone: str) -> None:
    """Print everything stored about a phone, as JSON."""
    settings = settings_of(context)
    (phone,) = read_phones(settings, phone, are_there=True)
    with opened(settings) as database:
        found = devices.export(database, phone)
    if found is None:
        raise CommandError("nothing is stored about this phone")
    told = {**msgspec.structs.asdict(found), "calls": [row_of(call) for call in found.calls]}
    click.echo(msgspec.json.format(msgspec.json.encode(told), indent=2).decode())


@account.command()
@click.argument("phone")
@click.confirmation_option(prompt="Delete the account, its devices and its lists?")
@click.pass_context
def delete(context: click.Context, phone: str) -> None:
    """Delete everything stored about a phone, and revoke its tokens.

    Entries in the contact lists of others stay. Undelivered webhook events about the phone are dropped. Its sockets are
    closed within a second or two.
    """
    settings = settings_of(context)
    (phone,) = read_phones(settings, phone, are_there=True)
    with opened(settings) as database:
        if not devices.delete(database, phone, time.time):
            raise CommandError("nothing is stored about this phone; any tokens it had are revoked")


def _require_device_id(device_id: str) -> None:
    if not is_device_id(device_id):
        raise CommandError(f"{device_id!r} is not a valid device id")


@click.group()
def link() -> None:
    """List and remove links that ring a phone.

    Whoever has such a link calls the phone without an account. The owner makes links on a device of the phone.
    """


@link.command("list")
@click.argument("phone")
@click.pass_context
def list_links(context: click.Context, phone: str) -> None:
    """List the links of a phone: id, name, and what restricts it. Secrets are not shown."""
    settings = settings_of(context)
    (phone,) = read_phones(settings, phone, are_there=True)
    with opened(settings) as database:
        for found in links.of(database, phone):
            limits = [] if found.is_on else ["off"]
            if found.hours is not None:
                hours = found.hours.fields()
                limits.append(f"from {hours['from']} to {hours['to']}, {hours['time_zone']}")
            if found.expires_at is not None:
                limits.append(f"until {datetime.fromtimestamp(found.expires_at, UTC):%Y-%m-%d %H:%M} UTC")
            if found.calls_left is not None:
                limits.append(f"{found.calls_left} calls left")
            click.echo("  ".join([found.id, found.name, *limits]))


@link.command("remove")
@click.argument("phone")
@click.argument("link_id")
@click.pass_context
def remove_link(context: click.Context, phone: str, link_id: str) -> None:
    """Remove a link of a phone: it rings no more. A call that goes on is not ended."""
    settings = settings_of(context)
    (phone,) = read_phones(settings, phone, are_there=True)
    with opened(settings) as database:
        if not links.remove(database, phone, link_id, time.time()):
            raise CommandError("no such link; see: callnet link list")
