"""``callnet migrate``: from the Go server that callnet replaces, and back (docs/migrating.md).

The tokens of that server remain valid by its key, which also signs here if it is long enough.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

from callnet import migration
from callnet.accounts import signing_keys
from callnet.accounts.signing_keys import Key, OlderServer
from callnet.accounts.validation import phone_rule
from callnet.cli.common import CommandError, settings_of
from callnet.cli.database import opened, reached
from callnet.cli.key import file_of, shown_time
from callnet.config.schema import SIGNING_KEY_MIN, Settings, TokenSettings
from callnet.migration import MigrationError, OlderDatabase, Report, load_mapping
from callnet.storage.database import Database
from callnet.util import files

URL: Final = "CALLNET_MIGRATE_URL"
_KEY: Final = "the older server's key"
_DAY: Final = 86400
_FILE: Final = click.Path(dir_okay=False)


@click.command()
@click.option("--dry-run", "trial", is_flag=True, help="Report what would be done, and change nothing.")
@click.option("--back", is_flag=True, help="Copy what was added since back into the older server's database instead.")
@click.option(
    "--url-file",
    type=_FILE,
    metavar="FILE",
    help="Read the URL of its database from this file, which only you may read.",
)
@click.option(
    "--key", "key_file", type=_FILE, metavar="FILE", help="Import its secret from this file, which only you may read."
)
@click.option(
    "--token-days",
    type=click.IntRange(1, 366),
    default=7,
    show_default=True,
    metavar="DAYS",
    help="Accept its tokens for this many days.",
)
@click.option(
    "--mapping",
    "mapping_file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Read the names of its tables and columns from this TOML file.",
)
@click.pass_context
def migrate(
    context: click.Context,
    trial: bool,
    back: bool,
    url_file: str | None,
    key_file: str | None,
    token_days: int,
    mapping_file: Path | None,
) -> None:
    """Import data from the Go server that callnet replaces.

    Imports accounts, devices, contacts and the signing key. Name its database, MySQL or MariaDB, by CALLNET_MIGRATE_URL
    or --url-file, for example mysql://USER:PASSWORD@HOST/NAME. Without --back it is only read. Existing data of callnet
    is not changed, so the command may be run again at any time to import what is new. Each row that cannot be imported
    is reported on standard error, with its phones masked, and the exit status is 1.
    """
    settings = settings_of(context)
    if back and key_file is not None:
        raise CommandError("--key cannot be used with --back: the key is only imported")
    older = OlderDatabase(_url(url_file), load_mapping(mapping_file))
    key = None if key_file is None else read_key(key_file)
    report = Report(lambda line: click.echo(line, err=True))
    if back:
        _give_back(settings, older, report, trial)
    else:
        _take_over(settings, older, report, trial)
        click.echo(_about_key(settings, key, token_days * _DAY, trial))
    if not report.is_complete:
        context.exit(1)


def _take_over(settings: Settings, older: OlderDatabase, report: Report, trial: bool) -> None:
    rule = phone_rule(settings.accounts.phone_format)
    with older.reading() as snapshot, _target(settings, trial, is_made=True) as database:
        migration.take_over(snapshot, database, rule, report, trial)
    for line in report.lines("to import" if trial else "imported"):
        click.echo(line)


def _give_back(settings: Settings, older: OlderDatabase, report: Report, trial: bool) -> None:
    tokens = about_tokens(settings.tokens, time.time())
    with _target(settings, trial, is_made=False) as database, older.writing() as additions:
        migration.give_back(database, additions, report, trial)
    for line in report.lines("to copy back" if trial else "copied back"):
        click.echo(line)
    click.echo(f"tokens: {tokens}")


@contextmanager
def _target(settings: Settings, trial: bool, is_made: bool) -> Iterator[Database | None]:
    """Callnet's database; of a trial it is not made, nor brought up to date."""
    if not trial:
        with opened(settings, is_made) as database:
            yield database
        return
    with reached(settings) as database:
        if database.is_missing or not database.levels()[0]:
            yield None
        else:
            database.check()
            yield database


def _about_key(settings: Settings, key: Key | None, lifetime: int, trial: bool) -> str:
    """Import the key, if one is given, and report the outcome."""
    if key is None:
        return "key: none given (--key); tokens issued by the older server are accepted or refused as before"
    if settings.tokens.signing_key.encode() == key.secret:
        return f"key: {key.kid} is already in the settings"
    now = time.time()
    until = now + lifetime
    file = file_of(settings)
    does = "signs from now on" if is_long(key) else "is too short to sign here"
    if trial:
        return f"key: {key.kid} would be imported; it {does}"
    if take_over_key(file, key, now, until) is None:
        return f"key: {key.kid} is already the first key"
    return f"key: {key.kid} imported; it {does}. Tokens that name no key are checked with it until {shown_time(until)}"


def _url(file: str | None) -> str:
    """The URL of the older server's database."""
    if file is not None:
        try:
            return files.read_private(file, "--url-file").decode().strip()
        except UnicodeDecodeError:
            raise CommandError(f"--url-file: {file} is not UTF-8") from None
    given = os.environ.get(URL, "")
    if not given:
        raise CommandError(f"name the older server's database by {URL} or --url-file")
    return given


def read_key(path: str) -> Key:
    """Read the secret of the older server from a file: all of it, but one line break at the end.

    :raises StartError: it cannot be read, or is open to others.
    :raises MigrationError: it is empty.
    """
    secret = signing_keys.secret_in(files.read_private(path, _KEY))
    if not secret:
        raise MigrationError(f"{_KEY}: {path} is empty")
    return Key.of(secret)


def is_long(key: Key) -> bool:
    """True if it is long enough to sign. Anyone who has one token can find out a short one."""
    return len(key.secret) >= SIGNING_KEY_MIN


def take_over_key(path: str, key: Key, now: float, until: float) -> OlderServer | None:
    """Have tokens that name no key checked against this one, if they expire by ``until``, and let it sign if it may.

    :param path: where the first key is.
    :returns: by which key they are checked now; ``None``: by the first one, which it is, without an end.
    :raises StartError: the keys cannot be read, or not be written.
    """
    ring = signing_keys.load_or_make_keys(path)
    if ring.without_kid is not None and ring.without_kid.secret == key.secret and signing_keys.load_older(path) is None:
        return None
    older = OlderServer(key, until)
    signing_keys.take_over(path, older)
    if is_long(key) and all(key.kid != each.kid for each in ring.keys):
        signing_keys.add_key(path, now, key.secret)
    return older


def about_tokens(settings: TokenSettings, now: float) -> str:
    """Say whether the older server accepts tokens that are issued here now, which it does if its key signs them.

    :raises StartError: the keys cannot be read.
    """
    path = settings.signing_key_file
    if settings.signing_key:
        kid, older = Key.of(settings.signing_key.encode()).kid, None
    elif os.path.lexists(path) or os.path.lexists(f"{path}.d"):
        kid, older = signing_keys.load_keys(path).signing(now).kid, signing_keys.load_older(path)
    else:
        return "none were issued here: there is no key"
    if older is None:
        return f"the key {kid} signs; if it is the older server's, that server accepts tokens issued here"
    if older.key.kid == kid:
        return "the older server accepts tokens issued here"
    return "the older server refuses tokens issued here: devices that have one must log in there again"
