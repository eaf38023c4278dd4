"""The container: built by ``Containerfile`` as it stands, run as the image says, stopped, and run again on its volume.

The commands are those of docs/packages.md, with buildah in the place of podman.

The image that the recipe begins with is a minimal Debian, made here and called by that name: images are fetched from
nowhere. buildah builds and runs without namespaces of its own (``--isolation chroot``), in a network namespace of the
proof's. So what an engine does to keep a container in, such as a root file system that is read-only, is not tried.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from acceptance import readme
from acceptance.namespaces import Namespace
from acceptance.one_call import CALLEE, CALLER, call
from acceptance.proof import Outcome, Proof
from acceptance.systems import minimal_debian
from harness import ROOT
from harness.daemon import START_LIMIT, STOP_LIMIT, wait_for
from harness.leaks import complaints
from harness.wire import login, post

BASE: Final = "docker.io/library/debian:trixie-slim"
IMAGE: Final = "localhost/callnet"
VOLUME: Final = "/var/lib/callnet"
PACKAGES: Final = ROOT / "docs" / "packages.md"
STRANGER: Final = ("13900139000", "phone2")
ACCOUNT_PORT: Final = 8083
SIGNALING_PORT: Final = 8082


class Engine:
    """buildah, with a store of its own in a folder."""

    def __init__(self, folder: Path) -> None:
        places = ("--root", str(folder / "images"), "--runroot", str(folder / "running"))
        self._command = ("buildah", *places, "--storage-driver", "vfs")
        # Root in a container of this machine's own may not raise its limits, as buildah would by itself.
        kinds = {"nofile": resource.RLIMIT_NOFILE, "nproc": resource.RLIMIT_NPROC}
        limits = [f"{name}={':'.join(map(str, resource.getrlimit(kind)))}" for name, kind in kinds.items()]
        settings = folder / "containers.conf"
        settings.write_text(f"[containers]\ndefault_ulimits = {json.dumps(limits)}\n")
        self.environment: Final = {**os.environ, "CONTAINERS_CONF": str(settings)}

    def do(self, *words: str) -> str:
        """Have it do something. Returns its output.

        :raises subprocess.CalledProcessError: it did not; what it said is shown.
        """
        done = subprocess.run(
            [*self._command, *words],
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            print((done.stdout + done.stderr).decode(errors="replace")[-3000:])
            done.check_returncode()
        return done.stdout.decode().strip()

    def running(self, container: str, volume: Path, command: Sequence[str]) -> Sequence[str]:
        """The command that runs a command in a container."""
        options = ("--isolation", "chroot", "--volume", f"{volume}:{VOLUME}")
        return (*self._command, "run", *options, container, "--", *command)


def version() -> str:
    """The version that this tree has, as ``make version`` prints it."""
    command = (sys.executable, "-m", "hatchling", "version")
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def podman(verb: str) -> Sequence[str]:
    """The page's arguments for podman: the words after the verb."""
    commands = readme.command(PACKAGES, "podman build").replace("\\\n", "").splitlines()
    [words] = [words for words in map(shlex.split, commands) if words[:2] == ["podman", verb]]
    return words[2:]


def published(image: Mapping[str, Any]) -> Sequence[str]:
    """The faults of the page's command for running an image: its ports, its volume, and its name."""
    *options, name = podman("run")
    given = list(pairwise(options))
    ports = [value.partition(":")[2] for option, value in given if option == "--publish"]
    volumes = [value.partition(":")[2] for option, value in given if option == "--volume"]
    wrong = [
        f"the page publishes {port}, which the image does not have"
        for port in ports
        if f"{port}/tcp" not in image["ExposedPorts"]
    ]
    if volumes != [VOLUME] or not ports or not IMAGE.endswith(f"/{name}"):
        wrong.append(f"the page runs {name} with {volumes} and {ports}")
    return wrong


def build(engine: Engine, folder: Path) -> Mapping[str, Any]:
    """Make the image. Returns its metadata."""
    archive = folder / "base.tar"
    with minimal_debian("true") as system:
        # The recipe installs ca-certificates, which rebuilds the list of trusted certificates, of these too.
        trusted = system.root / "usr/local/share/ca-certificates"
        trusted.mkdir(parents=True, exist_ok=True)
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", trusted / "as-here.crt")
        whole = ("tar", "--create", "--one-file-system", "--file", str(archive), "--directory", str(system.root), ".")
        subprocess.run(whole, check=True)
    base = engine.do("from", "scratch")
    engine.do("add", base, str(archive), "/")
    engine.do("commit", "--rm", base, BASE)
    archive.unlink()
    *options, context = (word.replace("$(make --silent version)", version()) for word in podman("build"))
    offline = ("--isolation", "chroot", "--pull-never", "--format", "docker")
    engine.do("build", *offline, *options, str(ROOT / context))
    inspected: Mapping[str, Any] = json.loads(engine.do("inspect", "--type", "image", IMAGE))["Docker"]["config"]
    return inspected


