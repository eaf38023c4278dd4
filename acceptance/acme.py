"""A certificate by ACME (RFC 8555) as in docs/tls.md: callnet gets it itself, or certbot does and a hook copies it.

The authority is pebble, which asks where the names lead to, as Let's Encrypt does. The certificate is got once, and
renewed under open connections. Where callnet does that, it has a relay, too, whose secret is replaced in the same
moment under calls over it; the one of before is then dropped, as after the longest time that credentials last.
"""

from __future__ import annotations

import asyncio
import grp
import os
import shlex
import signal
import socket
import sqlite3
import ssl
import subprocess
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Final

from acceptance import readme
from acceptance.daemon import WITHOUT_LIMITS, CountedDaemon, running
from acceptance.proof import Outcome, Proof
from acceptance.relayed_calls import RelayedCall
from acceptance.tls import BRIEF, CONNECTIONS, TAKEN_UP_IN
from callnet.acme.renewal import AcmeFolder
from callnet.config.load import relay_directory
from callnet.ops.certificates import sign, to_pem
from callnet.relay.turnserver_conf import DATABASE, KEPT_FOR, REPLACED_AFTER, RelaySecrets
from harness import ROOT
from harness.daemon import LISTENERS, wait_for
from harness.pebble import Pebble
from harness.ports import free_ports
from harness.tls_line import Line
from harness.wire import HOST, login, post

TLS: Final = ROOT / "docs" / "tls.md"
NAME: Final = "callnet.example.org"
THERE: Final = "/etc/callnet/tls"
"""Where the recipe puts the files."""
CERTBOTS: Final = "/etc/letsencrypt"
"""Where certbot keeps its own without being told otherwise."""
CALLS: Final = 20
"""Over the relay, while its secret is replaced."""
RELAY: Final = """
[turn]
relay = "supervised"
[turn.supervised]
host = "127.0.0.1"
port = {port}
listening_addresses = ["127.0.0.1"]
allowed_peers = ["127.0.0.0/8"]
"""
_CERTBOT_TAKES: Final = 120.0
_ORDER_TAKES: Final = 120.0


