"""The steps of a set-up, in order, and the settings that they write.

Each step says what is to be done, does it, and can undo what the record says it did.
"""

from __future__ import annotations

import hashlib
import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from textwrap import indent
from typing import Any, Final, Protocol, TypeAlias

import msgspec
from msgspec import Struct
from msgspec.structs import replace

from callnet.setup.machine import CHALLENGE_PORT, RELAY_PORT, SITE_PORT, USER, Facts, SetupError, System
from callnet.util import files

HEAD: Final = """\
# Written by "callnet setup", which changes it as long as nobody else does. Every setting, with its default:
# etc/callnet.toml of a clone, or "man callnet.toml".
"""

_NAME: Final = re.compile(r"([a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?\.)*[a-z]([a-z0-9-]{0,61}[a-z0-9])?")
_LONGEST_NAME: Final = 253

Value: TypeAlias = str | int | bool | Sequence[str]


class Wanted(Struct, frozen=True):
    """The answers of the operator, and what follows from them."""

    names: Sequence[str]
    """The names that browsers open; the first is that of the relay, too."""
    contact: str | None = None
    """The mail address for the authority that signs certificates; ``None``: nobody was asked yet."""
    directory: str = ""
    """The URL of its ACME directory; empty: the setting's default."""
    ca: str = ""
    """PEM file with the authority that signed the certificate of that directory."""
    phones: Sequence[str] = ("101", "102")
    external: Sequence[str] = ()
    """Public addresses that a NAT passes to this machine, as the operator gave them."""
    found: Sequence[str] = ()
    """The same, as the names tell them; they count if none was given."""

    def with_(self, **changes: object) -> Wanted:
        """The same with other answers."""
        return replace(self, **changes)

    def settings(self) -> Mapping[str, Value]:
        """Each setting by its path."""
        contact = f"mailto:{self.contact}" if self.contact else ""
        acme = {"contact": contact, "directory": self.directory, "ca": self.ca}
        external = self.external or self.found
        return {
            "one_port": SITE_PORT,
            "accounts.enrolment": "known",
            "tls.acme.names": list(self.names),
            **{f"tls.acme.{name}": value for name, value in acme.items() if value},
            "tls.acme.http01": f"tcp6:{CHALLENGE_PORT}",
            "turn.relay": "supervised",
            "turn.supervised.host": self.names[0],
            "turn.supervised.port": RELAY_PORT,
            **({"turn.supervised.external_addresses": list(external)} if external else {}),
        }

    def written(self) -> str:
        """The settings as a file."""
        return f"{HEAD}\n{rendered(self.settings())}"

    def missing(self, text: str) -> Mapping[str, Value]:
        """The settings that a file lacks, or has otherwise.

        :raises SetupError: not TOML.
        """
        had = settings_in(text)
        return {path: value for path, value in self.settings().items() if had.get(path) != value}


def rendered(settings: Mapping[str, Value]) -> str:
    """Settings by their paths as TOML, those of a section one after the other."""
    lines, section = [], ""
    for path, value in settings.items():
        within, _, name = path.rpartition(".")
        if within != section:
            section = within
            lines.append(f"\n[{section}]")
        lines.append(f"{name} = {msgspec.json.encode(value).decode()}")
    return "\n".join(lines).lstrip() + "\n"


def is_name(text: str) -> bool:
    """Tell whether a text is a host name, in lower case, for which an authority may sign a certificate."""
    return _NAME.fullmatch(text) is not None and len(text) <= _LONGEST_NAME


def settings_in(text: str) -> Mapping[str, Any]:
    """The settings of a file by their paths.

    :raises SetupError: not TOML.
    """
    try:
        return dict(_leaves(tomllib.loads(text), ""))
    except tomllib.TOMLDecodeError as error:
        raise SetupError(f"the settings are not TOML: {error}; correct them, or move the file away") from None


def _leaves(table: Mapping[str, Any], within: str) -> Iterator[tuple[str, Any]]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from _leaves(value, f"{within}{name}.")
        else:
            yield f"{within}{name}", value


