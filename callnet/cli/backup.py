"""``callnet backup`` and ``callnet restore``: the database and the keys in one file, and back."""

from __future__ import annotations

import gzip
import io
import os
import re
import tarfile
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import IO, Final

import click
import msgspec
from msgspec import Struct

from callnet.accounts.signing_keys import Key, secret_in
from callnet.cli.common import CommandError, settings_of
from callnet.cli.database import require_file
from callnet.cli.status import found
from callnet.config.schema import Settings
from callnet.errors import CallnetError, StartError
from callnet.ops.certificates import self_signed_files
from callnet.storage.database import Database
from callnet.util import files

FORMAT: Final = 1
MANIFEST: Final = "backup.json"
_DATABASE: Final = "callnet.db"
_KEYS: Final = "keys/"
_FIRST_KEY: Final = f"{_KEYS}signing.key"
_SIGNING_KEY: Final = re.compile(r"keys/signing\.key(\.d/([0-9a-f]{8}|older))?")
_LARGEST_KEY: Final = 64 * 1024
"""Bytes."""
_PART: Final = 1 << 20
"""Bytes that are read at a time."""


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.pass_context
def backup(context: click.Context, file: Path) -> None:
    """Back up the database and keys to FILE, which must not exist yet.

    callnet may keep running. Keep FILE secret: its keys let anyone act as any device. It includes neither a PostgreSQL
    database (use pg_dump) nor the settings.
    """
    made = make(settings_of(context), file.absolute(), version("callnet"), datetime.now(UTC))
    keys = f"{made.keys} key files"
    if made.level is None:
        click.echo(f"{file}: {keys}. The PostgreSQL database is not included: use pg_dump.")
    else:
        click.echo(f"{file}: the database, at schema level {made.level}, and {keys}.")


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--replace", is_flag=True, help="Overwrite an existing database and existing keys.")
@click.pass_context
def restore(context: click.Context, file: Path, replace: bool) -> None:
    """Restore the database and keys from FILE.

    FILE was written by `callnet backup`. Stop callnet first, and run this as the user that callnet runs as. FILE is
    checked before anything is replaced.
    """
    settings = settings_of(context)
    running = found(settings.listeners)
    if running is not None:
        raise CommandError(f"callnet is running at {running[0]}: stop it first")
    restored = bring_back(settings, file.absolute(), replace)
    made = restored.manifest
    what = "the keys" if made.level is None else "the database and the keys"
    click.echo(f"Restored {what} as of {made.made_at:%Y-%m-%d at %H:%M} UTC.")
    if restored.removed:
        click.echo(f"Removed signing keys created since: {', '.join(restored.removed)}.")
    if restored.added:
        click.echo(
            f"Restored retired signing keys; retire them again if they were stolen: {', '.join(restored.added)}."
        )


class BackupError(CallnetError):
    """It cannot be made, or brought back; the message is shown to who asked."""


class Manifest(Struct, frozen=True):
    """The manifest of a backup."""

    format: int
    made_at: datetime
    callnet: str
    """The version that made it."""
    level: int | None
    """Of the database's schema; ``None``: the database is not in it."""
    keys: int
    """The number of files under ``keys/``."""


def make(settings: Settings, target: Path, version: str, now: datetime) -> Manifest:
    """Write a backup.

    :param version: of callnet.
    :param now: with a time zone.
    :raises BackupError: the file is there already, or cannot be written.
    :raises CommandError: the database is missing.
    :raises StartError, Unavailable: the database cannot be read.
    """
    keys = {name: path for name, path in _key_files(settings).items() if path.is_file()}
    with _explained(target), tempfile.TemporaryDirectory(prefix=".callnet-backup-", dir=target.parent) as folder:
        copy, draft = Path(folder, _DATABASE), Path(folder, target.name)
        level = _copy_database(settings.database.url, copy)
        manifest = Manifest(FORMAT, now, version, level, len(keys))
        with _new(draft) as file:
            with tarfile.open(fileobj=file, mode="w:gz") as archive:
                _add(archive, MANIFEST, msgspec.json.encode(manifest), now)
                for name, path in keys.items():
                    _add(archive, name, path.read_bytes(), now)
                if level is not None:
                    archive.add(copy, _DATABASE)
            file.flush()
            os.fsync(file.fileno())
        _new(target).close()  # a rename would replace what is there, and not every file system has links
        try:
            os.replace(draft, target)
        except BaseException:
            target.unlink()
            raise
        files.sync_directory(target)
    return manifest


