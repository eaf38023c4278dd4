"""A certificate by ACME (RFC 8555) as in docs/tls.md: certbot gets it, a hook copies it, callnet takes it up.

The authority is pebble, which asks the web server of certbot at the name that it looks up, as Let's Encrypt does. The
certificate is got once, and renewed under an open connection.
"""

from __future__ import annotations

import asyncio
import grp
import json
import os
import shlex
import socket
import ssl
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Final

from acceptance import readme
from acceptance.daemon import running
from acceptance.proof import Outcome, Proof
from acceptance.tls import TAKEN_UP_IN, Files, Line
from harness import ROOT
from harness.daemon import wait_for
from harness.own_servers import stop
from harness.ports import free_ports
from harness.wire import HOST, login

TLS: Final = ROOT / "docs" / "tls.md"
NAME: Final = "callnet.example.org"
THERE: Final = "/etc/callnet/tls"
"""Where the recipe puts the files."""
CERTBOTS: Final = "/etc/letsencrypt"
"""Where certbot keeps its own without being told otherwise."""
_NAMES: Final = (
    "pebble-challtestsrv -dns01 {host}:{names} -management {host}:{management} -defaultIPv4 {host} -defaultIPv6 ''"
    " -http01 '' -https01 '' -tlsalpn01 '' -doh ''"
)
"""The name server: every name is that of this machine."""
_STARTS_IN: Final = 20.0
_CERTBOT_TAKES: Final = 120.0


class Authority:
    """Pebble, and the name server that it asks.

    :param folder: where their files are, and what certbot keeps.
    """

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        self._folder = folder
        self.config: Final = folder / "certbot" / "config"
        self._directory, self._management, self._http, tls, names, management = free_ports(6)
        self._trusted = Files(folder)
        self._trusted.write()
        self._write_settings(tls)
        for command in (
            shlex.split(_NAMES.format(host=HOST, names=names, management=management)),
            ["pebble", "-config", str(folder / "pebble.json"), "-dnsserver", f"{HOST}:{names}"],
        ):
            stack.enter_context(_running(command, folder / f"{command[0]}.log"))
        wait_for(self._serves, _STARTS_IN, "pebble")

    def _write_settings(self, tls: int) -> None:
        settings = {
            "listenAddress": f"{HOST}:{self._directory}",
            "managementListenAddress": f"{HOST}:{self._management}",
            "certificate": str(self._trusted.certificate),
            "privateKey": str(self._trusted.key),
            "httpPort": self._http,
            "tlsPort": tls,
        }
        (self._folder / "pebble.json").write_text(json.dumps({"pebble": settings}))

    def _serves(self) -> bool:
        try:
            self.root()
        except OSError:
            return False
        return True

    def root(self) -> str:
        """The certificate that signs all others, in PEM."""
        trusting = ssl.create_default_context(cafile=str(self._trusted.authority))
        with urllib.request.urlopen(f"https://localhost:{self._management}/roots/0", context=trusting) as answer:
            found: bytes = answer.read()
        return found.decode("ascii")

    def get(self) -> None:
        """Get a certificate for the first time, as the recipe does, but from this authority and on ports of ours."""
        _, *arguments = shlex.split(readme.command(TLS, "certbot certonly").replace(CERTBOTS, str(self.config)))
        self._certbot(
            *(*arguments, f"--http-01-address={HOST}", f"--http-01-port={self._http}"),
            *(f"--server=https://localhost:{self._directory}/dir", "--agree-tos"),
            "--register-unsafely-without-email",
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
            env={**os.environ, "REQUESTS_CA_BUNDLE": str(self._trusted.authority)},
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


@contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[None]:
    environment = {**os.environ, "PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield
    finally:
        stop(process)


def lay_hook(config: Path, files: Path) -> None:
    """Lay the hook of the recipe where certbot looks for it. It copies to another place, for another group."""
    hook = config / "renewal-hooks" / "deploy" / "callnet"
    hook.parent.mkdir(parents=True)
    group = grp.getgrgid(os.getgid()).gr_name
    hook.write_text(readme.command(TLS, "#!/bin/sh").replace(THERE, str(files)).replace("-g callnet", f"-g {group}"))
    hook.chmod(0o755)


def shown(port: int, root: str) -> bytes | None:
    """The certificate for a client that asks for the name and trusts only the authority, in DER.

    :raises ssl.SSLError: it is not to be believed.
    """
    context = ssl.create_default_context(cadata=root)
    with socket.create_connection((HOST, port), 30) as plain:
        return context.wrap_socket(plain, server_hostname=NAME).getpeercert(binary_form=True)


def prove(_brief: bool, _seed: int) -> Outcome:
    """Get one, and renew it."""
    misses: list[str] = []
    with tempfile.TemporaryDirectory(prefix="callnet-acme-") as name, ExitStack() as stack:
        files = Path(name, "files")
        authority = Authority(Path(name), stack)
        lay_hook(authority.config, files)
        authority.get()
        [shown_settings] = [block.text for block in readme.blocks(TLS) if block.language == "toml"]
        settings = shown_settings.replace(THERE, str(files))
        daemon = stack.enter_context(running(settings))
        port, root = daemon.ports["site"], authority.root()
        first = shown(port, root)
        token = asyncio.run(login(daemon.ports["account"], "13651884967", "tv"))
        line = stack.enter_context(closing(Line(port, token)))
        authority.renew()
        wait_for(lambda: shown(port, root) != first, TAKEN_UP_IN, "the renewed certificate")
        if not line.answers():
            misses.append("who was connected was cut off")
        misses += [f"the daemon logged {each}" for each in daemon.complaints()]
    return Outcome({"certificates that were believed": 2, "authority": "pebble", "client": "certbot"}, misses)


PROOF: Final = Proof(
    "acme",
    "certbot gets a certificate from an ACME server and renews it, and the hook of the recipe has callnet take it up,"
    " under an open connection",
    prove,
)
