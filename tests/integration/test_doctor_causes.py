"""``callnet doctor`` names the cause of each of these misconfigurations, and what to do about it.

Each is seeded for real: with files, servers and proxies. Only names are looked at as facts: the DNS is not ours.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from threading import Thread
from typing import Final

from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from twisted.trial.unittest import SkipTest, SynchronousTestCase

from callnet.cli.main import main
from callnet.config.load import load
from callnet.doctor import listeners, network, services, site
from callnet.doctor.findings import Finding, Level
from callnet.doctor.network import can_connect, is_own, own_addresses
from callnet.frames.ice import parse_uri
from harness.coturn import LOOPBACK, Coturn
from harness.daemon import BIN, TWISTD, Daemon, wait_for
from harness.ports import free_port
from harness.redis_server import RedisServer
from tests.support.daemon import ForkedDaemon
from tests.support.turn_case import SECRET

NOW: Final = datetime.now(UTC)
QUIET: Final = "[listeners]\naccount = []\nsignaling = []\nadmin = []\n"
SITE: Final = f'{QUIET}site = [{{ endpoint = "tcp:0:interface=127.0.0.1", tls = false }}]\n'
SECURE_SITE: Final = f'{QUIET}site = [{{ endpoint = "tcp:0:interface=127.0.0.1" }}]\n'
OF_THE_MACHINE: Final = ("clock:", "open files:", "disk:")
"""Findings that depend on the machine that runs the tests."""


class Authority:
    """An authority, and one below it that signs certificates for 127.0.0.1."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir()
        self._key = ec.generate_private_key(ec.SECP256R1())
        root = ec.generate_private_key(ec.SECP256R1())
        top = _signed("root", root, "root", root, NOW, True)
        self._chain = _signed("middle", self._key, "root", root, NOW, True)
        self.trusted = folder / "root.pem"
        self.trusted.write_bytes(top.public_bytes(Encoding.PEM))

    def settings(self, now: datetime = NOW, whole: bool = True, mode: int = 0o600) -> str:
        """TOML with a certificate that was signed then, with that of its authority if it is ``whole``."""
        key = ec.generate_private_key(ec.SECP256R1())
        leaf = _signed("callnet", key, "middle", self._key, now, False)
        chain = [leaf, self._chain] if whole else [leaf]
        certificate, private = self._folder / "certificate.pem", self._folder / "key.pem"
        certificate.write_bytes(b"".join(each.public_bytes(Encoding.PEM) for each in chain))
        private.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        private.chmod(mode)
        return f'tls = {{ certificate = "{certificate}", private_key = "{private}" }}\n'


def _signed(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    issuer: str,
    signs: ec.EllipticCurvePrivateKey,
    now: datetime,
    is_authority: bool,
) -> x509.Certificate:
    """A certificate that is valid from a day before ``now`` for ninety."""
    subject, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, each)]) for each in (name, issuer))
    own, theirs = (x509.SubjectKeyIdentifier.from_public_key(each.public_key()) for each in (key, signs))
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(by)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.BasicConstraints(is_authority, None), critical=True)
        .add_extension(own, critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(theirs), critical=False)
    )
    if not is_authority:
        here = x509.IPAddress(ip_address("127.0.0.1"))
        builder = builder.add_extension(x509.SubjectAlternativeName([here]), critical=False)
    return builder.sign(signs, hashes.SHA256())


