"""``callnet key``: the keys that tokens are signed with. A daemon that runs reads them again at SIGHUP."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import click

from callnet.accounts import keys
from callnet.accounts.ring import Key, KeyRing
from callnet.commands.common import CommandError, settings_of

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
    click.echo(keys.add_key(_file_of(context), time.time() + signs_in).kid)


@key.command("list")
@click.pass_context
def list_(context: click.Context) -> None:
    """Show all keys, in the order in which they come to sign: id, since when, what for."""
    ring, now = keys.load_keys(_file_of(context)), time.time()
    for found in ring.keys:
        click.echo(f"{found.kid}  {_since(found):20}  {_state(ring, found, now)}")


@key.command()
@click.argument("kid")
@click.pass_context
def retire(context: click.Context, kid: str) -> None:
    """Remove a key. Tokens that were signed with it are refused from the next reload on.

    With the first key go those tokens too that name no key, as other servers may have issued them.
    """
    file = _file_of(context)
    ring = keys.load_keys(file)
    found = next((each for each in ring.keys if each.kid == kid), None)
    if found is None:
        raise CommandError("there is no such key; see: callnet key list")
    if len(ring.keys) == 1:
        raise CommandError("this is the only key; make another with: callnet key add")
    if ring.signing(time.time()).kid == kid:
        raise CommandError("this key signs now; make another with: callnet key add")
    keys.remove_key(file, found)


def _file_of(context: click.Context) -> str:
    """Where the first key is."""
    tokens = settings_of(context).tokens
    if tokens.signing_key:
        raise CommandError(
            "the key is in the settings (tokens.signing_key or CALLNET_SIGNING_KEY): there are no files to manage"
        )
    return tokens.signing_key_file


def _since(found: Key) -> str:
    return f"{datetime.fromtimestamp(found.signs_from, UTC):%Y-%m-%dT%H:%M:%SZ}" if found.signs_from else "first"


def _state(ring: KeyRing, found: Key, now: float) -> str:
    if found is ring.signing(now):
        return "signs"
    return "will sign" if found.signs_from > now else "verifies"
