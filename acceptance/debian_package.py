"""The life of the Debian package, in a minimal Debian: installed, started, upgraded, started again, removed, purged.

Before the upgrade it is the package of the revision that an operator comes from (:mod:`acceptance.revision`); in a
shallow clone, which has none, the package takes the place of itself. The service is started by the unit that was
installed. Who had logged in before the upgrade is logged in after it, on the same database, and calls again; what the
operator has changed in the settings stays as it is.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import re
import shutil
import signal
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from msgspec import Struct

from acceptance import readme
from acceptance.one_call import CALLEE, CALLER, call
from acceptance.proof import Outcome, Proof
from acceptance.revision import previous
from acceptance.services import Service, Unit
from acceptance.systems import System, minimal_debian
from callnet.setup.steps import LOW_PORTS
from harness import ROOT
from harness.daemon import START_LIMIT, STOP_LIMIT
from harness.leaks import complaints
from harness.ports import free_ports
from harness.wire import login, post

PACKAGE: Final = "callnet"
UNIT: Final = "usr/lib/systemd/system/callnet.service"
ENABLED: Final = "etc/systemd/system/multi-user.target.wants/callnet.service"
ADDED: Final = "etc/systemd/system/callnet.service.d/setup.conf"
SETTINGS: Final = "etc/callnet/callnet.toml"
STATE: Final = "var/lib/callnet"
BACKUPS: Final = "var/backups/callnet"
SERVICES: Final = ("account", "signaling", "site", "admin")
MANUAL: Final = ("usr/share/man/man1/callnet.1.gz", "usr/share/man/man5/callnet.toml.5.gz")
PACKAGES: Final = ROOT / "docs" / "packages.md"
AS_A_SCRIPT: Final = (
    "--yes --no-install-recommends --reinstall --option=Dpkg::Options::=--force-confold --option=APT::Output-Version=1"
)
"""Added to the page's options of apt: nobody is asked, nothing else comes along, a package may replace itself, and
the result is reported in words that do not change."""

ONE_CHANGE: Final = (
    "0 upgraded, 1 newly installed",
    "1 upgraded, 0 newly installed",
    "0 upgraded, 0 newly installed, 1 reinstalled",
)

NAME: Final = "Mum"

NOT_OURS: Final = re.compile(r"(proc|dev|sys|tmp|var/(lib/(dpkg|apt)|cache/(apt|debconf)|log))(/.*)?")
"""The books of dpkg and apt, and places that are no files of the system."""
STAYS: Final = re.compile(r"etc/(passwd|group|shadow|gshadow)-?|etc/\.pwd\.lock")
"""The remains of a purge as in docs/packages.md: the user of the service stays."""


class Entry(Struct, frozen=True):
    """An entry at a path: its mode, and a digest of a file, or the target of a link."""

    mode: int
    content: str


def entries(root: Path) -> Mapping[str, Entry]:
    """All that a system has, by path."""
    found = {}
    for folder, folders, files in os.walk(root):
        within = os.path.relpath(folder, root)
        folders[:] = [name for name in folders if not NOT_OURS.fullmatch(os.path.normpath(f"{within}/{name}"))]
        for name in (*folders, *files):
            path = Path(folder, name)
            found[os.path.normpath(f"{within}/{name}")] = Entry(path.lstat().st_mode, _content(path))
    return found


def _content(path: Path) -> str:
    if path.is_symlink():
        return os.readlink(path)
    return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""


def left_over(before: Mapping[str, Entry], after: Mapping[str, Entry]) -> Sequence[str]:
    """The paths at which a system has changed, except those that stay."""
    differing = (path for path in before.keys() | after.keys() if before.get(path) != after.get(path))
    return sorted(path for path in differing if not STAYS.fullmatch(path))


class Life:
    """The package in one system."""

    def __init__(self, system: System, folder: Path, counts: dict[str, object], misses: list[str]) -> None:
        self._system = system
        self._root = system.root
        self._folder = folder
        self._counts = counts
        self._misses = misses
        self._ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        self._tokens = ("", "")
        self._calls = 0

    def tell(self, old: Path, new: Path) -> None:
        """All of it."""
        self._system.do("apt-get", "satisfy", "--yes", "--no-install-recommends", _field(new, "Depends"))
        before = entries(self._root)
        self._install(old)
        self._expect((self._root / ENABLED).is_symlink(), "the service is not enabled")
        for page in MANUAL:
            self._expect((self._root / page).exists(), f"/{page} is missing")
        settings = self._configure()
        self._serve("the package before", self._first_time)
        self._install(new)
        self._expect((self._root / SETTINGS).read_text() == settings, "the upgrade has changed the settings")
        said, version = self._system.do(PACKAGE, "--version").strip(), _field(new, "Version")
        self._expect(said == f"callnet, version {_for_python(version)}", f"the package {version} says {said!r}")
        self._serve("this package", self._again)
        self._system.do("apt-get", "remove", "--yes", PACKAGE)
        self._expect((self._root / SETTINGS).read_text() == settings, "the settings were removed before a purge")
        self._expect((self._root / STATE / "callnet.db").exists(), "the accounts were removed before a purge")
        self._expect(not (self._root / "usr/lib/callnet").exists(), "the program is still there after its removal")
        self._write_added()
        self._system.do("apt-get", "purge", "--yes", PACKAGE)
        after = entries(self._root)
        self._misses += [f"after the purge this is not as before: /{path}" for path in left_over(before, after)]
        self._counts["files before, and after the purge"] = f"{len(before)}, {len(after)}"

    def _install(self, package: Path) -> None:
        """Install or upgrade, and see that nothing else was: all that the package needs is there."""
        shutil.copy(package, self._root)
        command = readme.command(PACKAGES, "apt install")
        said = self._system.do("sh", "-c", f"cd / && {command} {AS_A_SCRIPT}")
        (self._root / package.name).unlink()
        [changes] = re.findall(r"^(\d+ upgraded, \d+ newly installed.*), 0 to remove", said, re.MULTILINE)
        self._expect(changes in ONE_CHANGE, changes)

    def _write_added(self) -> None:
        """Add to the unit what ``callnet setup`` adds where systemd runs."""
        path = self._root / ADDED
        path.parent.mkdir(parents=True)
        path.write_text(LOW_PORTS)

    def _configure(self) -> str:
        """Have it listen where nobody else does, as an operator would in its settings. Returns them."""
        path = self._root / SETTINGS
        text = path.read_text()
        for service, port in self._ports.items():
            text = re.sub(rf"^#({service} = .*tcp:)\d+", rf"\g<1>{port}", text, flags=re.MULTILINE)
        path.write_text(text)
        return text

    def _serve(self, what: str, use: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start the service by its unit, use it, and stop it."""
        log = self._folder / "log"
        service = Service(self._system, Unit(self._root / UNIT), log)
        try:
            service.await_ready(START_LIMIT)
            asyncio.run(use())
            said = self._system.do(PACKAGE, "status")
            self._expect("callnet is ready." in said, f"{what}: callnet status says {said}")
        finally:
            status = service.stop(STOP_LIMIT)
        # Twisted ends a process by the signal that it was told to stop with, which systemd takes for a clean end.
        self._expect(status in (0, -signal.SIGTERM), f"{what} ended with status {status}")
        self._expect("STOPPING=1" in service.heard, f"{what} did not tell systemd that it stops")
        self._misses += [f"{what} logged {line}" for line in complaints(log.read_text())]
        state = self._root / STATE
        strangers = [path.name for path in state.rglob("*") if path.lstat().st_uid != state.stat().st_uid]
        self._misses += [f"{what} is not the owner of /{STATE}/{name}" for name in strangers]

    async def _first_time(self) -> None:
        """Two devices log in; the operator puts one into the list of the other; they call."""
        port = self._ports["account"]
        self._tokens = await login(port, *CALLER), await login(port, *CALLEE)
        self._system.do(PACKAGE, "contact", "add", CALLER[0], CALLEE[0], "--name", NAME)
        self._back_up()
        await self._check(self._tokens)

    def _back_up(self) -> None:
        """Make a backup while it runs, and take it away again."""
        self._system.do("sh", "-c", readme.command(PACKAGES, "install -d"))
        [backup] = (self._root / BACKUPS).iterdir()
        self._expect(tarfile.is_tarfile(backup), "the backup is no archive")
        shutil.rmtree(self._root / BACKUPS)

    async def _again(self) -> None:
        """They call with their earlier tokens, and again after a new login."""
        await self._check(self._tokens)
        port = self._ports["account"]
        await self._check((await login(port, *CALLER), await login(port, *CALLEE)))

    async def _check(self, tokens: tuple[str, str]) -> None:
        """Both may come in, one has the other in its list, and they call."""
        asked = {"phone": CALLER[0], "token": tokens[0]}
        answer = await post(self._ports["account"], "/getContactPersons", asked)
        names = [contact.get("name") for contact in answer.get("contacts", [])]
        self._expect(names == [NAME], f"the contacts were answered {answer}")
        await call(self._ports["signaling"], *tokens)
        self._calls += 1
        self._counts["calls"] = self._calls

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self._misses.append(otherwise)