class CauseTestCase(SynchronousTestCase):
    """Settings in a folder of their own, and the findings about them."""

    def setUp(self) -> None:
        """Nothing is there yet."""
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()
        self.config = self.folder / "callnet.toml"

    def settings(self, text: str) -> None:
        """Write them; the state directory is in the folder."""
        self.config.write_text(f'state_dir = "{self.folder / "state"}"\n{text}')

    def shown(self, text: str, *arguments: str) -> str:
        """The output of the command with these settings."""
        self.settings(text)
        return CliRunner().invoke(main, ["--config", str(self.config), "doctor", *arguments]).output

    def assert_named(self, shown: str, cause: str, remedy: str) -> None:
        """A line that is not good has the cause, and the next one the remedy."""
        lines = shown.splitlines()
        at = [index for index, line in enumerate(lines) if cause in line and line.startswith(("fail", "warn"))]
        self.assertTrue(at, f"{cause!r} is not in:\n{shown}")
        self.assertTrue(any(remedy in " ".join(lines[index : index + 2]) for index in at), f"{remedy!r}:\n{shown}")

    def assert_found(self, found: Finding, cause: str, remedy: str) -> None:
        """A finding that is not good has both."""
        self.assertIsNot(Level.GOOD, found.level)
        self.assertIn(cause, found.text)
        self.assertIn(remedy, found.advice)

    def daemon(self, settings: str, listeners: str) -> Daemon:
        """A daemon with these settings, which is stopped in the end."""
        return self.started(ForkedDaemon(self.folder / "daemon", settings, listeners=listeners))

    def started(self, daemon: Daemon) -> Daemon:
        """Start a daemon, which is stopped in the end."""
        daemon.start()
        self.addCleanup(daemon.stop)
        return daemon


class HealthyTests(CauseTestCase):
    """A set-up on which all is right."""

    def test_nothing(self) -> None:
        """It finds nothing, beside what the machine of the tests lacks."""
        authority = Authority(self.folder / "tls")
        coturn = Coturn(SECRET)
        self.addCleanup(coturn.close)
        turn = f'turn = {{ urls = ["{coturn.urls[0]}"], secret = "{SECRET}" }}\n'
        settings = authority.settings() + turn
        # It is executed: by the name of its program the command finds it.
        daemon = self.started(Daemon(self.folder / "daemon", settings, listeners=SECURE_SITE))
        daemon.settings_file.chmod(0o600)
        ran = subprocess.run(
            [f"{BIN}/callnet", "doctor", "--site", f"https://127.0.0.1:{daemon.ports['site']}"],
            env={**daemon.environ, "SSL_CERT_FILE": str(authority.trusted)},
            capture_output=True,
            text=True,
            check=False,
        )
        found = [line for line in ran.stdout.splitlines() if line.startswith(("fail", "warn"))]
        self.assertFalse(
            [line for line in found if not line.split(maxsplit=1)[1].startswith(OF_THE_MACHINE)], ran.stdout
        )
        self.assertIn("site WebSocket:          opens, and answers", ran.stdout)
        self.assertRegex(ran.stdout, r"open files: .* for callnet: ")