class Certbot:
    """certbot, as the recipe calls it, but on ports of ours and with that authority.

    :param folder: where it keeps its own.
    :param http: the port that stands for 80.
    """

    def __init__(self, folder: Path, authority: Pebble, http: int) -> None:
        self.config: Final = folder / "certbot" / "config"
        self._authority = authority
        self._http = http

    def get(self) -> None:
        """Get a certificate for the first time."""
        _, *arguments = shlex.split(readme.command(TLS, "certbot certonly").replace(CERTBOTS, str(self.config)))
        self._certbot(
            *(*arguments, f"--http-01-address={HOST}", f"--http-01-port={self._http}"),
            *(f"--server={self._authority.directory}", "--agree-tos", "--register-unsafely-without-email"),
        )

    def renew(self) -> None:
        """Renew it, though it is not time yet."""
        self._certbot("renew", "--force-renewal", "--no-random-sleep-on-renew")

    def _certbot(self, *arguments: str) -> None:
        """Run certbot.

        :raises subprocess.CalledProcessError: it could not do that.
        """
        places = (f"--{kind}-dir={self.config.parent}/{kind}" for kind in ("config", "work", "logs"))
        done = subprocess.run(
            ["certbot", *arguments, *places, "--non-interactive"],
            env={**os.environ, "REQUESTS_CA_BUNDLE": str(self._authority.authority)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=_CERTBOT_TAKES,
            check=False,
        )
        if done.returncode:
            print(done.stdout)
            done.check_returncode()


def lay_hook(config: Path, files: Path) -> None:
    """Lay the hook of the recipe where certbot looks for it. It copies to another place, for another group."""
    hook = config / "renewal-hooks" / "deploy" / "callnet"
    hook.parent.mkdir(parents=True)
    group = grp.getgrgid(os.getgid()).gr_name
    hook.write_text(readme.command(TLS, "#!/bin/sh").replace(THERE, str(files)).replace("-g callnet", f"-g {group}"))
    hook.chmod(0o755)


def shown(port: int, root: str) -> bytes | None:
    """The certificate for a client that asks for the name and trusts only the authority, in DER.

    ``None``: it is not to be believed.
    """
    context = ssl.create_default_context(cadata=root)
    try:
        with (
            socket.create_connection((HOST, port), 30) as plain,
            context.wrap_socket(plain, server_hostname=NAME) as client,
        ):
            return client.getpeercert(binary_form=True)
    except ssl.SSLCertVerificationError:
        return None


def settings_of(key: str) -> str:
    """The settings on the page that begin with this one, after their heading."""
    [found] = [
        one.text for one in readme.blocks(TLS) if one.language == "toml" and one.text.split("\n")[1].startswith(key)
    ]
    return found


def by_certbot(folder: Path, authority: Pebble, http: int) -> list[str]:
    """Let certbot get one, and renew it. Returns the faults."""
    files = folder / "files"
    certbot = Certbot(folder, authority, http)
    lay_hook(certbot.config, files)
    certbot.get()
    with running(settings_of("certificate").replace(THERE, str(files))) as daemon:
        port, root = daemon.ports["site"], authority.root()
        return renewed(daemon, port, root, 1, certbot.renew)


def by_callnet(authority: Pebble, settings: str, port: int, count: int) -> list[str]:
    """Let callnet get one, and renew it. Returns the faults.

    :param settings: its own.
    :param port: of its site.
    """
    acme = f'directory = "{authority.directory}"\nca = "{authority.authority}"\n'
    its_relay = RELAY.format(port=free_ports(1)[0])
    listeners = LISTENERS.replace('site = [{ endpoint = "tcp:0:', f'site = [{{ endpoint = "tcp:{port}:')
    with (
        tempfile.TemporaryDirectory(prefix="callnet-proof-") as folder,
        CountedDaemon(Path(folder), WITHOUT_LIMITS + settings + acme + its_relay, listeners=listeners) as daemon,
    ):
        root = authority.root()

        def grow_old() -> None:
            """Let it be time, and have the daemon look."""
            own = AcmeFolder(str(daemon.state_dir), authority.directory)
            own.write(own.certificate, to_pem(sign([NAME], [], datetime.now(UTC) - timedelta(days=700))))
            for passed in (REPLACED_AFTER + 1, REPLACED_AFTER + KEPT_FOR + 1):
                RelaySecrets(str(daemon.state_dir), partial(sum, (time.time(), passed))).renew()
            daemon.process.send_signal(signal.SIGHUP)

        wait_for(lambda: shown(port, root) is not None, _ORDER_TAKES, "a certificate")
        wait_for(lambda: "relay started" in daemon.log, _ORDER_TAKES, "the relay")
        return renewed(daemon, port, root, count, grow_old, CALLS)


def secrets_of(daemon: CountedDaemon) -> set[str]:
    """The secrets that its relay accepts."""
    with closing(sqlite3.connect(Path(relay_directory(str(daemon.state_dir)), DATABASE))) as database:
        return {value for (value,) in database.execute("SELECT value FROM turn_secret")}


def relay_of(daemon: CountedDaemon, token: str) -> dict[str, Any]:
    """The relay that a device is offered."""
    answer = asyncio.run(post(daemon.ports["account"], "/ice", {"token": token}))
    [server] = [server for server in answer["ice_servers"] if "credential" in server]
    return dict(server)


def renewed(
    daemon: CountedDaemon, port: int, root: str, count: int, renew: Callable[[], None], calls: int = 0
) -> list[str]:
    """Have a certificate renewed under open connections, and the relay's secret under calls. Returns the faults.

    :param count: of connections, of which two are there for each of the ``calls``.
    """
    first = shown(port, root)
    misses = [] if first else ["the first certificate is not to be believed"]
    tokens = [asyncio.run(login(daemon.ports["account"], f"139{number:08}", "tv")) for number in range(count)]
    with ExitStack() as stack:
        lines = [stack.enter_context(closing(Line(port, token))) for token in tokens]
        offers = (relay_of(daemon, token) for token in tokens)
        over_relay = [stack.enter_context(closing(RelayedCall(next(offers), next(offers)))) for _ in range(calls)]
        accepted = secrets_of(daemon) if calls else set()
        renew()
        wait_for(
            lambda: shown(port, root) not in (None, first), max(TAKEN_UP_IN, _ORDER_TAKES), "the renewed certificate"
        )
        cut = sum(not line.answers() for line in lines)
        misses += [f"{cut} connections were cut"] if cut else []
        cut = sum(not call.goes_on() for call in over_relay)
        misses += [f"{cut} calls over the relay were cut"] if cut else []
        if calls:
            misses += ["the relay still accepts a secret of before"] if accepted & secrets_of(daemon) else []
            with closing(RelayedCall(relay_of(daemon, tokens[0]), relay_of(daemon, tokens[1]))) as call:
                misses += [] if call.goes_on() else ["there is no call with the other secret"]
    return misses + [f"the daemon logged {each}" for each in daemon.complaints()]


def prove(brief: bool, _seed: int) -> Outcome:
    """Get one in each way, and renew it."""
    count = BRIEF if brief else CONNECTIONS
    http, https = free_ports(2)
    authority = Pebble(http, https)
    http01 = settings_of("names")
    alpn = http01.replace('http01 = "tcp:80"', "")
    with tempfile.TemporaryDirectory(prefix="callnet-acme-") as folder, closing(authority):
        authority.start()
        faults = {
            "certbot": by_certbot(Path(folder), authority, http),
            "http-01": by_callnet(authority, http01.replace("tcp:80", f"tcp:{http}"), free_ports(1)[0], count),
            "tls-alpn-01": by_callnet(authority, alpn, https, count),
        }
    misses = [f"{way}: {fault}" for way, found in faults.items() for fault in found]
    counts = {
        "ways": "certbot; callnet by http-01, by tls-alpn-01",
        "certificates that were believed": 6,
        "authority": "pebble",
        "connections while callnet renewed": count,
        "calls over its relay meanwhile": CALLS,
    }
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "acme",
    "callnet gets a certificate from an ACME server and renews it, by http-01 and by tls-alpn-01, under open"
    " connections, and the relay's secret under calls over it, without cutting one; so does certbot, and the hook of"
    " the recipe has callnet take it up",
    prove,
)