class Restored(Struct, frozen=True):
    """The files that were brought back."""

    manifest: Manifest
    removed: Sequence[str]
    """Signing keys that were there and are not in the backup."""
    added: Sequence[str]
    """Signing keys that are in the backup and were not there beside others: they may have been retired."""


def bring_back(settings: Settings, source: Path, replace: bool) -> Restored:
    """Put what is in a backup in its places. callnet must not run.

    :param replace: also where there is something already, of which nothing is left.
    :raises BackupError: it is not a backup, is damaged, or would replace something.
    :raises StartError: the state directory cannot be made.
    """
    files.make_private_directory(settings.state_dir, "state_dir")
    if files.was_claimed(settings.state_dir):
        files.claim_directory(settings.state_dir, "state_dir", is_shared=False)
    places, database = _key_files(settings), _database_file(settings.database.url)
    with ExitStack() as folders:
        with _explained(source):
            _require_whole(source)
        folder = _folder_beside(database or Path(settings.state_dir, _DATABASE), folders)
        with _explained(source), tarfile.open(source, "r:gz") as archive:
            manifest, keys, copy = _read(archive, source, folder)
        if copy is not None and database is None:
            raise BackupError(f"{source} has an SQLite database, but database.url names another kind")
        targets = [_place(places, settings, name) for name in keys] + ([database] if copy and database else [])
        there = [str(path) for path in targets if path.exists()]
        if there and not replace:
            raise BackupError(f"{there[0]} already exists; use --replace to overwrite it")
        signing = {name: path for name, path in places.items() if _SIGNING_KEY.fullmatch(name) and path.exists()}
        present = {name: _content(path) for name, path in signing.items()}
        before, after = _kids(present), _kids(keys)
        drafts: dict[Path, Path | None] = {}
        if copy is not None and database is not None:
            # The log of changes goes first: SQLite would apply that of another database.
            drafts = {Path(f"{database}-wal"): None, Path(f"{database}-shm"): None, database: copy}
        for name, content in keys.items():
            path = _place(places, settings, name)
            drafts[path] = _folder_beside(path, folders) / path.name
            with _explained(path):
                files.overwrite(str(drafts[path]), content, files.PRIVATE)
        if replace:
            drafts.update({path: None for name, path in signing.items() if name not in keys})
        try:
            files.exchange(drafts)
        except OSError as error:
            raise BackupError(f"{error.filename or settings.state_dir}: {error.strerror}") from None
    removed = [kid for kid in before if replace and kid not in after]
    return Restored(manifest, removed, [kid for kid in after if before and kid not in before])


def _kids(found: Mapping[str, bytes]) -> Sequence[str]:
    """The ids of the signing keys among these files, which are also the names of all but the first."""
    return [
        Key.of(secret_in(content)).kid if name == _FIRST_KEY else name.rpartition("/")[2]
        for name, content in found.items()
        if _SIGNING_KEY.fullmatch(name)
    ]


def _content(path: Path) -> bytes:
    with _explained(path):
        return path.read_bytes()


def _key_files(settings: Settings) -> Mapping[str, Path]:
    """Every file with a secret, and the certificate that callnet signed, by its name in a backup."""
    first = Path(settings.tokens.signing_key_file)
    others = {f"{_KEYS}signing.key.d/{path.name}": path for path in sorted(Path(f"{first}.d").glob("*"))}
    certificate, key = map(Path, self_signed_files(settings.state_dir))
    return {
        _FIRST_KEY: first,
        f"{_KEYS}vapid.key": Path(settings.push.vapid_key_file),
        f"{_KEYS}{certificate.name}": certificate,
        f"{_KEYS}{key.name}": key,
        **{name: path for name, path in others.items() if _SIGNING_KEY.fullmatch(name)},
    }


