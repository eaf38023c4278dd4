"""Systems for a newcomer: this machine, and a minimal Debian in a folder, both used as an ordinary user."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from msgspec import Struct

SUITE: Final = "trixie"
USER: Final = "nobody:nogroup"
PATH: Final = "/usr/local/bin:/usr/bin:/bin"
BARE: Final = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "HOME": "/root", "DEBIAN_FRONTEND": "noninteractive"}
"""The environment of root."""

PASSED_ON: Final = re.compile(r"PIP_.*|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|.*_proxy|.*_PROXY")
"""The variables of this machine's environment that are needed to reach packages from here."""
OURS_ALONE: Final = ("sources.list.d/older-defaults-of-debian.sources", "preferences.d/installed-versions")
"""Parts of ``/etc/apt`` that name files of this machine, where it has them."""


class System(Struct, frozen=True):
    """A system whose root is the folder ``root``; ``home`` is an empty home in it, seen from this machine."""

    root: Path
    home: Path

    def run(self, script: str, log: Path, variables: dict[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Start a shell script in the home, as an ordinary user, in a process group of its own that Ctrl-C can end."""
        inside = "/" + str(self.home.relative_to(self.root))
        passed = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
        environment = {**passed, "HOME": inside, "PATH": PATH, "LANG": "C.UTF-8", **(variables or {})}
        with log.open("wb") as output:
            return subprocess.Popen(
                [
                    # A process in the background, such as a proof, ignores SIGINT, and so do its children.
                    *("env", "--default-signal=INT", "/usr/sbin/chroot", f"--userspec={USER}", str(self.root)),
                    *("sh", "-c", f"cd {inside} && {script}"),
                ],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def do(self, *command: str) -> str:
        """Run a command as root. Returns its output.

        :raises subprocess.CalledProcessError: it failed; what it printed is shown.
        """
        return _run("chroot", str(self.root), *command, env=BARE)


@contextmanager
def this_machine() -> Iterator[System]:
    """This machine, with an empty home."""
    with tempfile.TemporaryDirectory(prefix="callnet-newcomer-") as name:
        home = Path(name)
        _give_to_user(home)
        yield System(Path("/"), home)


@contextmanager
def minimal_debian(install: str, variant: str = "minbase") -> Iterator[System]:
    """A minimal Debian, in which root has run the command ``install``.

    :param variant: of mmdebstrap: ``important`` is what debootstrap installs.
    :raises subprocess.CalledProcessError: it could not be made.
    """
    with tempfile.TemporaryDirectory(prefix="callnet-debian-") as name:
        root = Path(name)
        root.chmod(0o755)
        _run("mmdebstrap", f"--variant={variant}", SUITE, str(root), _mirror())
        _run("mount", "-t", "proc", "proc", str(root / "proc"))
        try:
            _configure(root)
            home = root / "home" / "newcomer"
            system = System(root, home)
            system.do("sh", "-c", f"apt-get update && {install}")
            _trust_as_here(root)
            home.mkdir(parents=True)
            _give_to_user(home)
            yield system
        finally:
            # The folder is removed next, and that must not be tried through a mount.
            _run("umount", "--lazy", str(root / "proc"))


def _run(*command: str, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(command, env=env, stdin=subprocess.DEVNULL, capture_output=True, check=False)
    if done.returncode:
        print((done.stdout + done.stderr).decode(errors="replace")[-3000:])
        done.check_returncode()
    return done.stdout.decode(errors="replace")


def _give_to_user(folder: Path) -> None:
    user, group = USER.split(":")
    shutil.chown(folder, user, group)


def _mirror() -> str:
    """Where this machine gets its own packages from."""
    for path in (*Path("/etc/apt/sources.list.d").glob("*.sources"), Path("/etc/apt/sources.list")):
        text = path.read_text() if path.exists() else ""
        for found in re.findall(r"^(?:URIs:|deb (?:\[.*?\] )?)\s*(http\S+)", text, re.MULTILINE):
            if "security" not in found:
                return str(found)
    raise LookupError("/etc/apt names no mirror")


def _configure(root: Path) -> None:
    """Have the system reach the hosts that this machine reaches, in the same way."""
    shutil.rmtree(root / "etc" / "apt")
    shutil.copytree("/etc/apt", root / "etc" / "apt", symlinks=True)
    for name in OURS_ALONE:
        (root / "etc" / "apt" / name).unlink(missing_ok=True)
    for name in ("resolv.conf", "hosts"):
        shutil.copy(Path("/etc", name), root / "etc" / name)
    if Path("/etc/pip.conf").exists():
        shutil.copy("/etc/pip.conf", root / "etc" / "pip.conf")


def _trust_as_here(root: Path) -> None:
    """Give the system the certificates that this machine believes; the way to the packages may need them."""
    certificates = Path("/etc/ssl/certs/ca-certificates.crt")
    there = root / certificates.relative_to("/")
    there.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(certificates, there)
