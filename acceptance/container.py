"""The container, built and run by an ordinary user with podman, by the commands of docs/packages.md.

* One with the settings of the image: two devices call each other, and again by a second container on the same volume.
* One with the settings for two households: it gets a certificate by ACME from pebble, and two browsers call each other
  over the coturn in it, by its name.
* ``compose.yaml``: the same over the relay beside it, with callnet in several processes that share Redis; and a backup.

The images that the recipes begin with cannot be fetched here. That of Debian is a minimal Debian; those of Redis and
PostgreSQL are Debian's packages on top, which go by what compose.yaml asks of the official ones. systemd does not run,
so the containers' checks of their health are run by the proof, and cgroups limit nothing. Docker is not tried.
"""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from acceptance import readme
from acceptance.namespaces import Namespace, ip
from acceptance.one_call import CALLEE, CALLER, call
from acceptance.podman import Podman, copy_tree
from acceptance.proof import Outcome, Proof
from acceptance.systems import minimal_debian
from harness import ROOT
from harness.daemon import START_LIMIT, wait_for
from harness.leaks import complaints
from harness.pebble import Pebble
from harness.ports import free_port
from harness.wire import login, post
from tests.browser.camera import Camera
from tests.browser.continuity import path
from tests.browser.stage import stage
from tests.browser.visitor import meet_over_relay

BASE: Final = "docker.io/library/debian:trixie-slim"
IMAGE: Final = "localhost/callnet"
VOLUME: Final = "/var/lib/callnet"
PACKAGES: Final = ROOT / "docs" / "packages.md"
BACKUP: Final = ROOT / "docs" / "backup.md"
STRANGER: Final = ("13900139000", "phone2")
ACCOUNT_PORT: Final = 8083
SIGNALING_PORT: Final = 8082
SITE_PORT: Final = 443
CLOSED: Final = "--read-only --tmpfs /tmp --cap-drop all"
CERTIFIED_IN: Final = 120.0
"""Seconds until there is a certificate, and a relay."""

NAME: Final = "calls.example.org"
OTHER_NAME: Final = "calls.example.net"
"""For compose.yaml, whose settings have the one of the page."""
ADDRESS: Final = "8.8.8.8"
"""A public one, to which a relay relays. It is that of a bridge with no other end."""
SERVICES: Final = ("database", "redis", "relay", "callnet")
STAND_INS: Final = {
    "docker.io/library/postgres:17": f"""
FROM {BASE}
RUN apt-get update && apt-get install --yes --no-install-recommends postgresql-17
ENV PATH=/usr/lib/postgresql/17/bin:/usr/bin:/bin PGDATA=/var/lib/postgresql/data
RUN install -d -o postgres -g postgres -m 0700 $PGDATA && install -d -o postgres -g postgres -m 3777 /var/run/postgresql
RUN printf '%s\\n' \\
    'set -eu' \\
    'postgres() {{ setpriv --reuid=postgres --regid=postgres --init-groups "$@"; }}' \\
    'if [ ! -s "$PGDATA/PG_VERSION" ]; then' \\
    '    postgres initdb --username="$POSTGRES_USER" --auth=trust --encoding=UTF8 --locale=C.UTF-8' \\
    '    echo "host all all all $POSTGRES_HOST_AUTH_METHOD" >>"$PGDATA/pg_hba.conf"' \\
    '    echo "CREATE DATABASE $POSTGRES_USER" | postgres postgres --single postgres' \\
    'fi' \\
    'exec setpriv --reuid=postgres --regid=postgres --init-groups "$@"' >/entrypoint
VOLUME /var/lib/postgresql/data
ENTRYPOINT ["sh", "/entrypoint"]
CMD ["postgres"]
""",
    "docker.io/library/redis:8": f"""
FROM {BASE}
RUN apt-get update && apt-get install --yes --no-install-recommends redis-server
RUN install -d -o redis -g redis /data
WORKDIR /data
VOLUME /data
ENTRYPOINT ["setpriv", "--reuid=redis", "--regid=redis", "--init-groups"]
""",
}
"""The recipes of the images of others that compose.yaml names."""


def version() -> str:
    """The version that this tree has, as ``make version`` prints it."""
    command = (sys.executable, "-m", "hatchling", "version")
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()


def lines_of(block: str) -> Sequence[str]:
    """The commands of a block."""
    return block.replace("\\\n", "").splitlines()