def _place(places: Mapping[str, Path], settings: Settings, name: str) -> Path:
    return places.get(name) or Path(f"{settings.tokens.signing_key_file}.d", name.rpartition("/")[2])


def _database_file(url: str) -> Path | None:
    with closing(Database(url)) as database:
        return database.file


def _copy_database(url: str, target: Path) -> int | None:
    """Copy the database, if it is a file. Returns the level of its schema."""
    with closing(Database(url)) as database:
        if database.file is None:
            return None
        require_file(database)
        level, _ = database.levels()
        database.copy_to(target)
    return level


def _folder_beside(target: Path, folders: ExitStack) -> Path:
    """A folder for drafts on the file system of their target: a rename is all that is left to do then."""
    with _explained(target):
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        return Path(folders.enter_context(tempfile.TemporaryDirectory(prefix=".callnet-restore-", dir=target.parent)))


def _require_whole(source: Path) -> None:
    """Read all of it once: the end of a tar file comes before the sum over the whole."""
    with gzip.open(source) as file:
        while file.read(_PART):
            pass


def _read(archive: tarfile.TarFile, source: Path, folder: Path) -> tuple[Manifest, Mapping[str, bytes], Path | None]:
    """Read all of it, before anything is replaced."""
    manifest, keys, copy = None, {}, None
    for member in archive:
        content = archive.extractfile(member) if member.isreg() else None
        if content is None:
            raise BackupError(f"{source} is not a callnet backup")
        if member.name == MANIFEST:
            manifest = _manifest(content.read(_LARGEST_KEY), source)
        elif member.name == _DATABASE:
            copy = folder / _DATABASE
            _unpack(content, copy)
        elif _is_key(member.name):
            keys[member.name] = content.read(_LARGEST_KEY)
        else:
            raise BackupError(f"{source} is not a callnet backup: it contains {member.name!r}")
    if manifest is None or len(keys) != manifest.keys or (copy is None) != (manifest.level is None):
        raise BackupError(f"{source} is incomplete")
    if copy is not None:
        _check(copy, source)
    return manifest, keys, copy


def _is_key(name: str) -> bool:
    known = ("vapid.key", *(Path(path).name for path in self_signed_files("")))
    return name in {f"{_KEYS}{each}" for each in known} or _SIGNING_KEY.fullmatch(name) is not None


def _manifest(content: bytes, source: Path) -> Manifest:
    try:
        manifest = msgspec.json.decode(content, type=Manifest)
    except msgspec.MsgspecError:
        raise BackupError(f"{source} is not a callnet backup") from None
    if manifest.format != FORMAT:
        raise BackupError(
            f"{source} was written by callnet {manifest.callnet} in a format that this version does not know;"
            " use that version"
        )
    return manifest


def _check(copy: Path, source: Path) -> None:
    """Make sure that the database is whole, and that this code may use it, or bring it up to date."""
    with closing(Database(f"sqlite:///{copy}")) as database:
        try:
            is_whole = database.is_whole()
        except StartError:
            is_whole = False
        if not is_whole:
            raise BackupError(f"{source}: its database is damaged")
        theirs, ours = database.levels()
        if theirs >= ours:
            database.check()


def _unpack(content: IO[bytes], target: Path) -> None:
    with _new(target) as file:
        while part := content.read(_PART):
            file.write(part)
        file.flush()
        os.fsync(file.fileno())


def _add(archive: tarfile.TarFile, name: str, content: bytes, now: datetime) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = len(content), files.PRIVATE, int(now.timestamp())
    archive.addfile(member, io.BytesIO(content))


def _new(path: Path) -> IO[bytes]:
    """A file for this user alone, which was not there."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, files.PRIVATE), "wb")


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError:
        raise BackupError(f"{path} already exists") from None
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise BackupError(f"{path} is not a callnet backup, or is damaged: {error}") from None
    except OSError as error:
        raise BackupError(f"{path}: {error.strerror or error}") from None