RECORD = "/etc/callnet/setup.json"


class Record(Struct):
    """Things that setup has done on this machine."""

    settings: str = ""
    """SHA-256 of the settings as they were written; empty: they are not ours."""
    settings_before: str | None = None
    """The file that was there before, which set nothing; ``None``: there was none."""
    files: dict[str, str] = {}
    """SHA-256 of each further file, as it was written."""
    begun: dict[str, str] = {}
    """SHA-256 of each file, the settings too, as it was to be written last. If setup was interrupted, it may not be."""
    has_relay: bool = False
    """coturn was installed."""
    is_enabled: bool = False
    """The service was enabled."""
    phones: list[str] = []
    """The accounts that were made."""
    answers: Wanted | None = None
    """The answers of the operator."""
    needs_restart: bool = False
    """Something has changed that the running service has not read."""


def read_record(system: System) -> Record:
    """The record of this machine.

    :raises SetupError: it cannot be read.
    """
    text = system.text(RECORD)
    try:
        return Record() if text is None else msgspec.json.decode(text, type=Record)
    except msgspec.MsgspecError:
        raise SetupError(f"{RECORD} is damaged: remove it, and what setup has done stays") from None


def write_record(system: System, record: Record) -> None:
    """Keep it."""
    put(system, RECORD, msgspec.json.format(msgspec.json.encode(record)).decode() + "\n", files.PRIVATE)


def put(system: System, name: str, text: str, mode: int = files.PUBLIC) -> None:
    """Write a file, with the folders above it, which everybody may enter.

    :raises SetupError: it cannot be written.
    """
    path = system.path(name)
    try:
        made = [folder for folder in path.parents if not folder.exists()]
        path.parent.mkdir(parents=True, exist_ok=True)
        for folder in made:
            folder.chmod(0o755)
        files.overwrite(str(path), text.encode(), mode)
    except OSError as error:
        raise SetupError(f"{name}: cannot be written: {error.strerror}; run this as root") from None


def digest(text: str) -> str:
    """SHA-256 of a text."""
    return hashlib.sha256(text.encode()).hexdigest()


# The steps

SETTINGS: Final = "/etc/callnet/callnet.toml"
UNIT: Final = "callnet.service"
_RELAY_UNIT: Final = "coturn.service"
_SHIPPED: Final = f"/usr/lib/systemd/system/{UNIT}"
"""The unit of the package."""
_COPIED: Final = f"/etc/systemd/system/{UNIT}"
_LOW_PORTS: Final = f"/etc/systemd/system/{UNIT}.d/setup.conf"
_STATE: Final = "/var/lib/callnet"
_NO_SHELL: Final = "/usr/sbin/nologin"
_SETTINGS_MODE: Final = 0o640

LOW_PORTS: Final = """\
# Written by "callnet setup": ports below 1024, which a user namespace of the unit's own would keep it from.
[Service]
AmbientCapabilities=CAP_NET_BIND_SERVICE
CapabilityBoundingSet=CAP_NET_BIND_SERVICE
PrivateUsers=no
"""


class Job(Struct, frozen=True):
    """A set-up: the machine, its state, what is wanted, and what was done before."""

    system: System
    wanted: Wanted
    facts: Facts
    record: Record
    tell: Callable[[str], None]
    """Shows a text to the operator."""
    installs: bool = True
    """Packages may be installed."""

    def keep(self) -> None:
        """Write the record."""
        write_record(self.system, self.record)


class Step(Protocol):
    """One step."""

    def look(self, job: Job) -> str:
        """Say what is to be done; nothing if all is right."""

    def do(self, job: Job) -> None:
        """Do it.

        :raises SetupError: it cannot be done; the error has the remedy.
        """

    def undo(self, system: System, record: Record) -> str:
        """Undo what was done, and say so; nothing if it was not done."""


