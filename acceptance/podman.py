"""podman as an ordinary user, in a network of its own, with a store in a folder. For root only.

What podman needs of a machine is mounted where it alone sees it: control groups of the second version, without
controllers, numbers of users for the containers, and names of hosts.
"""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from acceptance.namespaces import Namespace
from acceptance.systems import PASSED_ON, USER

_PLACE: Final = """
umount --recursive /sys/fs/cgroup
mount -t cgroup2 none /sys/fs/cgroup
mount -t tmpfs none /dev/shm
for file in subuid subgid hosts; do mount --bind {folder}/$file /etc/$file; done
echo
exec cat
"""
_SETTINGS: Final = """
[containers]
cgroups = "disabled"
[engine]
cgroup_manager = "cgroupfs"
events_logger = "file"
"""
_NUMBERS: Final = "{user}:200000:65536\n"


class Podman:
    """The engine.

    :param folder: for everything; the user must be able to reach it.
    :param namespace: the network of the containers.
    :param hosts: names, with their addresses, that are known there.
    """

    def __init__(self, folder: Path, namespace: Namespace, hosts: Mapping[str, str]) -> None:
        self.home: Final = folder / "home"
        """The user's home, where its commands are run."""
        user, group = USER.split(":")
        for place in (self.home, self.home / "run"):
            place.mkdir(0o700)
            shutil.chown(place, user, group)
        (folder / "containers.conf").write_text(_SETTINGS)
        (folder / "hosts").write_text("".join(f"{address} {name}\n" for name, address in hosts.items()))
        for name in ("subuid", "subgid"):
            (folder / name).write_text(_NUMBERS.format(user=user))
        self._network = f"--net=/run/netns/{namespace.name}"
        self._as_user = ("setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups")
        passed = {name: value for name, value in os.environ.items() if PASSED_ON.fullmatch(name)}
        self.environment: Final = {
            **passed,
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "XDG_RUNTIME_DIR": str(self.home / "run"),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "BUILDAH_LAYERS": "false",  # nothing is built twice
        }
        # The place is there until the input of its process ends.
        self._place = subprocess.Popen(
            ["unshare", "--mount", "sh", "-euc", _PLACE.format(folder=shlex.quote(str(folder)))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        if not (self._place.stdout and self._place.stdout.readline()):
            raise ChildProcessError("no place could be made for podman")

    def command(self, *words: str, at: Path | None = None, online: bool = False) -> Sequence[str]:
        """The command that runs a command as the user.

        :param at: the folder to be in; ``None``: its home.
        :param online: in the network that the engine was made in.
        """
        there = ("nsenter", f"--target={self._place.pid}", "--mount", "--net" if online else self._network)
        return (*there, *self._as_user, "env", f"--chdir={at or self.home}", *words)

    def run(
        self, *words: str, at: Path | None = None, online: bool = False, given: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a command as the user.

        :param given: its input.
        """
        return subprocess.run(
            self.command(*words, at=at, online=online),
            env=self.environment,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            check=False,
        )

    def do(self, *words: str, at: Path | None = None, online: bool = False, given: str = "") -> str:
        """The same for a command that must not fail. Returns its output.

        :raises subprocess.CalledProcessError: it failed; its output is shown.
        """
        done = self.run(*words, at=at, online=online, given=given)
        if done.returncode:
            print(done.stdout[-3000:])
            done.check_returncode()
        return done.stdout.strip()

    def is_healthy(self, container: str) -> bool:
        """Ask a container how it is, by its own check. Where systemd runs, its timers do that."""
        return self.run("podman", "healthcheck", "run", container).returncode == 0

    def build(self, tag: str, recipe: str) -> None:
        """Make an image by a recipe that needs no other files."""
        self.do("podman", "build", "--tag", tag, "--file", "-", online=True, given=recipe)

    def close(self) -> None:
        """End all containers, and leave the place."""
        with suppress(subprocess.CalledProcessError):
            self.do("podman", "rm", "--all", "--force", "--time", "0")
        with suppress(OSError, ValueError):  # the process that keeps the user's namespaces
            os.kill(int((self.home / "run/libpod/tmp/pause.pid").read_text()), signal.SIGKILL)
        self._place.communicate()


def copy_tree(source: Path, target: Path) -> None:
    """Copy the files of a clone, as they are, for a user who may not be able to read it."""
    listed = subprocess.run(["git", "-C", str(source), "ls-files", "-z"], check=True, stdout=subprocess.PIPE).stdout
    for name in filter(None, listed.decode().split("\0")):
        if (source / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / name, target / name)
    user, group = USER.split(":")
    for path in (target, *target.rglob("*")):
        shutil.chown(path, user, group)