class NameTests(CauseTestCase):
    """Names, and the way to the site."""

    OWN = ("8.8.8.8", "2001:4860::1")

    def test_wrong_dns(self) -> None:
        """A name that leads to another machine."""
        found = network.examine_name("x.example", ["9.9.9.9"], self.OWN, "TCP 443")
        self.assert_found(found, "leads to 9.9.9.9, which is not an address of this machine", "A 8.8.8.8")

    def test_proxy(self) -> None:
        """A name that leads to a proxy on another machine may be right."""
        found = network.examine_name("x.example", ["9.9.9.9"], self.OWN, "TCP 443", reached=["9.9.9.9"])
        self.assertIs(Level.DOUBT, found.level)
        self.assert_found(found, "another machine, which answers", "if that is your proxy")

    def test_further_address(self) -> None:
        """An address of the machine that is not the first of its interface."""
        self.assertTrue(is_own("127.0.0.5"))
        self.assertFalse(is_own("192.0.2.1"))
        self.assertNotIn("127.0.0.5", own_addresses(["127.0.0.5"]))

    def test_no_dns(self) -> None:
        """A name that nobody knows."""
        shown = self.shown(SITE, "--site", "https://nowhere.invalid")
        self.assert_named(shown, "it is not in the DNS", "create an A record")

    def test_only_ipv6(self) -> None:
        """A name with an AAAA record alone."""
        found = network.examine_name("x.example", ["2001:4860::1"], self.OWN, "TCP 443")
        self.assert_found(found, "leads to IPv6 only", "add an A record")

    def test_closed_port(self) -> None:
        """A port where nobody listens."""
        port = free_port()
        shown = self.shown(SITE, "--site", f"https://127.0.0.1:{port}")
        self.assert_named(shown, f"127.0.0.1:{port} is closed", "firewall")

    def test_hairpin(self) -> None:
        """A NAT that does not turn connections from inside back: the machine itself answers."""
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            place = site.Place("x.example", server.getsockname()[1], True)
            [found] = site.reach(place, ["240.0.0.1"], [], ["127.0.0.1"])
        self.assertIs(Level.DOUBT, found.level)
        self.assert_found(found, "hairpin", f"forward TCP {place.port}")

    def test_half_of_ipv6(self) -> None:
        """A name with an IPv6 address where nobody listens."""
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            place = site.Place("x.example", server.getsockname()[1], True)
            addresses = ["127.0.0.1", "::1"]
            reached = [address for address in addresses if can_connect(address, place.port)]
            _, found = site.reach(place, addresses, reached, addresses)
        self.assert_found(found, "has the IPv6 address ::1, where nothing answers", "remove the AAAA record")

    def test_port_taken(self) -> None:
        """A port of callnet's that another program has."""
        with closing(socket.create_server(("127.0.0.1", 0))) as server:
            port = server.getsockname()[1]
            shown = self.shown(f'{QUIET}site = [{{ endpoint = "tcp:{port}:interface=127.0.0.1" }}]\n')
        self.assert_named(shown, f"127.0.0.1:{port} is in use by", "stop it")

    def test_socket_of_systemd(self) -> None:
        """An endpoint that names a socket which no unit passes."""
        self.settings(
            f"accounts.open_enrolment_on_network = true\n{QUIET}"
            'site = [{ endpoint = "systemd:domain=INET:name=sight" }]'
        )
        unit = self.folder / "callnet-site.socket"
        unit.write_text("[Socket]\nListenStream=443\nFileDescriptorName=site\n")
        settings = load(str(self.config), {})
        found = next(listeners.examine(settings, False, NOW, [self.folder]))
        self.assert_found(found, "no socket of systemd has the name sight", "FileDescriptorName=sight")
        unit.write_text(unit.read_text().replace("=site", "=sight"))
        self.assertIs(Level.GOOD, next(listeners.examine(settings, False, NOW, [self.folder])).level)


class CertificateTests(CauseTestCase):
    """Certificates."""

    def test_another_name(self) -> None:
        """A site with a certificate for another name than that by which it is opened."""
        daemon = self.daemon(Authority(self.folder / "tls").settings(), SECURE_SITE)
        shown = self.shown(SITE, "--site", f"https://localhost:{daemon.ports['site']}")
        self.assert_named(shown, "for 127.0.0.1, not for localhost", "get one for localhost")

    def certified(self, *arguments: object) -> str:
        """The output with such a certificate (:meth:`Authority.settings`)."""
        return self.shown(Authority(self.folder / "tls").settings(*arguments) + SECURE_SITE)  # type: ignore[arg-type]

    def test_expired(self) -> None:
        """One that has expired."""
        self.assert_named(self.certified(NOW - timedelta(days=91)), ": expired", "renew it")

    def test_not_yet_valid(self) -> None:
        """One of tomorrow."""
        self.assert_named(self.certified(NOW + timedelta(days=2)), "not valid before", "check the clock")

    def test_incomplete_chain(self) -> None:
        """One without the certificate of its authority."""
        self.assert_named(self.certified(NOW, False), "the intermediate certificate is missing", "append it")

    def test_open_key(self) -> None:
        """A key that every user can read."""
        self.assert_named(self.certified(NOW, True, 0o644), "every user of this machine can read its key", "chmod o-r")

    def test_another_key(self) -> None:
        """A key that is not that of the certificate."""
        settings = Authority(self.folder / "tls").settings()
        shutil.copy(self.folder / "tls/key.pem", self.folder / "old.pem")
        Authority(self.folder / "other").settings()
        shutil.copy(self.folder / "other/key.pem", self.folder / "tls/key.pem")
        self.assert_named(
            self.shown(settings + SECURE_SITE),
            "does not belong to the first certificate",
            "copy the certificate and its key",
        )

    def test_hsts_without_certificate(self) -> None:
        """Strict transport security over a certificate that callnet signs itself."""
        shown = self.shown(f"site.hsts = 3600\n{SITE}")
        self.assert_named(shown, "site.hsts needs your own certificate", "tls.certificate")


