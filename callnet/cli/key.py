"""``callnet key``: the keys that tokens are signed with. A daemon that runs reads them again at SIGHUP."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click

from callnet.accounts import keys
from callnet.accounts.ring import Key, KeyRing
from callnet.cli.common import CommandError, settings_of
from callnet.config.schema import Settings

_YEAR = 366 * 86400


@click.group()
def key() -> None:
    """The keys that tokens are signed with. Reload callnet after a change."""


@key.command()
@click.option(
    "--signs-in",
    type=click.IntRange(0, _YEAR),
    default=0,
    show_default=True,
    metavar="SECONDS",
    help="When it begins to sign; time to bring it to other machines.",
)
@click.pass_context
def add(context: click.Context, signs_in: int) -> None:
    """Make a key, and show its id. Tokens of the keys before it go on to be accepted."""
    click.echo(keys.add_key(file_of(settings_of(context)), time.time() + signs_in).kid)


@key.command("list")
@click.pass_context
def list_(context: click.Context) -> None:
    """Show all keys, in the order in which they come to sign: id, since when, what for.

    After them the key of the server that callnet took over from: its tokens name no key.
    """
    file, now = file_of(settings_of(context)), time.time()
    ring, older = keys.load_keys(file), keys.load_older(file)
    for found in ring.keys:
        click.echo(f"{found.kid}  {_since(found):20}  {_state(ring, found, now)}")
    if older is not None:
        click.echo(f"{older.key.kid}  {'older server':20}  verifies until {shown_time(older.until)}")


@key.command()
@click.argument("kid")
@click.pass_context
def retire(context: click.Context, kid: str) -> None:
    """Remove a key. Tokens that were signed with it are refused from the next reload on.

    With the first key, and with that of the older server, go those tokens too that name no key.
    """
    file = file_of(settings_of(context))
    ring, older = keys.load_keys(file), keys.load_older(file)
    found = next((each for each in ring.keys if each.kid == kid), None)
    is_older = older is not None and older.key.kid == kid
    if found is not None:
        _retire(file, ring, found)
    if is_older:
        keys.remove_older(file)
    elif found is None:
        raise CommandError("there is no such key; see: callnet key list")


def _retire(file: str, ring: KeyRing, found: Key) -> None:
    if len(ring.keys) == 1:
        raise CommandError("this is the only key; make another with: callnet key add")
    if ring.signing(time.time()) is found:
        raise CommandError("this key signs now; make another with: callnet key add")
    keys.remove_key(file, found)


def file_of(settings: Settings) -> str:
    """Where the first key is.

    :raises CommandError: the key is in the settings.
    """
    tokens = settings.tokens
    if tokens.signing_key:
        raise CommandError(
            "the key is in the settings (tokens.signing_key or CALLNET_SIGNING_KEY): there are no files to manage"
        )
    return tokens.signing_key_file


def shown_time(seconds: float) -> str:
    """A time in seconds since 1970, as ISO 8601 has it."""
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def _since(found: Key) -> str:
    return shown_time(found.signs_from) if found.signs_from else "first"


def _state(ring: KeyRing, found: Key, now: float) -> str:
    if found is ring.signing(now):
        return "signs"
    return "will sign" if found.signs_from > now else "verifies"
