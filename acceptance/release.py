"""A release, made by the tool in a fresh clone, built once more elsewhere, and installed where nothing else is.

The second build is in another folder, by another umask, in another time zone, 400 days later. What an empty virtual
environment of each Python has in the end is what the installation brings along: by that its daemon starts, and a call
goes through. The Python client is installed alone, and answers a call as the television of its README.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from packaging.utils import canonicalize_name

from acceptance import readme
from acceptance.one_call import CALLEE, CALLER, call
from acceptance.proof import Outcome, Proof
from acceptance.revision import is_shallow
from acceptance.tools import installed
from harness import ROOT
from harness.base_protocol import Address, hang_up
from harness.daemon import OPTIONS, START_LIMIT, Daemon, wait_for, with_admin_socket
from harness.device import Device
from harness.wire import WebSocket, login
from tools.release.building import SUMS
from tools.release.repository import Repository
from tools.release.versions import for_npm, newest

PYTHONS: Final = ("3.11", "3.12", "3.13")
KINDS: Final = {"wheel": "-py3-none-any.whl", "sdist": ".tar.gz"}
JUDGE: Final = "twine==7.0.0"
JAVASCRIPT: Final = "clients/javascript"
TELEVISION: Final = ROOT / "clients" / "python" / "README.md"
"""The page whose one program is a television."""
MOST_LINES: Final = 20
"""Lines of that program that are not empty."""
TELEVISIONS_PHONE: Final = "13900139000"
DAEMON_ONLY: Final = {"alembic", "callnet", "hiredis", "klein", "psycopg", "pyjwt", "sqlalchemy", "txredisapi"}
"""Packages that a television is not to install."""
NEWS: Final = ("changes/+proof.misc.md", "A release is made for a proof.\n")
LATER: Final = ("faketime", "-f", "+400d")
ELSEWHERE: Final = {"TZ": "Pacific/Kiritimati", "LC_ALL": "C.UTF-8"}
FIRST: Final = "1.0.0"
UNMASKED: Final = 0o022
MASKED: Final = 0o077
FROM_THE_SDIST: Final = "tests.rules"
"""Tests that are run where the sdist was unpacked."""


def fresh_clone(target: Path) -> str:
    """Clone this project, with news in it. Returns the version that its next release may have.

    In a clone without its history, which a release needs, a new history begins.
    """
    _do(["git", "clone", "--quiet", "--no-local", str(ROOT), str(target)], target.parent)
    if is_shallow():
        shutil.rmtree(target / ".git")
        _do(["git", "init", "--quiet", "--initial-branch", "main"], target)
    news = target / NEWS[0]
    news.parent.mkdir(exist_ok=True)  # a release has taken all that was there
    news.write_text(NEWS[1])
    for command in (
        ("config", "user.name", "The callnet developers"),
        ("config", "user.email", "callnet@callnet.invalid"),
        ("checkout", "--quiet", "-B", "main"),
        ("add", "--all"),
        ("commit", "--quiet", "--message", "news for a proof"),
    ):
        _do(["git", *command], target)
    last = newest(Repository(target).tags_before())
    return f"{last.major}.{last.minor + 1}.0" if last else FIRST


def hashes(clone: Path) -> Mapping[str, str]:
    """The tool's record of the hashes of the files that it built."""
    lines = (clone / "dist" / SUMS).read_text().splitlines()
    return {name: digest for digest, _, name in (line.partition("  ") for line in lines)}


def python(version: str) -> Path | None:
    """A Python of this version: one that is found by its name, or that pyenv has."""
    roots = [Path(root) for root in (os.environ.get("PYENV_ROOT"), Path.home() / ".pyenv") if root]
    found = [
        Path(path)
        for path in (shutil.which(f"python{version}"), shutil.which(f"python{version}", path="/usr/bin"))
        if path
    ]
    found += [path for root in roots for path in sorted((root / "versions").glob(f"{version}.*/bin/python{version}"))]
    works = "import ensurepip, sqlite3, ssl, sys, venv; print('%d.%d' % sys.version_info[:2])"
    for path in found:
        told = subprocess.run([str(path), "-c", works], capture_output=True, text=True, check=False)
        if told.stdout.strip() == version:
            return path
    return None


def installed_in(python: Path, folder: Path, *files: Path) -> Path:
    """Install files of the release in a virtual environment of their own. Returns its ``bin``."""
    folder.mkdir()
    _do([str(python), "-m", "venv", str(folder / "venv")], folder)
    quiet = ("--quiet", "--disable-pip-version-check", "--only-binary", ":all:")  # no compiler is needed
    _do([str(folder / "venv" / "bin" / "pip"), "install", *quiet, *map(str, files)], folder)
    return folder / "venv" / "bin"