class RelayStep:
    """coturn of Debian, whose own service is off: callnet starts it. That of an operator is not stopped."""

    def look(self, job: Job) -> str:
        """Look for the program, and for its service."""
        if not _has_relay(job.system):
            return "install coturn, the relay" if job.installs and job.facts.is_debian else ""
        if not job.facts.has_systemd or not _is_used(job.system, _RELAY_UNIT):
            return ""
        if not job.record.has_relay:
            raise SetupError(
                f"{_RELAY_UNIT} is in use, but {UNIT} starts a relay of its own; run this again after:"
                f" systemctl disable --now {_RELAY_UNIT}"
            )
        return f"stop {_RELAY_UNIT}: {UNIT} starts a relay of its own"

    def do(self, job: Job) -> None:
        """Install it, and turn its service off."""
        if not _has_relay(job.system):
            job.record.has_relay = True
            job.keep()
            if not job.system.has("apt-cache", "show", "coturn"):
                job.system.do("apt-get", "update")
            job.system.do("apt-get", "install", "--yes", "--no-install-recommends", "coturn")
        if job.facts.has_systemd:
            job.system.do("systemctl", "disable", "--now", _RELAY_UNIT)

    def undo(self, system: System, record: Record) -> str:
        """Leave the package: something else may use it by now."""
        if record.has_relay and _has_relay(system):
            return "left coturn, which setup has installed; to remove it: apt-get remove coturn"
        return ""


class UserStep:
    """The user of the service, which the package brings."""

    def look(self, job: Job) -> str:
        """Look for it."""
        return "" if _has_user(job.system) else f"create the user {USER}"

    def do(self, job: Job) -> None:
        """Create it."""
        job.system.do("useradd", "--system", "--user-group", "--home-dir", _STATE, "--shell", _NO_SHELL, USER)

    def undo(self, system: System, record: Record) -> str:
        """Leave it, so that its number is given to nobody else: the files that are kept are its own."""
        del system, record
        return ""


class UnitStep:
    """The unit of a clone, which the package brings."""

    def look(self, job: Job) -> str:
        """Look at it."""
        system = job.system
        if not job.facts.has_systemd or system.path(_SHIPPED).exists():
            return ""
        if str(system.prefix).startswith(("/home/", "/root/")):
            raise SetupError(f"{system.prefix}: the service may not look into homes; put the clone into /opt/callnet")
        return f"write {_COPIED}" if _is_to_be_made(job, _COPIED, _unit(system)) else ""

    def do(self, job: Job) -> None:
        """Write it."""
        _make(job, _COPIED, _unit(job.system))

    def undo(self, system: System, record: Record) -> str:
        """Remove it."""
        return _unmade(system, record, _COPIED)


class PortsStep:
    """The capability for ports below 1024."""

    def look(self, job: Job) -> str:
        """Look at the addition to the unit."""
        if not job.facts.has_systemd or not _is_to_be_made(job, _LOW_PORTS, LOW_PORTS):
            return ""
        return f"allow {UNIT} ports below 1024 ({_LOW_PORTS})"

    def do(self, job: Job) -> None:
        """Write it."""
        _make(job, _LOW_PORTS, LOW_PORTS)

    def undo(self, system: System, record: Record) -> str:
        """Remove it."""
        said = _unmade(system, record, _LOW_PORTS)
        _remove_if_empty(system.path(_LOW_PORTS).parent)
        return said


