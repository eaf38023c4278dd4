"""``callnet key``: the keys that sign tokens. A running daemon rereads them at SIGHUP."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click

from callnet.accounts import signing_keys
from callnet.accounts.signing_keys import Key, KeyRing
from callnet.cli.common import CommandError, settings_of
from callnet.config.schema import Settings

_YEAR = 366 * 86400


@click.group()
def key() -> None:
    """Manage the keys that sign tokens. Reload callnet after a change."""


@key.command()
@click.option(
    "--signs-in",
    type=click.IntRange(0, _YEAR),
    default=0,
    show_default=True,
    metavar="SECONDS",
    help="Start signing after this time, which you need to copy the key to other machines.",
)
@click.pass_context
def add(context: click.Context, signs_in: int) -> None:
    """Create a key and print its id. Tokens signed with earlier keys remain valid."""
    click.echo(signing_keys.add_key(file_of(settings_of(context)), time.time() + signs_in).kid)


@key.command("list")
@click.pass_context
def list_(context: click.Context) -> None:
    """List all keys in the order in which they sign: id, start, state.

    The key of the older server, if one was imported, comes last: its tokens name no key.
    """
    file, now = file_of(settings_of(context)), time.time()
    ring, older = signing_keys.load_keys(file), signing_keys.load_older(file)
    for found in ring.keys:
        click.echo(f"{found.kid}  {_since(found):20}  {_state(ring, found, now)}")
    if older is not None:
        click.echo(f"{older.key.kid}  {'older server':20}  verifies until {shown_time(older.until)}")


@key.command()
@click.argument("kid")
@click.pass_context
def retire(context: click.Context, kid: str) -> None:
    """Remove a key. Tokens signed with it are refused after the next reload.

    Removing the first key, or the key of the older server, also invalidates its tokens that name no key.
    """
    file = file_of(settings_of(context))
    ring, older = signing_keys.load_keys(file), signing_keys.load_older(file)
    found = next((each for each in ring.keys if each.kid == kid), None)
    is_older = older is not None and older.key.kid == kid
    if found is not None:
        _retire(file, ring, found)
    if is_older:
        signing_keys.remove_older(file)
    elif found is None:
        raise CommandError("no such key; see: callnet key list")


def _retire(file: str, ring: KeyRing, found: Key) -> None:
    if len(ring.keys) == 1:
        raise CommandError("this is the only key; create another with: callnet key add")
    if ring.signing(time.time()) is found:
        raise CommandError("this key is signing; create another with: callnet key add")
    signing_keys.remove_key(file, found)


def file_of(settings: Settings) -> str:
    """The path of the first key.

    :raises CommandError: the key is in the settings.
    """
    tokens = settings.tokens
    if tokens.signing_key:
        raise CommandError(
            "the key is in the settings (tokens.signing_key or CALLNET_SIGNING_KEY): there are no key files to manage"
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