class Installation:
    """The daemon and its client, in a virtual environment of their own; and the client in another one."""

    def __init__(self, python: Path, daemon: Path, client: Path, folder: Path) -> None:
        self._bin = installed_in(python, folder, client, daemon)
        self._television = installed_in(python, folder / "television", client)
        self._folder = folder

    def faults(self, version: str) -> Sequence[str]:
        """The differences from the expected behaviour."""
        strangers = DAEMON_ONLY & self.packages().keys()
        found = []
        said = _do([str(self._bin / "callnet"), "--version"], self._folder).strip()
        if said != f"callnet, version {version}":
            found.append(f"callnet --version says {said!r}")
        if not re.search(r"^\s+callnet\s", _do([str(self._bin / "twistd"), "--help"], self._folder), re.MULTILINE):
            found.append("twistd --help knows no callnet")
        found += [f"{name} is installed with the client" for name in sorted(strangers)]
        return [*found, *self._serve(version)]

    def packages(self) -> Mapping[str, str]:
        """The packages that the client brought along, with their versions."""
        told = _do(
            [str(self._television / "pip"), "--disable-pip-version-check", "list", "--format=json"], self._folder
        )
        return {canonicalize_name(row["name"]): row["version"] for row in json.loads(told)}

    def _serve(self, version: str) -> Sequence[str]:
        """Start its daemon, call, and ask how it is."""
        command, listeners = (str(self._bin / "twistd"), *OPTIONS), with_admin_socket(self._folder)
        with Daemon(self._folder, command=command, listeners=listeners) as daemon:
            asyncio.run(_call(daemon.ports))
            watched = self._watch(daemon)
            told = _do([str(self._bin / "callnet"), "--config", str(daemon.settings_file), "status"], self._folder)
        said = re.findall(r"^  version +(\S+)$", told, re.MULTILINE)
        faults = [] if said == [version] else [f"callnet status says version {said}"]
        return [*faults, *watched, *(f"the daemon logged {line}" for line in daemon.complaints())]

    def _watch(self, daemon: Daemon) -> Sequence[str]:
        """Start the television, and call it."""
        [program] = [block.text for block in readme.blocks(TELEVISION) if block.language == "python"]
        file, output = self._folder / "television.py", self._folder / "television.log"
        file.write_text(program)
        environment = {**os.environ, "SSL_CERT_FILE": str(daemon.certificate), "PYTHONUNBUFFERED": "1"}
        command = [str(self._television / "python"), str(file), daemon.site_url, TELEVISIONS_PHONE]
        with output.open("wb") as log, subprocess.Popen(command, env=environment, stdout=log, stderr=log) as television:
            try:
                wait_for(lambda: "online" in output.read_text(), START_LIMIT, "the television to be online")
                asyncio.run(_call_television(daemon.ports))
                wait_for(lambda: "meet at " in output.read_text(), START_LIMIT, "the television to say where to meet")
            finally:
                television.kill()
        told = output.read_text()
        lines = [line for line in program.splitlines() if line]
        expected = r"the television is connecting\nthe television is online\nmeet at https://\S+\n"
        return [
            *([f"the television's program has {len(lines)} lines"] if len(lines) > MOST_LINES else []),
            *([] if re.fullmatch(expected, told) else [f"the television said {told!r}"]),
        ]


async def _call_television(at: Mapping[str, int]) -> None:
    socket = await WebSocket.open(at["signaling"], await login(at["account"], *CALLER))
    device, television = Device(socket, CALLER), Address(TELEVISIONS_PHONE, "television")
    device.call(television)
    socket.say(**hang_up(television, (await device.until("call_success"))["room_id"]))
    device.close()


async def _call(at: Mapping[str, int]) -> None:
    tokens = [await login(at["account"], *device) for device in (CALLER, CALLEE)]
    await call(at["signaling"], tokens[0], tokens[1])


def _do(command: Sequence[str], folder: Path, variables: Mapping[str, str] | None = None, umask: int = UNMASKED) -> str:
    """Run a command. Returns its output.

    :raises subprocess.CalledProcessError: it failed; what it said is shown.
    """
    environment = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        command,
        cwd=folder,
        env={**environment, **(variables or {})},
        umask=umask,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        print((done.stdout + done.stderr)[-3000:])
        done.check_returncode()
    return done.stdout


