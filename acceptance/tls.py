"""TLS, judged by sslyze by Mozilla's profile, and a certificate that is swapped under open connections.

Many devices hold a WebSocket over TLS while the files of the certificate are replaced, first by two that are no pair
and then by a good pair. Nobody may be cut off, everybody must go on to be answered, and whoever connects then must be
shown the new one.
"""

from __future__ import annotations

import asyncio
import subprocess
import tempfile
from contextlib import ExitStack, closing
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from acceptance.daemon import CountedDaemon, running
from acceptance.proof import Outcome, Proof
from acceptance.tools import installed
from harness.daemon import wait_for
from harness.tls_line import Line, connect
from harness.wire import HOST, login

SSLYZE: Final = "sslyze==6.3.1"
PROFILE: Final = "intermediate"
COMPLIANT: Final = "OK - Compliant"
CONNECTIONS: Final = 500
BRIEF: Final = 50
TAKEN_UP_IN: Final = 30.0
"""Seconds from a change of the files until it is taken up, at the most."""


class Files:
    """A certificate and its key, as a daemon reads them, and the certificate of the authority that signed it."""

    def __init__(self, folder: Path) -> None:
        self.certificate, self.key, self.authority = folder / "crt", folder / "key", folder / "authority"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = _named("authority")
        usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
        certificate = (
            _begun(self._name, self._name, self._key)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(usage, critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(self._key.public_key()), critical=False)
            .sign(self._key, hashes.SHA256())
        )
        self.authority.write_bytes(certificate.public_bytes(Encoding.PEM))

    @property
    def settings(self) -> str:
        """The settings that name them."""
        return f'tls = {{ certificate = "{self.certificate}", private_key = "{self.key}" }}\n'

    def write(self, *, is_pair: bool = True) -> bytes:
        """Replace them. Answers with the certificate, in DER."""
        key = ec.generate_private_key(ec.SECP256R1())
        names = [x509.DNSName("localhost"), x509.IPAddress(ip_address(HOST))]
        signed_by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = (
            _begun(_named("localhost"), self._name, key)
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
            .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
            .add_extension(signed_by, critical=False)
            .sign(self._key, hashes.SHA256())
        )
        written = key if is_pair else ec.generate_private_key(ec.SECP256R1())
        self.certificate.write_bytes(certificate.public_bytes(Encoding.PEM))
        self.key.write_bytes(written.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return certificate.public_bytes(Encoding.DER)


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
    """A certificate that lasts as long as Mozilla's profile recommends."""
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=90))
    )


def judge(port: int, trusted: Path) -> str | None:
    """Have sslyze judge a server whose certificate is trusted. Returns the fault, if there is one."""
    program = installed("sslyze", SSLYZE)
    done = subprocess.run(
        [str(program), "--mozilla_config", PROFILE, "--certinfo_ca_file", str(trusted), f"localhost:{port}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode == 0 and COMPLIANT in done.stdout:
        return None
    said = done.stdout.partition("COMPLIANCE AGAINST")[2] or done.stdout
    return " ".join(said.split())[-1000:]


def shown(port: int) -> bytes | None:
    """The certificate that a new connection is shown, in DER."""
    with closing(connect(port)) as client:
        return client.getpeercert(binary_form=True)


def swap(daemon: CountedDaemon, files: Files, old: bytes, count: int) -> tuple[dict[str, object], list[str]]:
    """Swap the certificate under this number of open connections. Returns counts, and the faults."""
    misses = []
    port = daemon.ports["site"]
    tokens = [asyncio.run(login(daemon.ports["account"], f"139{number:08}", "tv")) for number in range(count)]
    with ExitStack() as stack:
        lines = [stack.enter_context(closing(Line(port, token))) for token in tokens]
        for name, is_pair, said in (
            ("no pair", False, "kept the old certificate"),
            ("a new pair", True, "reloaded the certificate"),
        ):
            new = files.write(is_pair=is_pair)
            wait_for(lambda said=said: said in daemon.log, TAKEN_UP_IN, f"after {name}, that {said}")  # type: ignore[misc]
            if shown(port) != (new if is_pair else old):
                misses.append(f"{name}: the wrong certificate is shown")
            cut = sum(not line.answers() for line in lines)
            if cut:
                misses.append(f"{name}: {cut} connections were cut")
    return {"connections while the certificate was swapped": count}, misses


def prove(brief: bool, _seed: int) -> Outcome:
    """Both, with five hundred connections or fifty."""
    with tempfile.TemporaryDirectory(prefix="callnet-tls-") as folder:
        files = Files(Path(folder))
        old = files.write()
        with running(files.settings) as daemon:
            wrong = judge(daemon.ports["site"], files.authority)
            counts, misses = swap(daemon, files, old, BRIEF if brief else CONNECTIONS)
            complaints = [line for line in daemon.complaints() if "kept the old certificate" not in line]
    misses += [] if wrong is None else [f"sslyze: {wrong}"]
    misses += [f"the daemon logged {line}" for line in complaints]
    return Outcome({f"Mozilla's profile, by {SSLYZE}": PROFILE, **counts}, misses)


PROOF: Final = Proof(
    "tls",
    "TLS complies with Mozilla's intermediate profile, and a certificate is swapped under open connections without"
    " cutting one; two files that are no pair change nothing",
    prove,
)