def _field(package: Path, name: str) -> str:
    """A field of a package's metadata."""
    command = ("dpkg-deb", "--field", str(package), name)
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


def _for_python(version: str) -> str:
    """Write a version of Debian's as Python does."""
    return version.replace("~dev", ".dev").replace("~", "")


def built(commit: str, folder: Path) -> Path:
    """The package of a commit."""
    command = (str(ROOT / "tools" / "build-deb"), commit, str(folder))
    return Path(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())


def made(folder: Path) -> Path:
    """The package of this one, as the page has it made."""
    command = readme.command(PACKAGES, "make deb")
    # A make within a make would say where it is.
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    done = subprocess.run(
        ["sh", "-c", command], cwd=ROOT, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return Path(shutil.copy(ROOT / done.stdout.splitlines()[-1], folder))


def prove(_brief: bool, _seed: int) -> Outcome:
    """One life."""
    if os.getuid():
        return Outcome({}, ["only root can make a system to try this in"])
    counts: dict[str, object] = {}
    misses: list[str] = []
    with tempfile.TemporaryDirectory(prefix="callnet-packages-") as name:
        folder = Path(name)
        old, new = built(previous(), folder), made(folder)
        counts["packages"] = f"{_field(old, 'Version')}, then {_field(new, 'Version')}"
        counts["size of the package, KiB"] = new.stat().st_size // 1024
        counts["size when installed, KiB"] = _field(new, "Installed-Size")
        with minimal_debian("true") as system:
            Life(system, folder, counts, misses).tell(old, new)
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "debian",
    "the Debian package is installed, started by its unit, upgraded, removed and purged in a minimal Debian: a login"
    " and a call before and after the upgrade, with the same tokens on the same database; nothing is left but what is"
    " documented",
    prove,
)