class Life:
    """One container after the other, on the same volume."""

    def __init__(
        self, engine: Engine, image: Mapping[str, Any], folder: Path, namespace: Namespace, misses: list[str]
    ) -> None:
        self._engine = engine
        self._image = image
        self._folder = folder
        self._namespace = namespace
        self._misses = misses
        self._tokens = ("", "")
        self._container = self._new()
        # An engine gives a new volume the owner and the mode that the folder has in the image.
        there = Path(engine.do("mount", self._container)) / VOLUME.lstrip("/")
        self._volume = folder / "volume"
        self._volume.mkdir(there.stat().st_mode)
        os.chown(self._volume, there.stat().st_uid, there.stat().st_gid)

    def tell(self) -> None:
        """All of it."""
        said = self._do("callnet", "--version").strip()
        self._expect(said == f"callnet, version {version()}", f"its version is told as {said!r}")
        self._do("callnet", "account", "add", *CALLER, "--no-secret")
        _, *command = podman("exec")
        self._do(*command)
        self._expect(tuple(command[-2:]) == CALLEE, f"the page adds another device: {command}")
        self._do("callnet", "account", "secret", *CALLEE, "--clear")  # the devices here cannot be told one
        self._serve(self._first_time)
        self._container = self._new()
        self._serve(self._again)

    def _new(self) -> str:
        """A container that has just the image. Returns its name."""
        return self._engine.do("from", "--pull-never", IMAGE)

    def _serve(self, use: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Run the container, use it, and stop it as the image says."""
        log = self._folder / "log"
        with log.open("wb") as output:
            command = self._engine.running(self._container, self._volume, self._image["Cmd"])
            process = subprocess.Popen(
                command,
                env=self._engine.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
            )
        try:
            wait_for(lambda: self._is_healthy(process), START_LIMIT, "a healthy container")
            asyncio.run(use())
            os.kill(_daemon(self._namespace), signal.Signals[self._image["StopSignal"]])
            process.wait(STOP_LIMIT)
        except BaseException:
            print(log.read_text(errors="replace")[-2000:])
            for pid in _pids(self._namespace):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.wait()
            raise
        # buildah reports neither the exit status nor the last output: the check is that it ended in time.
        self._expect(self._check() != 0, "it is still healthy when it has been stopped")
        self._misses += [f"it logged {line}" for line in complaints(log.read_text(errors="replace"))]

    async def _first_time(self) -> None:
        """Only devices that are known may log in; they call."""
        stranger = await post(ACCOUNT_PORT, "/account/login", {"phone": STRANGER[0], "device_id": STRANGER[1]})
        self._expect("token" not in stranger, "whoever is not known may log in")
        self._tokens = await login(ACCOUNT_PORT, *CALLER), await login(ACCOUNT_PORT, *CALLEE)
        await call(SIGNALING_PORT, *self._tokens)

    async def _again(self) -> None:
        """They call with the tokens of before."""
        await call(SIGNALING_PORT, *self._tokens)

    def _is_healthy(self, process: subprocess.Popen[bytes]) -> bool:
        """The result of the image's own check.

        :raises ChildProcessError: the container ended.
        """
        if process.poll() is not None:
            raise ChildProcessError(f"the container ended with status {process.returncode}")
        return self._check() == 0

    def _check(self) -> int:
        """The status of the command by which the image is asked how it is."""
        kind, *command = self._image["Healthcheck"]["Test"]
        if kind != "CMD":
            raise ValueError(f"the check of the image is {kind}")
        running = self._engine.running(self._container, self._volume, command)
        environment = self._engine.environment
        return subprocess.run(
            running, env=environment, stdin=subprocess.DEVNULL, capture_output=True, check=False
        ).returncode

    def _do(self, *command: str) -> str:
        """Run a command in the container. Returns its output."""
        running = self._engine.running(self._container, self._volume, command)
        environment = self._engine.environment
        return subprocess.run(
            running, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True
        ).stdout

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self._misses.append(otherwise)


def _pids(namespace: Namespace) -> Sequence[int]:
    """The processes in a network namespace, but for this one."""
    told = subprocess.run(["ip", "netns", "pids", namespace.name], capture_output=True, text=True, check=True).stdout
    return [pid for pid in map(int, told.split()) if pid != os.getpid()]


def _daemon(namespace: Namespace) -> int:
    """The process that the container runs, which an engine would give the signal to."""
    for pid in _pids(namespace):
        with suppress(FileNotFoundError, ProcessLookupError):  # a check of its health may be over by now
            words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
            if len(words) > 1 and words[1].endswith(b"/twistd"):
                return pid
    raise LookupError("the daemon does not run")


def prove(_brief: bool, _seed: int) -> Outcome:
    """One image, and two containers of it."""
    if os.getuid():
        return Outcome({}, ["only root can make a system to try this in"])
    misses: list[str] = []
    with tempfile.TemporaryDirectory(prefix="callnet-container-") as name:
        engine = Engine(Path(name))
        image = build(engine, Path(name))
        namespace = Namespace(f"cn{os.getpid()}-box")
        try:
            with namespace.entered():
                Life(engine, image, Path(name), namespace, misses).tell()
        finally:
            namespace.remove()
        size = engine.do("images", "--format", "{{.Size}}", IMAGE)
    misses += [f"it is run by {image['User']}"] if image["User"] in ("", "root", "0") else []
    misses += published(image)
    misses += [f"the image has no volume {VOLUME}"] if VOLUME not in image["Volumes"] else []
    return Outcome({"size of the image, with a whole Debian in it": size, "containers": 2, "calls": 2}, misses)


PROOF: Final = Proof(
    "container",
    "the container's recipe builds, its image runs without root and is healthy, lets in only devices that are known,"
    " stops on its signal, and a second container on the same volume knows the tokens of the first",
    prove,
)