class RelayTests(CauseTestCase):
    """The relay, and the clock, which it knows."""

    def coturn(self, *arguments: str, **options: object) -> Coturn:
        """A relay."""
        coturn = Coturn(*arguments, **options)  # type: ignore[arg-type]
        self.addCleanup(coturn.close)
        return coturn

    def relayed(self, *urls: str) -> str:
        """The output with these relays."""
        return self.shown(f'turn = {{ urls = [{", ".join(map(repr, urls))}], secret = "{SECRET}" }}\n{SITE}')

    def test_not_running(self) -> None:
        """Nobody is there."""
        shown = self.relayed(f"turn:127.0.0.1:{free_port()}?transport=tcp")
        self.assert_named(shown, "Connection refused", "start it, or correct turn.urls")

    def test_one_of_several(self) -> None:
        """One of several relays is not there."""
        running, port = self.coturn(SECRET).urls[0], free_port()
        relays = f"""{{ urls = ["turn:127.0.0.1:{port}?transport=udp"], stun = ["stun:127.0.0.1:{port}"] }},
            {{ urls = ["{running}"], networks = ["10.0.0.0/8"] }}"""
        shown = self.shown(f'turn = {{ relays = [{relays}], secret = "{SECRET}" }}\n{SITE}')
        self.assert_named(shown, f"turn:127.0.0.1:{port}", "start it, or correct urls in turn.relays")
        self.assertIn("correct stun in turn.relays", shown)
        self.assertIn(f"{running} accepts the secret", shown)

    def test_refuses(self) -> None:
        """It has another secret."""
        shown = self.relayed(*self.coturn("another-secret-of-thirty-two-or-more").urls)
        self.assert_named(shown, "rejects the secret", "give it the same secret")

    def test_no_udp(self) -> None:
        """It is named, or reached, over TCP alone."""
        _, reliable = self.coturn(SECRET).urls
        self.assert_named(self.relayed(reliable), "no relay over UDP", "?transport=udp")
        shown = self.relayed(reliable, f"turn:127.0.0.1:{free_port()}?transport=udp")
        self.assert_named(shown, "no answer over UDP, but over TCP", "open its UDP port")

    def test_private_address(self) -> None:
        """It relays from an address that others do not reach."""
        coturn = self.coturn(SECRET, settings=[("external-ip", "10.9.9.9/127.0.0.1")])
        self.assert_named(
            self.relayed(coturn.urls[0]), "relays from 10.9.9.9, which others do not reach", "external-ip"
        )

    def test_reaches_private_networks(self) -> None:
        """It relays to this machine, or to a private network."""
        coturn = self.coturn(SECRET, peers=LOOPBACK)
        self.assert_named(self.relayed(coturn.urls[0]), "relays to 127.0.0.1", "denied-peer-ip")

    def supervised(self, coturn: Coturn, more: str) -> Sequence[Finding]:
        """The findings about a relay that callnet runs."""
        port = parse_uri(coturn.urls[0]).port
        self.settings(f'{SITE}[turn]\nrelay = "supervised"\n[turn.supervised]\nport = {port}\n{more}')
        settings = load(str(self.config), {})
        secret = Path(settings.turn.secret_file)
        secret.parent.mkdir(parents=True)
        secret.touch(0o600)
        secret.write_text(SECRET)
        return [each for each in services.examine(settings, False, NOW) if each.about == "turn"]

    def test_hairpin(self) -> None:
        """From inside a NAT, callnet's own relay answers on this machine only."""
        _, found = self.supervised(self.coturn(SECRET), 'host = "nowhere.invalid"\n')
        self.assertIs(Level.DOUBT, found.level)
        self.assert_found(found, "hairpin", "forward TCP and UDP")

    def test_allowed_on_purpose(self) -> None:
        """It relays to a network that the settings allow."""
        coturn = self.coturn(SECRET, peers=LOOPBACK)
        found = self.supervised(coturn, 'host = "127.0.0.1"\nallowed_peers = ["127.0.0.0/8"]\n')
        self.assertNotIn("relays to", " ".join(each.text for each in found))

    def test_clock_off_by_a_day(self) -> None:
        """The clock of this machine is a day behind that of the relay."""
        coturn = self.coturn(SECRET)
        self.settings(f'turn = {{ urls = ["{coturn.urls[0]}"], secret = "{SECRET}" }}\n{SITE}')
        found = services.examine(load(str(self.config), {}), False, datetime.now(UTC) - timedelta(days=1))
        [turn] = [each for each in found if each.about == "turn"]
        self.assert_found(turn, "its clock is ahead of this one", "set both clocks")