def published(run: str, image: Mapping[str, Any]) -> Sequence[str]:
    """The faults of the page's command for running an image: its ports, its volume, and its name."""
    *options, name = shlex.split(run)
    given = list(pairwise(options))
    ports = [value.partition(":")[2] for option, value in given if option == "--publish"]
    volumes = [value.partition(":")[2] for option, value in given if option == "--volume"]
    wrong = [
        f"the page publishes {port}, which the image does not have"
        for port in ports
        if f"{port}/tcp" not in image["ExposedPorts"]
    ]
    if volumes != [VOLUME] or not ports or name != IMAGE:
        wrong.append(f"the page runs {name} with {volumes} and {ports}")
    return wrong


def make_base(engine: Podman, folder: Path) -> None:
    """Make the image that the recipe begins with."""
    archive = folder / "base.tar"
    with minimal_debian("true") as system:
        # The recipe installs ca-certificates, which rebuilds the list of trusted certificates, of these too.
        trusted = system.root / "usr/local/share/ca-certificates"
        trusted.mkdir(parents=True, exist_ok=True)
        shutil.copy("/etc/ssl/certs/ca-certificates.crt", trusted / "as-here.crt")
        whole = ("tar", "--create", "--one-file-system", "--file", str(archive), "--directory", str(system.root), ".")
        subprocess.run(whole, check=True)
    engine.do("podman", "import", str(archive), BASE)
    archive.unlink()


def with_lines(settings: str, section: str, lines: str) -> str:
    """Settings with more lines in a section that they have."""
    head = f"[{section}]\n"
    if head not in settings:
        raise LookupError(f"the settings have no {head}")
    return settings.replace(head, head + lines)


