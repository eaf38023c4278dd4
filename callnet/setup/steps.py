"""The steps of a set-up, in order. Each says what is to be done, does it, and can undo what the record says it did."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from textwrap import indent
from typing import Final, Protocol

from msgspec import Struct

from callnet.setup import record as records
from callnet.setup.facts import Facts
from callnet.setup.record import Record, digest, put
from callnet.setup.system import USER, SetupError, System
from callnet.setup.wanted import Wanted, rendered, settings_in

SETTINGS: Final = "/etc/callnet/callnet.toml"
UNIT: Final = "callnet.service"
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
    installs: bool = True
    """Packages may be installed."""


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
    """coturn of Debian, whose own service is off: callnet starts it."""

    def look(self, job: Job) -> str:
        """Look for the program, and for its service."""
        if not _has_relay(job.system):
            return "install coturn, the relay" if job.installs and job.facts.is_debian else ""
        return f"stop coturn.service: {UNIT} starts a relay of its own" if _is_enabled(job) else ""

    def do(self, job: Job) -> None:
        """Install it, and turn its service off."""
        if not _has_relay(job.system):
            if not job.system.has("apt-cache", "show", "coturn"):
                job.system.do("apt-get", "update")
            job.system.do("apt-get", "install", "--yes", "--no-install-recommends", "coturn")
            job.record.packages.append("coturn")
        elif _is_enabled(job):
            job.record.stopped.append("coturn.service")
        if job.facts.has_systemd:
            job.system.do("systemctl", "disable", "--now", "coturn.service")

    def undo(self, system: System, record: Record) -> str:
        """Remove the package, or turn the service on again."""
        if record.packages:
            system.do("apt-get", "purge", "--yes", *record.packages)
            return f"removed {', '.join(record.packages)}"
        if record.stopped:
            system.do("systemctl", "enable", "--now", *record.stopped)
            return f"started {', '.join(record.stopped)}"
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
        return "" if system.text(_COPIED) == _unit(system) else f"write {_COPIED}"

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
        if not job.facts.has_systemd or job.system.text(_LOW_PORTS) == LOW_PORTS:
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
            return ""
        if settings_in(text) and digest(text) != job.record.settings:
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
        if before is not None and digest(before) != record.settings:
            record.settings_before = before
        put(system, SETTINGS, text, _SETTINGS_MODE)
        system.do("chgrp", USER, str(system.path(SETTINGS)))
        record.settings = digest(text)
        record.needs_restart = True

    def undo(self, system: System, record: Record) -> str:
        """Put back the file that was there, unless the operator has changed ours since."""
        text = system.text(SETTINGS)
        if not record.settings or text is None:
            return ""
        if digest(text) != record.settings:
            return f"left {SETTINGS}, which was changed since"
        if record.settings_before is None:
            system.path(SETTINGS).unlink()
            return f"removed {SETTINGS}"
        put(system, SETTINGS, record.settings_before, _SETTINGS_MODE)
        system.do("chgrp", USER, str(system.path(SETTINGS)))
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
        """Start it: that ends when it is ready for devices."""
        system = job.system
        if not system.has("systemctl", "is-enabled", "--quiet", UNIT):
            system.do("systemctl", "enable", UNIT)
            job.record.enabled.append(UNIT)
        try:
            system.do("systemctl", "restart", UNIT)
        except SetupError as error:
            said = system.do("journalctl", "--unit", UNIT, "--lines", "5", "--output", "cat", "--no-pager")
            raise SetupError(f"{error}\n{said.strip()}\nFor the cause run: callnet doctor") from None
        job.record.needs_restart = False

    def undo(self, system: System, record: Record) -> str:
        """Stop it, if setup has enabled it."""
        if not record.enabled:
            return ""
        system.do("systemctl", "disable", "--now", *record.enabled)
        return f"stopped {', '.join(record.enabled)}"


class AccountsStep:
    """Two phones that list each other, each with a device."""

    def __init__(self) -> None:
        self.invitations: dict[str, str] = {}
        """The link of the device that was made for each phone, as it is shown."""

    def look(self, job: Job) -> str:
        """Look at the accounts."""
        missing = self._missing(job)
        return f"create the accounts {' and '.join(missing)}, which list each other" if missing else ""

    def do(self, job: Job) -> None:
        """Make them."""
        site = f"https://{job.wanted.names[0]}/"
        if not job.facts.has_systemd:
            job.system.do("install", "--directory", "-m", "700", "-o", USER, "-g", USER, str(job.system.path(_STATE)))
        for phone in self._missing(job):
            self.invitations[phone] = job.system.callnet("account", "invite", phone, "first", "--site", site)
        job.system.callnet("contact", "add", "--both", *job.wanted.phones)

    def undo(self, system: System, record: Record) -> str:
        """Leave them: they are in the database."""
        del system, record
        return ""

    def _missing(self, job: Job) -> Sequence[str]:
        system = job.system
        is_kept = system.path(f"{_STATE}/callnet.db").exists()
        is_elsewhere = "database.url" in settings_in(system.text(SETTINGS) or "")
        is_there = _has_user(system) and (is_kept or is_elsewhere)
        listed = system.callnet("account", "list") if is_there else ""
        found = {line.split()[0] for line in listed.splitlines() if not re.fullmatch(r"\S+ +0", line)}
        return [phone for phone in job.wanted.phones if phone not in found]


def steps() -> Sequence[Step]:
    """All steps, in order."""
    return RelayStep(), UserStep(), UnitStep(), PortsStep(), SettingsStep(), ServiceStep(), AccountsStep()


def undo(system: System, record: Record, purge: bool) -> Sequence[str]:
    """Undo what the record says, the last step first.

    :param purge: remove the accounts and the keys as well.
    :return: sentences about what was undone.
    """
    said = [said for step in reversed(steps()) if (said := step.undo(system, record))]
    if system.path(records.PATH).exists():
        system.path(records.PATH).unlink()
        _remove_if_empty(system.path(records.PATH).parent)
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


def _make(job: Job, name: str, text: str) -> None:
    put(job.system, name, text)
    job.system.do("systemctl", "daemon-reload")
    if name not in job.record.files:
        job.record.files.append(name)
    job.record.needs_restart = True


def _unmade(system: System, record: Record, name: str) -> str:
    if name not in record.files or not system.path(name).exists():
        return ""
    system.path(name).unlink()
    system.do("systemctl", "daemon-reload")
    return f"removed {name}"


def _remove_if_empty(folder: Path) -> None:
    with suppress(OSError):
        folder.rmdir()


def _has_relay(system: System) -> bool:
    return system.path("/usr/bin/turnserver").exists()


def _is_enabled(job: Job) -> bool:
    return job.facts.has_systemd and job.system.has("systemctl", "is-enabled", "--quiet", "coturn.service")


def _has_user(system: System) -> bool:
    return system.has("id", USER)