class SettingsStep:
    """The settings. A file that sets something, and is not as setup has written it, is the operator's alone."""

    def look(self, job: Job) -> str:
        """Compare the file with what is wanted."""
        text = job.system.text(SETTINGS) or ""
        missing = job.wanted.missing(text)
        if not missing:
            return "" if _is_readable(job.system) else f"let {USER} read {SETTINGS}"
        if settings_in(text) and not _is_ours(job.record, SETTINGS, text):
            lines = indent(rendered(missing), "    ")
            raise SetupError(
                f"{SETTINGS} has settings of yours, so it is not changed; add these, each line to its section,"
                f" and run this again:\n\n{lines}"
            )
        return f"write {SETTINGS}"

    def do(self, job: Job) -> None:
        """Write the file."""
        system, record = job.system, job.record
        before, text = system.text(SETTINGS), job.wanted.written()
        record.needs_restart = True
        if job.wanted.missing(before or ""):
            if before is not None and _is_ours(record, SETTINGS, before):
                record.settings = digest(before)
            elif before is not None:
                record.settings_before = before
            _write(job, SETTINGS, text, _SETTINGS_MODE)
            record.settings = digest(text)
        _make_readable(system)

    def undo(self, system: System, record: Record) -> str:
        """Put back the file that was there, unless the operator has changed ours since."""
        text = system.text(SETTINGS)
        if text is None:
            return ""
        if not _is_ours(record, SETTINGS, text):
            return f"left {SETTINGS}, which was changed since" if record.settings else ""
        if record.settings_before is None:
            system.path(SETTINGS).unlink()
            return f"removed {SETTINGS}"
        put(system, SETTINGS, record.settings_before, _SETTINGS_MODE)
        _make_readable(system)
        return f"put back {SETTINGS}"


class ServiceStep:
    """The service: enabled, running, and with the settings as they are."""

    def look(self, job: Job) -> str:
        """Ask systemd."""
        if not job.facts.has_systemd:
            return ""
        system = job.system
        if not system.has("systemctl", "is-enabled", "--quiet", UNIT):
            return f"enable and start {UNIT}"
        if job.record.needs_restart:
            return f"restart {UNIT}"
        return "" if system.has("systemctl", "is-active", "--quiet", UNIT) else f"start {UNIT}"

    def do(self, job: Job) -> None:
        """Start it: that ends when it is ready for devices, or after a minute."""
        system = job.system
        system.do("systemctl", "daemon-reload")
        if not system.has("systemctl", "is-enabled", "--quiet", UNIT):
            job.record.is_enabled = True
            job.keep()
            system.do("systemctl", "enable", UNIT)
        try:
            system.do("systemctl", "restart", UNIT)
        except SetupError as error:
            said = system.do("journalctl", "--unit", UNIT, "--lines", "5", "--output", "cat", "--no-pager")
            raise SetupError(f"{error}\n{said.strip()}\nFor the cause run: callnet doctor") from None
        job.record.needs_restart = False

    def undo(self, system: System, record: Record) -> str:
        """Stop it, if setup has enabled it."""
        if not record.is_enabled:
            return ""
        system.do("systemctl", "disable", "--now", UNIT)
        return f"stopped {UNIT}"


class AccountsStep:
    """Two phones that list each other, each with a device."""

    def look(self, job: Job) -> str:
        """Look in the record: the database is read after the start only, which may upgrade it."""
        missing = [phone for phone in job.wanted.phones if phone not in job.record.phones]
        return f"create the accounts {' and '.join(missing)}, which list each other" if missing else ""

    def do(self, job: Job) -> None:
        """Make them, and show each link at once. An account that has a device keeps it."""
        system, phones, site = job.system, job.wanted.phones, f"https://{job.wanted.names[0]}/"
        if not job.facts.has_systemd:
            system.do("install", "--directory", "-m", "700", "-o", USER, "-g", USER, str(system.path(_STATE)))
        # First, since this makes the database where nothing has started callnet yet.
        system.callnet("contact", "add", "--both", *phones)
        listed = system.callnet("account", "list").splitlines()
        found = {line.split()[0] for line in listed if not re.fullmatch(r"\S+ +0", line)}
        for phone in phones:
            if phone in found:
                command = f"callnet account invite {phone} NAME --site {site}"
                job.tell(f"\nPhone {phone} has a device already. A link for another one: {command}")
            else:
                link = system.callnet("account", "invite", phone, "first", "--site", site)
                job.tell(f"\nPhone {phone}: open this on the first device, within a day.\n{link}")
        job.record.phones = list(phones)

    def undo(self, system: System, record: Record) -> str:
        """Leave them: they are in the database."""
        del system, record
        return ""


def steps() -> Sequence[Step]:
    """All steps, in order."""
    return RelayStep(), UserStep(), UnitStep(), PortsStep(), SettingsStep(), ServiceStep(), AccountsStep()