def _from_the_sdist(sdist: Path, folder: Path) -> Sequence[str]:
    """Unpack it, see that no file of git is missing, and run some tests of its own."""
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    [tree] = folder.iterdir()
    known = _do(["git", "ls-files"], ROOT).splitlines()
    missing = {name for name in known if not (tree / name).exists() and not name.startswith((".git", "changes/"))}
    _do([sys.executable, "-m", "twisted.trial", FROM_THE_SDIST], tree)
    return [f"the sdist lacks {name}" for name in sorted(missing)]


def _tried(wanted: str, kind: str, dist: Path, version: str, folder: Path) -> tuple[str, Sequence[str]]:
    """Install daemon and client with a Python. Returns the installation in words, and the faults."""
    found = python(wanted)
    if found is None:
        return f"Python {wanted}, from the {kind}", [f"this machine has no Python {wanted}"]
    exactly = _do([str(found), "-c", "import platform; print(platform.python_version())"], folder).strip()
    daemon, client = (dist / f"{project}-{version}{KINDS[kind]}" for project in ("callnet", "callnet_client"))
    installation = Installation(found, daemon, client, folder / f"{wanted}-{kind}")
    faults = installation.faults(version)
    packages = " ".join(f"{name}=={version}" for name, version in sorted(installation.packages().items()))
    return f"Python {exactly}, from the {kind}s; a television has {packages}", faults


def _packed(clone: Path, version: str) -> Sequence[str]:
    """The faults of the package of the client in JavaScript: it has the same version, the tree has none."""
    manifest = clone / JAVASCRIPT / "package.json"
    told = json.loads(manifest.read_text())
    package = clone / "dist" / f"{told['name']}-{for_npm(version)}.tgz"
    if not package.exists():
        return [f"there is no {package.name}"]
    with tarfile.open(package) as archive:
        there = {name.removeprefix("package/") for name in archive.getnames()}
        archive.extractall(clone.parent / "packed", filter="data")
    packed = json.loads((clone.parent / "packed" / "package" / "package.json").read_text())
    modules = {str(path.relative_to(manifest.parent)) for path in manifest.parent.rglob("*.[jt]s")}
    faults = [f"{package.name} lacks {name}" for name in sorted(modules - there)]
    if packed != {**told, "version": for_npm(version)}:
        faults.append(f"{package.name} says {packed}")
    if _do(["git", "status", "--porcelain"], clone):
        faults.append("the release left something in the tree")
    return faults


def _built_again(clone: Path, folder: Path) -> Mapping[str, str]:
    """Build the commit of a clone in another one, as unlike the first time as can be. Returns the hashes."""
    _do(["git", "clone", "--quiet", str(clone), str(folder)], clone, umask=MASKED)
    _do([*LATER, sys.executable, "-m", "tools.release", "dist"], folder, ELSEWHERE, MASKED)
    return hashes(folder)


def prove(brief: bool, _seed: int) -> Outcome:
    """One release."""
    misses: list[str] = []
    with tempfile.TemporaryDirectory(prefix="callnet-release-") as name:
        clone, far, unpacked = (Path(name, part) for part in ("clone", "far", "unpacked"))
        version = fresh_clone(clone)
        _do([sys.executable, "-m", "tools.release", "release", version], clone)
        built = hashes(clone)
        counts: dict[str, object] = {"version": version, **built}
        far.mkdir()
        again = _built_again(clone, far / "away")
        misses += [f"built again, the hashes are others: {again}"] if again != built else []
        files = [clone / "dist" / file for file in built if file.endswith((".whl", ".tar.gz"))]
        _do([str(installed("twine", JUDGE)), "check", "--strict", *map(str, files)], clone)
        misses += _packed(clone, version)
        misses += _from_the_sdist(clone / "dist" / f"callnet-{version}.tar.gz", unpacked)
        tries = [(wanted, kind) for wanted in PYTHONS for kind in KINDS]
        # A slice has the oldest Python and the newest, each with another of the two kinds.
        for wanted, kind in (tries[0], tries[-1]) if brief else tries:
            what, faults = _tried(wanted, kind, clone / "dist", version, Path(name))
            counts[what] = "; ".join(faults) or "installed, started, served a call, and one of the television"
            misses += [f"{what}: {fault}" for fault in faults]
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "release",
    "a release made in a fresh clone, and built again in another folder, at another time and with another umask, has"
    " the same hashes; its wheels and its sdists are installed in empty virtual environments of Python 3.11, 3.12 and"
    " 3.13: the daemon tells its version, starts by twistd, and serves a call; the client, installed alone and without"
    " what only the daemon needs, answers one as the television of its README",
    prove,
)
