"""An operator's commands, as the pages have them, as root in a minimal Debian: from installation to a restored backup.

A place of somebody's own that a page names (another machine, where the clone comes from, the day of a backup) is given
one here; nothing else of a block is changed. Everything but the installation happens in a network namespace.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final

from acceptance import readme
from acceptance.namespaces import Namespace
from acceptance.one_call import CALLEE, CALLER, call
from acceptance.proof import Outcome, Proof
from acceptance.root_shell import RootShell
from acceptance.services import Service, Unit
from acceptance.systems import System, minimal_debian
from harness import ROOT
from harness.daemon import START_LIMIT, STOP_LIMIT, wait_for
from harness.leaks import complaints
from harness.wire import login

DOCS: Final = ROOT / "docs"
BACKUP: Final = DOCS / "backup.md"
OPERATING: Final = DOCS / "operating.md"
NEEDED: Final = "adduser ca-certificates coturn git openssh-client openssh-server openssl python3-venv rsync systemd"
# Nothing that is installed may start by itself: it would listen on this machine's ports.
INSTALL: Final = (
    r"printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod 755 /usr/sbin/policy-rc.d"
    f" && apt-get install --yes --no-install-recommends {NEEDED}"
)
SSHD_LOG: Final = "var/log/sshd.log"
SSHD: Final = f"/usr/sbin/sshd -i -E /{SSHD_LOG}"
SOURCE: Final = "srv/callnet.git"
ELSEWHERE: Final = "srv/elsewhere"
"""The state of "another machine", which is a folder."""
SECRETS: Final = "etc/callnet/secrets"
UNIT: Final = "etc/systemd/system/callnet.service"
WANTED: Final = "etc/systemd/system/multi-user.target.wants"
ACCOUNT, SIGNALING, ADMIN = 8083, 8082, 8084


class Operator:
    """A person who follows the pages."""

    def __init__(self, system: System, folder: Path, counts: dict[str, object], misses: list[str]) -> None:
        self._system = system
        self._root = system.root
        self._log = folder / "log"
        self._counts = counts
        self._misses = misses
        self._typed = 0
        self._service: Service | None = None
        self._wanted = False
        """True if it was to be started."""
        self._connected = False
        """True if there is a network for it."""
        self._orders: list[str] = []
        self._tokens = ("", "")
        self.shell: Final = RootShell(system, self._order)

    def install(self) -> None:
        """The block of the installation, and its effects on systemd. It begins to serve in :meth:`tell`.

        A secret names the database: commands that do not know it miss the accounts of the service.
        """
        secrets = self._root / SECRETS
        secrets.parent.mkdir()
        secrets.write_text("CALLNET_DATABASE_URL=sqlite:////var/lib/callnet/accounts.db\n")
        secrets.chmod(0o600)
        source = self._root / SOURCE
        subprocess.run(["git", "clone", "--quiet", "--bare", "--no-local", str(ROOT), str(source)], check=True)
        self._move_to(source, "HEAD~1")
        self.type(OPERATING, "adduser --system", {"git clone …": f"git clone --quiet /{SOURCE}"})
        self._expect((self._root / WANTED / "callnet.service").is_symlink(), "the service is not enabled")

    def tell(self, desk: Namespace) -> None:
        """The rest, in the network that it is for."""
        self._connected = True
        self._start()
        self._call()
        functions = readme.command(OPERATING, "callnet() (").rpartition("callnet key list")[0]
        said = self.type(OPERATING, "callnet() (")
        self._expect("signs" in said, f"callnet key list says {said}")
        said = self.type(DOCS / "incidents.md", "callnet status", before=functions)
        self._expect("callnet is ready." in said, f"callnet status says {said}")
        self._watch_from(desk)
        self._share_keys(functions)
        self._back_up(functions)
        self._relay()
        self._upgrade()
        self._enable_several()
        self._stop()
        self._counts["blocks"] = self._typed
        self._counts["orders to systemd"] = ", ".join(self._orders)

    def type(self, page: Path, beginning: str, places: dict[str, str] | None = None, before: str = "") -> str:
        """Type the block of a page that begins like this. Returns its output.

        :param places: what is there in place of what the page names.
        :param before: what was typed before, in the same shell.
        """
        script = readme.command(page, beginning)
        for theirs, ours in (places or {}).items():
            if theirs not in script:
                raise LookupError(f"{page.name} does not name {theirs}")
            script = script.replace(theirs, ours)
        self._typed += 1
        return self.shell.type(before + script)

    # The work of systemd

    def _order(self, verb: str, unit: str) -> bool:
        self._orders.append(f"{verb} {unit}")
        if unit != "callnet":
            return unit == "coturn" or (self._root / "etc/systemd/system" / _file_of(unit)).exists()
        if verb in ("stop", "restart"):
            self._stop()
        if verb in ("start", "restart"):
            self._wanted = True
            if self._connected:
                self._start()
        if verb == "reload":
            self._daemon().process.send_signal(signal.SIGHUP)
        return True

    def _start(self) -> None:
        if not self._wanted:
            raise LookupError("nobody has asked for the service to be started")
        self._service = Service(self._system, Unit(self._root / UNIT), self._log)
        self._service.await_ready(START_LIMIT)

    def _daemon(self) -> Service:
        if self._service is None:
            raise LookupError("the service does not run")
        return self._service

    def _stop(self) -> None:
        if self._service is not None:
            service, self._service = self._service, None
            service.stop(STOP_LIMIT)
            self._misses += [f"the service logged {line}" for line in complaints(self._log.read_text())]

    def end(self) -> None:
        """Leave nothing behind."""
        self._stop()
        self.shell.close()

    # The actions

    def _call(self) -> None:
        """Two devices call each other, with the tokens of before if they have some."""

        async def both() -> None:
            if not self._tokens[0]:
                self._tokens = await login(ACCOUNT, *CALLER), await login(ACCOUNT, *CALLEE)
            await call(SIGNALING, *self._tokens)

        asyncio.run(both())
        self._counts["calls"] = int(str(self._counts.get("calls", 0))) + 1

    def _watch_from(self, desk: Namespace) -> None:
        """The dashboard, from another machine: its port is carried by SSH."""
        self._make_ssh(f"nsenter --net=/proc/{self._daemon().process.pid}/ns/net {SSHD}")
        with desk.entered(), self._holding(readme.command(DOCS / "monitoring.md", "ssh -L")):
            try:
                wait_for(_answers, 20, "the operator's listener by way of SSH")
            except TimeoutError:
                print((self._root / SSHD_LOG).read_text())
                raise
        self._typed += 1

    def _share_keys(self, functions: str) -> None:
        """A key is brought to another machine before it signs."""
        (self._root / ELSEWHERE / "signing.key.d").mkdir(parents=True)
        there = self._root / "usr/local/bin/there"
        there.write_text(
            f'#!/bin/sh\nexec sh -c "$(echo "$SSH_ORIGINAL_COMMAND" | sed s,/var/lib/callnet,/{ELSEWHERE},)"\n'
        )
        there.chmod(0o755)
        self._make_ssh(f"{SSHD} -o ForceCommand=/usr/local/bin/there")
        self.shell.type(f"{functions}callnet key add --signs-in 3600")
        self.type(OPERATING, "rsync --archive", {"HOST:": "callnet.example.org:"})
        kept, sent = (self._root / place / "signing.key.d" for place in ("var/lib/callnet", ELSEWHERE))
        names = sorted(path.name for path in kept.iterdir())
        self._expect(bool(names) and names == sorted(path.name for path in sent.iterdir()), "the key did not arrive")
        wait_for(lambda: "reloaded the signing keys: 2 in use" in self._log.read_text(), 20, "the reload")

    def _back_up(self, functions: str) -> None:
        """A backup; an account that is deleted; it is back."""
        self.type(BACKUP, "install -d -o callnet", before=functions)
        self.shell.type(f"{functions}callnet account delete {CALLER[0]} --yes")
        today = time.strftime("%Y-%m-%d", time.gmtime())
        self.type(BACKUP, "systemctl stop callnet", {"2026-11-26": today}, before=functions)
        self._expect(CALLER[0] in self.shell.type(f"{functions}callnet account list"), "the account is not back")
        self._call()

    def _relay(self) -> None:
        """The relay's secret is made, and coturn knows it."""
        self.type(DOCS / "turn.md", "(umask 077", before="cd /root\n")
        secret = (self._root / "root/turn.secret").read_text().strip()
        said = self.shell.type("runuser -u turnserver -- turnadmin --realm=turn.example.org --show-secret")
        self._expect(bool(secret) and secret in said, "coturn does not know the secret")
        self._expect((self._root / "root/turn.secret").stat().st_mode & 0o77 == 0, "others may read the secret")

    def _upgrade(self) -> None:
        """Upgrade from the commit before to this one."""
        self._move_to(self._root / SOURCE, "HEAD")
        self.type(DOCS / "upgrading.md", "cd /opt/callnet")
        there = self.shell.type("git -C /opt/callnet rev-parse HEAD").strip()
        self._expect(there == _git(ROOT, "rev-parse", "HEAD"), "the upgrade is not at this commit")
        self._call()

    def _enable_several(self) -> None:
        """The units of several processes are there, and systemd takes them; the one service is stopped and disabled."""
        self.type(OPERATING, "cp etc/callnet.target", before="cd /opt/callnet\n")
        enabled = [path.name for path in (self._root / "etc/systemd/system").glob("*.wants/callnet*")]
        wanted = {"callnet@1.service", "callnet@2.service", "callnet.target", "callnet-site.socket"}
        self._expect(wanted <= set(enabled), f"these are enabled: {sorted(enabled)}")
        self._expect("callnet.service" not in enabled, "the one service is still enabled")
        self._expect(self._service is None, "the one service still runs")
        self.shell.type("systemd-analyze verify /etc/systemd/system/callnet@1.service")

    def _make_ssh(self, server: str) -> None:
        """Have ssh reach ``callnet.example.org`` by a command, with a key."""
        folder = self._root / "root/.ssh"
        if not (folder / "id_ed25519").exists():
            self.shell.type(
                "install -d -m 0700 /root/.ssh /run/sshd && ssh-keygen -A"
                " && ssh-keygen -q -N '' -t ed25519 -f /root/.ssh/id_ed25519"
                " && cp /root/.ssh/id_ed25519.pub /root/.ssh/authorized_keys"
            )
        (folder / "config").write_text(
            f"Host callnet.example.org\n  StrictHostKeyChecking accept-new\n  ProxyCommand {server}\n"
        )

    @contextmanager
    def _holding(self, script: str) -> Iterator[None]:
        """Type a command that lasts until its terminal is closed."""
        with subprocess.Popen(
            self.shell.command(script), env=self.shell.environment, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as process:
            # At its end the terminal is closed, and then the command is waited for.
            yield
            process.communicate(timeout=STOP_LIMIT)

    def _move_to(self, source: Path, revision: str) -> None:
        """Have the repository that is cloned be at a revision of this one; a clone without history has HEAD alone."""
        with suppress(subprocess.CalledProcessError):
            _git(
                source,
                "update-ref",
                _git(source, "symbolic-ref", "HEAD"),
                _git(ROOT, "rev-parse", "--verify", revision),
            )

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self._misses.append(otherwise)


def _git(place: Path, *words: str) -> str:
    command = ["git", "-C", str(place), *words]
    return subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.strip()


def _file_of(unit: str) -> str:
    """The file of a unit, such as ``callnet@.service`` of ``callnet@1``."""
    named = unit if re.search(r"\.(service|socket|target)$", unit) else f"{unit}.service"
    return re.sub(r"@[^.]+", "@", named)


def _answers() -> bool:
    try:
        with closing(socket.create_connection(("127.0.0.1", ADMIN), 1)) as connection:
            connection.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return connection.recv(100).startswith(b"HTTP/1.1 200")
    except OSError:
        return False


def prove(_brief: bool, _seed: int) -> Outcome:
    """Once."""
    if os.getuid():
        return Outcome({}, ["only root can make a system to try this in"])
    counts: dict[str, object] = {}
    misses: list[str] = []
    with tempfile.TemporaryDirectory(prefix="callnet-operator-") as name, minimal_debian(INSTALL) as system:
        operator = Operator(system, Path(name), counts, misses)
        namespaces = [Namespace(f"cn{os.getpid()}-{place}") for place in ("house", "desk")]
        try:
            operator.install()
            with namespaces[0].entered():
                operator.tell(namespaces[1])
        finally:
            operator.end()
            for namespace in namespaces:
                namespace.remove()
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "operator",
    "what the pages have an operator type as root, from an installation to a backup that is put back, a relay's secret,"
    " keys for another machine and an upgrade, does in a minimal Debian what they say, and devices call on",
    prove,
)