def undo(system: System, record: Record, purge: bool) -> Sequence[str]:
    """Undo what the record says, the last step first. A service that goes on has the settings that there are then.

    :param purge: remove the accounts and the keys as well, and stop the service.
    :return: sentences about what was undone.
    """
    if not system.path(RECORD).exists():
        return []
    said = [said for step in reversed(steps()) if (said := step.undo(system, record))]
    system.path(RECORD).unlink()
    _remove_if_empty(system.path(RECORD).parent)
    if system.path("/run/systemd/system").is_dir():
        system.do("systemctl", "daemon-reload")
        if system.has("systemctl", "is-active", "--quiet", UNIT):
            system.do("systemctl", "stop" if purge else "restart", UNIT)
            said.append(f"{'stopped' if purge else 'restarted'} {UNIT}")
    if purge and system.path(_STATE).exists():
        system.do("rm", "-r", str(system.path(_STATE)))
        said.append(f"removed {_STATE}")
    return said


def by_hand(system: System) -> str:
    """The command that starts callnet where there is no systemd, as root."""
    return (
        f"setpriv --reuid {USER} --regid {USER} --init-groups --inh-caps +net_bind_service"
        f" --ambient-caps +net_bind_service --reset-env env CALLNET_CONFIG={SETTINGS} STATE_DIRECTORY={_STATE}"
        f" {system.prefix}/bin/twistd -n --pidfile= callnet"
    )


def _unit(system: System) -> str:
    try:
        text = (system.source / UNIT).read_text("utf-8")
    except OSError as error:
        raise SetupError(
            f"{system.source / UNIT}: {error.strerror}; run the callnet of a clone or of the package"
        ) from None
    text = text.replace("/opt/callnet/.venv", str(system.prefix))
    return text.replace("/opt/callnet/docs", str(system.source.parent / "docs"))


def _is_to_be_made(job: Job, name: str, text: str) -> bool:
    """Tell whether a file is missing, or is an older one of setup's.

    :raises SetupError: it is the operator's.
    """
    had = job.system.text(name)
    if had is not None and had != text and not _is_ours(job.record, name, had):
        raise SetupError(
            f"{name} is yours, so it is not changed; move it away, put what you need of it into an addition with"
            f" systemctl edit {UNIT}, and run this again"
        )
    return had != text


def _make(job: Job, name: str, text: str) -> None:
    record, before = job.record, job.system.text(name)
    record.needs_restart = True
    if before is not None:
        record.files[name] = digest(before)
    _write(job, name, text, files.PUBLIC)
    record.files[name] = digest(text)


def _write(job: Job, name: str, text: str, mode: int) -> None:
    """Write a file that an interruption leaves as it was recorded, or as this: both are ours."""
    job.record.begun[name] = digest(text)
    job.keep()
    put(job.system, name, text, mode)


def _is_ours(record: Record, name: str, text: str) -> bool:
    recorded = record.settings if name == SETTINGS else record.files.get(name)
    return digest(text) in (recorded, record.begun.get(name))


def _unmade(system: System, record: Record, name: str) -> str:
    text = system.text(name)
    if text is None:
        return ""
    if not _is_ours(record, name, text):
        return f"left {name}, which was changed since" if name in record.files else ""
    system.path(name).unlink()
    return f"removed {name}"


def _is_readable(system: System) -> bool:
    return system.has(*system.as_user(), "test", "-r", str(system.path(SETTINGS)))


def _make_readable(system: System) -> None:
    system.do("chgrp", USER, str(system.path(SETTINGS)))
    system.do("chmod", "g+r", str(system.path(SETTINGS)))


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _has_relay(system: System) -> bool:
    return system.path("/usr/bin/turnserver").exists()


def _is_used(system: System, unit: str) -> bool:
    return any(system.has("systemctl", asked, "--quiet", unit) for asked in ("is-enabled", "is-active"))


def _has_user(system: System) -> bool:
    return system.has("id", USER)