class ProxyTests(CauseTestCase):
    """Proxies in front of the site."""

    def test_drops_upgrade(self) -> None:
        """An nginx without the lines for WebSockets."""
        daemon = self.daemon("", SITE)
        port = free_port()
        (self.folder / "nginx.conf").write_text(f"""
daemon off; pid {self.folder}/pid; error_log {self.folder}/log; events {{}}
http {{
    access_log off; client_body_temp_path {self.folder}; proxy_temp_path {self.folder};
    fastcgi_temp_path {self.folder}; uwsgi_temp_path {self.folder}; scgi_temp_path {self.folder};
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass {daemon.site_url}; proxy_set_header Host $http_host; }}
    }}
}}""")
        command = [
            "setpriv",
            "--pdeathsig",
            "TERM",
            "nginx",
            "-c",
            f"{self.folder}/nginx.conf",
            "-e",
            f"{self.folder}/log",
        ]
        nginx = subprocess.Popen(command)
        self.addCleanup(nginx.wait)
        self.addCleanup(nginx.terminate)
        wait_for(lambda: can_connect("127.0.0.1", port), 60, "nginx")
        shown = self.shown(SITE, "--site", f"http://127.0.0.1:{port}")
        self.assert_named(shown, "a proxy drops the Upgrade header", "have it pass Upgrade and Connection")

    def test_buffers(self) -> None:
        """A proxy that passes the answer to the handshake, and keeps all that follows until there is much of it."""
        daemon = self.daemon("", SITE)
        with buffering(daemon.ports["site"]) as port:
            shown = self.shown(SITE, "--site", f"http://127.0.0.1:{port}")
        self.assert_named(shown, "a proxy buffers or cuts it", "turn buffering off")

    def test_no_proxy_header(self) -> None:
        """A listener that expects a PROXY header, and connections without one."""
        expects = f"""{QUIET}site = [
    {{ endpoint = "tcp:0:interface=127.0.0.1", tls = false, proxy_protocol = ["127.0.0.1"] }}]\n"""
        on_network = "accounts.open_enrolment_on_network = true\n"
        daemon = self.daemon(on_network, expects)
        shown = self.shown(on_network + expects, "--site", daemon.site_url)
        self.assert_named(shown, "callnet expects a PROXY header (proxy_protocol), and gets none", "send-proxy-v2")

    def test_origin(self) -> None:
        """A list of origins without that of the site."""
        shown = self.shown(
            f'signaling.allowed_origins = ["https://phones.example.org"]\n{SITE}', "--site", "https://127.0.0.1:1"
        )
        self.assert_named(shown, "pages of https://127.0.0.1:1 may not open", "add it to signaling.allowed_origins")