class Life:
    """The containers, one after the other, in the network that this is in.

    :param source: a copy of the clone.
    :param folder: for what the browsers' cameras see.
    """

    def __init__(self, engine: Podman, source: Path, folder: Path, authority: Pebble) -> None:
        self._engine = engine
        self._source = source
        self._folder = folder
        self._authority = authority
        self.misses: list[str] = []
        self.calls = 0
        self.size = ""

    def tell(self, brief: bool) -> None:
        """All of it, or what one image shows."""
        build, run, add = lines_of(readme.command(PACKAGES, "podman build"))
        built = version()
        self._type(build.replace("$(make --silent version)", built), online=True)
        [image] = json.loads(self._engine.do("podman", "image", "inspect", IMAGE))
        self.size = f"{image['Size'] / 1e6:.0f} MB"
        config = image["Config"]
        self.misses += [f"it is run by {config['User']}"] if config["User"] in ("", "root", "0") else []
        self.misses += published(run, config)
        self._with_its_own_settings(run, add, built, brief)
        self._for_two_households()
        if brief:
            return
        for tag, recipe in STAND_INS.items():
            self._engine.build(tag, recipe)
        self._with_others()

    def _with_its_own_settings(self, run: str, add: str, built: str, brief: bool) -> None:
        """Two containers on the same volume, the second as closed as the page says that it may be.

        :param brief: only the first: the one for two households is on that volume, too, and as closed.
        """
        self._type(run)
        self._await_health("callnet")
        said = self._callnet("--version")
        self._expect(said == f"callnet, version {built}", f"its version is told as {said!r}")
        self._callnet("account", "add", *CALLER, "--no-secret")
        self._type(add)
        self._expect(tuple(shlex.split(add)[-2:]) == CALLEE, f"the page adds another device: {add}")
        self._callnet("account", "secret", *CALLEE, "--clear")  # the devices here cannot be told one
        asyncio.run(self._log_in())
        self._end("callnet")
        if brief:
            return
        self._type(run.replace("podman run", f"podman run {CLOSED}"))
        self._await_health("callnet")
        asyncio.run(self._call())
        self._end("callnet")

    async def _log_in(self) -> None:
        """Only devices that are known may log in; they call."""
        stranger = await post(ACCOUNT_PORT, "/account/login", {"phone": STRANGER[0], "device_id": STRANGER[1]})
        self._expect("token" not in stranger, "whoever is not known may log in")
        self._tokens = await login(ACCOUNT_PORT, *CALLER), await login(ACCOUNT_PORT, *CALLEE)
        await self._call()

    async def _call(self) -> None:
        """They call with the tokens that they have."""
        await call(SIGNALING_PORT, *self._tokens)
        self.calls += 1

    def _for_two_households(self) -> None:
        """One container for two households."""
        [settings] = [one.text for one in readme.blocks(PACKAGES) if one.text.startswith("one_port")]
        self._write_settings(settings)
        run, *rest = lines_of(readme.command(PACKAGES, "podman run"))
        self._expect(CLOSED in run, "the page runs it less closed than it may be")
        self._lend("callnet")
        self._type(run)
        self._await_health("callnet")
        for command in rest:
            self._type(command)
        self._await_site("callnet", NAME)
        self._use("callnet", NAME)
        self._end("callnet")

    def _with_others(self) -> None:
        """The containers of compose.yaml."""
        refused = self._engine.run("podman-compose", "up", "--detach", at=self._source)
        expected = "TURN_SECRET is not set"
        self._expect(
            bool(refused.returncode) and expected in refused.stdout, "it starts without a secret for the relay"
        )
        written, secret, up, invite = lines_of(readme.command(PACKAGES, "sed s/").replace("YOUR.NAME", OTHER_NAME))
        self._type(written)
        settings = (self._source / "callnet.toml").read_text()
        self._expect(NAME not in settings, "the settings for compose.yaml keep the name of the page")
        self._write_settings(settings)
        self._type(secret.replace("203.0.113.7", ADDRESS))
        self._lend("callnet_callnet")
        # It waits until those are healthy that others depend on, and nobody else asks them here.
        starting = subprocess.Popen(
            self._engine.command(*shlex.split(up), at=self._source),
            env=self._engine.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        containers = [f"callnet_{service}_1" for service in SERVICES]
        try:
            for container in containers:
                self._await_health(container)
        except BaseException:
            os.killpg(starting.pid, signal.SIGKILL)  # it would wait for ever
            raise
        finally:
            starting.wait()
        *others, callnet = containers
        self._await_site(callnet, OTHER_NAME)
        # podman-compose does not wait for the database before it starts callnet, which complains until it is there.
        since = f"--since={datetime.now(UTC).isoformat()}"
        self._type(invite)
        self._use(callnet, OTHER_NAME)
        self._back_up()
        for container in others:
            self._read_log(container)
        for container in containers:
            restarts = self._engine.do("podman", "inspect", "--format", "{{.RestartCount}}", container)
            self._expect(restarts == "0", f"{container} was restarted {restarts} times")
        self._end(callnet, since)
        self._engine.do("podman-compose", "down", at=self._source)

    def _back_up(self) -> None:
        """The commands for a backup with compose.yaml."""
        self._type(readme.command(BACKUP, "(umask 077; podman-compose"))
        keys = subprocess.run(["gzip", "--test", self._source / "keys.tar.gz"], check=False)
        self._expect(keys.returncode == 0, "the backup of the keys is not one")
        dump = (self._source / "database.sql").read_text()
        self._expect("PostgreSQL database dump complete" in dump, "the dump of the database is not whole")

    def _write_settings(self, settings: str) -> None:
        """Write settings of the page, with the authority that is there, and a relay for rooms without a call."""
        acme = f'directory = "{self._authority.directory}"\nca = "{VOLUME}/authority"\n'
        settings = with_lines(with_lines(settings, "tls.acme", acme), "turn", "adhoc = true\n")
        self._engine.do("tee", "callnet.toml", at=self._source, given=settings)

    def _lend(self, volume: str) -> None:
        """Put the certificates of the authority into a volume."""
        into = ("podman", "run", "--rm", "--interactive", f"--volume={volume}:{VOLUME}", IMAGE, "tee")
        self._engine.do(*into, "authority", given=self._authority.authority.read_text())
        self._engine.do(*into, "root", given=self._authority.root())

    def _await_site(self, container: str, name: str) -> None:
        """Look at the site and its relay from inside until there is no fault."""
        command = ("podman", "exec", f"--env=SSL_CERT_FILE={VOLUME}/root", container, "callnet")
        doctor = (*command, "doctor", "--site", f"https://{name}")
        try:
            wait_for(lambda: not self._engine.run(*doctor).returncode, CERTIFIED_IN, "a site without faults")
        except TimeoutError:
            print(
                self._engine.run(*doctor).stdout, self._engine.run("podman", "logs", "--tail", "40", container).stdout
            )
            raise
        found = self._engine.do(*doctor)
        relays = [line for line in found.splitlines() if line.endswith("accepts the secret and relays")]
        self._expect(any(f"turns:{name}:443" in line for line in relays), "nothing is relayed through port 443")

    def _use(self, container: str, name: str) -> None:
        """Call over the relay, with browsers."""
        with stage(f"https://{name}", self._folder) as browsers:
            flags = [f"--host-resolver-rules=MAP {name} {ADDRESS}"]
            both = [browsers.visitor(browsers.browser(one, flags=flags)) for one in (Camera.RED, Camera.BLUE)]
            meet_over_relay(both, secrets.token_hex(8))
            for visitor in both:
                self._expect(path(visitor) == ["relay", "relay"], f"{container}: there was a way without a relay")
            self.misses += browsers.complaints()
        self.calls += 1

    def _await_health(self, container: str) -> None:
        try:
            wait_for(lambda: self._engine.is_healthy(container), START_LIMIT, f"health of {container}")
        except TimeoutError:
            print(self._engine.run("podman", "logs", "--tail", "40", container).stdout)
            raise

    def _end(self, container: str, *part: str) -> None:
        """Stop a container as its image says, read its log or a part of it, and remove it."""
        self._engine.do("podman", "stop", container)
        state = self._engine.do("podman", "inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", container)
        self._expect(state == "exited 0", f"{container} is {state} after a stop")
        self._read_log(container, *part)
        self._engine.do("podman", "rm", container)

    def _read_log(self, container: str, *part: str) -> None:
        log = self._engine.run("podman", "logs", *part, container).stdout
        self.misses += [f"{container} logged {line}" for line in complaints(log)]

    def _type(self, command: str, *, online: bool = False) -> None:
        """Type a command of the page."""
        self._engine.do("sh", "-c", command, at=self._source, online=online)

    def _callnet(self, *words: str) -> str:
        return self._engine.do("podman", "exec", "callnet", "callnet", *words)

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.misses.append(otherwise)


def network(exits: ExitStack) -> Namespace:
    """A network with an address of its own, where users may have port 443, as the page tells root to have it."""
    namespace = Namespace(f"cn{os.getpid()}-box")
    exits.callback(namespace.remove)
    ip("-n", namespace.name, "link", "add", "outside", "type", "bridge")
    ip("-n", namespace.name, "address", "add", f"{ADDRESS}/24", "dev", "outside")
    ip("-n", namespace.name, "link", "set", "outside", "up")
    sysctl = PACKAGES.read_text().partition("as root (`")[2].partition("`")[0]
    subprocess.run([*namespace.command, *shlex.split(sysctl)], check=True, stdout=subprocess.DEVNULL)
    return namespace


def prove(brief: bool, _seed: int) -> Outcome:
    """One image, three containers of it, and four beside each other; a short slice only two of the three."""
    if os.getuid():
        return Outcome({}, ["only root can make a system to try this in"])
    with ExitStack() as exits:
        folder = Path(exits.enter_context(tempfile.TemporaryDirectory(prefix="callnet-container-")))
        folder.chmod(0o755)
        namespace = network(exits)
        hosts = {"localhost": "127.0.0.1", NAME: ADDRESS, OTHER_NAME: ADDRESS}
        engine = exits.enter_context(closing(Podman(folder, namespace, hosts)))
        make_base(engine, folder)
        source = engine.home / "callnet"
        copy_tree(ROOT, source)
        exits.enter_context(namespace.entered())
        authority = exits.enter_context(closing(Pebble(free_port(), SITE_PORT)))
        authority.start()
        life = Life(engine, source, folder, authority)
        life.tell(brief)
    counts = {
        "size of the image, with a whole Debian and coturn in it": life.size,
        "containers": 2 if brief else 3 + len(SERVICES),
        "calls": f"{life.calls}, {1 if brief else 2} of them between browsers over a relay",
    }
    return Outcome(counts, life.misses)


PROOF: Final = Proof(
    "container",
    "the container's recipe builds without root, and its image runs as docs/packages.md says: with its own settings,"
    " twice on one volume, for two households with a certificate and a relay, and by compose.yaml; it lets in only"
    " devices that are known, is healthy, and stops on its signal",
    prove,
)
