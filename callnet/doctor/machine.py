"""The machine: disk space, keys, open files, the clock, and secrets in files that others can read."""

from __future__ import annotations

import ctypes
import math
import os
import re
import resource
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from callnet.accounts.signing_keys import load_keys
from callnet.config.load import decode_toml
from callnet.config.schema import SIGNING_KEY_MIN, Settings, TokenSettings
from callnet.doctor.findings import Finding, bad, doubt, good
from callnet.errors import StartError
from callnet.ops.webhooks import read_signing_secrets

_MEGABYTE: Final = 1_000_000
_LITTLE: Final = 1000 * _MEGABYTE
_TOO_LITTLE: Final = 100 * _MEGABYTE
_MANY_FILES: Final = 10_000
_OWN_FILES: Final = 100
"""The files that the daemon has open beside the sockets of clients, roughly."""
_TIME_ERROR: Final = 5
"""The answer of ntp_adjtime(3) when the clock is not synchronised."""
_TIMEX_SIZE: Final = 512
"""Bytes, more than there are in a ``struct timex``."""
_STARTERS: Final = {"twistd", "twist"}
"""The programs that run as the daemon, if they are told to run callnet; a command such as this one is none of them."""
_AS_THE_DAEMON: Final = "run this as the user that callnet runs as"


def examine(settings: Settings) -> Iterator[Finding]:
    """Look at the machine."""
    yield from _state_dir(Path(settings.state_dir))
    yield _keys(settings.tokens)
    running = limits_of_daemons(Path("/proc"), os.getuid())
    own = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    yield _open_files(min(running, default=math.inf if own == resource.RLIM_INFINITY else own), bool(running))
    yield _clock(is_synchronised())


def _state_dir(path: Path) -> Iterator[Finding]:
    about = "state_dir"
    there = next(one for one in (path, *path.parents) if one.exists())
    if there != path:
        if os.access(there, os.W_OK | os.X_OK):
            yield good(about, f"{path} will be created at the first start")
        else:
            yield bad(about, f"{path} does not exist, and this user may not create it", _AS_THE_DAEMON)
        return
    if not path.is_dir() or not os.access(path, os.R_OK | os.W_OK | os.X_OK):
        yield bad(about, f"this user has no access to {path}", _AS_THE_DAEMON)
        return
    mode = stat.S_IMODE(path.stat().st_mode)
    if mode & 0o077:
        yield doubt(about, f"{path} is accessible to others (mode {mode:04o})", f"chmod 700 {path}")
    else:
        yield good(about, str(path))
    yield _space(path, shutil.disk_usage(path).free)


def _space(path: Path, free: int) -> Finding:
    text = f"{free // _MEGABYTE} MB free at {path}"
    if free < _TOO_LITTLE:
        return bad("disk", text, "free some space: the database cannot grow")
    return doubt("disk", text, "free some space") if free < _LITTLE else good("disk", text)


def _keys(settings: TokenSettings) -> Finding:
    about = "signing keys"
    if settings.signing_key:
        return good(about, "one, in the settings")
    first = Path(settings.signing_key_file)
    if not os.path.lexists(first) and not os.path.lexists(f"{first}.d"):
        return good(about, f"{first} will be created at the first start")
    try:
        ring = load_keys(first)
    except StartError as error:
        return bad(about, str(error), "restore the key from a backup; without it all devices must log in again")
    now = time.time()
    text = f"{len(ring.keys)}, and {ring.signing(now).kid} signs"
    older = ring.without_kid
    if older is None or len(older.secret) >= SIGNING_KEY_MIN or now >= ring.without_kid_until:
        return good(about, text)
    return doubt(
        about,
        f"{text}; the older server's key is so short that anyone with one of its tokens can forge others",
        f"once no device needs it: callnet key retire {older.kid}, then reload",
    )


def limits_of_daemons(proc: Path, user: int) -> Sequence[float]:
    """The limits of open files of the daemons of a user that run; infinite without one.

    :param proc: where the kernel shows its processes.
    """
    found = []
    for process in proc.iterdir():
        with suppress(OSError):
            is_own = process.name.isdecimal() and process.stat().st_uid == user
            if is_own and _is_daemon((process / "cmdline").read_bytes()):
                found += re.findall(r"^Max open files +(\S+)", (process / "limits").read_text(), re.MULTILINE)
    return [math.inf if limit == "unlimited" else int(limit) for limit in found]


def _is_daemon(command_line: bytes) -> bool:
    """``twistd callnet``, ``twistd -y callnet.tac``, and the like."""
    names = [os.path.basename(word) for word in command_line.decode("utf-8", "replace").split("\0")]
    return not _STARTERS.isdisjoint(names) and any(name.startswith("callnet") for name in names)


def _open_files(soft: float, is_running: bool) -> Finding:
    about = "open files"
    whose = "callnet" if is_running else "processes started here"
    if soft == math.inf:
        return good(about, f"unlimited for {whose}")
    text = f"{soft} for {whose}: {max(0, soft - _OWN_FILES)} connections of devices and pages"
    if soft < _MANY_FILES:
        return doubt(about, text, "raise the limit for callnet (LimitNOFILE= in a unit, ulimit -n)")
    return good(about, text)


def _clock(is_set: bool) -> Finding:
    if not is_set:
        return doubt(
            "clock",
            "not synchronised, according to the kernel",
            "run systemd-timesyncd or chrony: tokens and TURN credentials depend on the time",
        )
    return good("clock", "synchronised")


def is_synchronised() -> bool:
    """Tell whether the kernel takes the clock of this machine to be synchronised."""
    return int(ctypes.CDLL(None).ntp_adjtime(ctypes.create_string_buffer(_TIMEX_SIZE))) != _TIME_ERROR


_SECRETS: Final = "secrets"


def examine_secrets(settings: Settings, path: str | None) -> Iterator[Finding]:
    """Look at the file with the settings, and at those that it names for secrets.

    :param path: the file with the settings, if there is one.
    """
    if path is not None:
        yield _settings_file(Path(path))
    try:
        read_signing_secrets(settings)
    except StartError as error:
        yield bad(_SECRETS, str(error))


def _settings_file(path: Path) -> Finding:
    in_file = [name for name, is_set in _secrets(decode_toml(path.read_bytes(), Settings, str(path))) if is_set]
    if not in_file:
        return good(_SECRETS, f"none in {path}")
    mode = stat.S_IMODE(os.stat(path).st_mode)
    text = f"{path} (mode {mode:04o}) contains {', '.join(in_file)}"
    if mode & stat.S_IROTH:
        return doubt(_SECRETS, f"{text}; every user of this machine can read it", f"chmod o-r {path}")
    return good(_SECRETS, text)


def _secrets(settings: Settings) -> Iterator[tuple[str, bool]]:
    yield "tokens.signing_key", bool(settings.tokens.signing_key)
    yield "accounts.otp.secret", bool(settings.accounts.otp.secret)
    yield "webhooks.secret", bool(settings.webhooks.secret)
    yield "push.gateway.secret", bool(settings.push.gateway.secret)
    yield "turn.secret", bool(settings.turn.secret)
    for name, url in (("database.url", settings.database.url), ("redis.url", settings.redis.url)):
        yield name, urlsplit(url).password is not None