@contextmanager
def buffering(port: int) -> Iterator[int]:
    """A proxy for one connection at a time; of an answer it passes the head at once, and the rest when it is over."""

    def serve() -> None:
        while True:
            try:
                client, _ = server.accept()
            except OSError:
                return
            with closing(client), closing(socket.create_connection(("127.0.0.1", port))) as behind:
                Thread(target=_pass_on, args=(client, behind), daemon=True).start()
                answer = b""
                while data := behind.recv(4096):
                    answer += data
                    head, end, rest = answer.partition(b"\r\n\r\n")
                    if end and head:
                        client.sendall(head + end)
                        answer = b"\r\n\r\n" + rest

    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        Thread(target=serve, daemon=True).start()
        yield server.getsockname()[1]
        server.shutdown(socket.SHUT_RDWR)


def _pass_on(client: socket.socket, behind: socket.socket) -> None:
    try:
        while data := client.recv(4096):
            behind.sendall(data)
        behind.shutdown(socket.SHUT_RDWR)
    except OSError:
        return


class StoreTests(CauseTestCase):
    """The database, Redis, files and the limits of the machine."""

    def test_redis_unreachable(self) -> None:
        """Redis is not there."""
        shown = self.shown(f'redis.url = "redis://127.0.0.1:{free_port()}"\n{SITE}')
        self.assert_named(shown, "Connection refused", "start it, or correct redis.url")

    def test_redis_replica(self) -> None:
        """It is there, and takes no writes."""
        master, other = RedisServer("redis"), RedisServer("redis")
        for server in (master, other):
            self.addCleanup(server.close)
        other.replica_of(master)
        self.assert_named(self.shown(f'redis.url = "{other.url()}"\n{SITE}'), "this is a replica", "name the master")

    def test_database_of_another(self) -> None:
        """The daemon runs, with a database that these settings do not name."""
        self.settings(SITE)
        found = services.examine(load(str(self.config), {}), True, NOW)
        self.assert_found(next(iter(found)), "does not exist", "secrets of the service")

    def test_database_not_upgraded(self) -> None:
        """The tables are older than the program, and are not to be upgraded at a start."""
        (self.folder / "state").mkdir(mode=0o700)
        (self.folder / "state/callnet.db").touch()
        shown = self.shown(f"database.upgrade_on_start = false\n{SITE}")
        self.assert_named(shown, "database:", "callnet database upgrade")

    def test_open_state_directory(self) -> None:
        """Others may look into it."""
        (self.folder / "state").mkdir()
        (self.folder / "state").chmod(0o755)
        self.assert_named(self.shown(SITE), "is accessible to others", "chmod 700")

    def test_few_files(self) -> None:
        """A daemon that runs may open too few files."""
        self.started(Daemon(self.folder / "daemon", command=("prlimit", "--nofile=256:256", *TWISTD)))
        self.assert_named(self.shown(SITE), "256 for callnet", "LimitNOFILE=")

    def test_full_disk(self) -> None:
        """The disk of the state directory is almost full."""
        if os.geteuid():
            raise SkipTest("only root mounts a disk of its own")
        state = self.folder / "state"
        state.mkdir(mode=0o700)
        mount = f'mount -t tmpfs -o size=8M,mode=700 tmpfs "{state}" && exec "$@"'
        self.settings(SITE)
        line = ["unshare", "--mount", "sh", "-c", mount, "sh", f"{BIN}/callnet", "--config", str(self.config), "doctor"]
        shown = subprocess.run(line, capture_output=True, text=True, check=False).stdout
        self.assert_named(shown, f"8 MB free at {state}", "free some space")
