"""TLS: certificates, how they are loaded, made and renewed."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from ipaddress import ip_network
from typing import Any, Final, TypeAlias

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from msgspec import Struct
from OpenSSL import SSL
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator, IReactorTime
from twisted.protocols.tls import TLSMemoryBIOProtocol
from zope.interface import implementer

from callnet.config.schema import TlsSettings
from callnet.errors import StartError
from callnet.util import files
from callnet.util.logger import Logger
from callnet.util.net import IPAddress, host_addresses, host_names
from callnet.util.timers import PeriodicRuns

_SELF_SIGNED: Final = "self-signed.crt"
_SELF_SIGNED_KEY: Final = "self-signed.key"
_LIFETIME: Final = timedelta(days=825)
"""The longest that Apple's devices accept, whoever signed."""
RENEW_BEFORE: Final = timedelta(days=30)
"""The time before expiry at which callnet renews its own certificate."""
_CLOCK_SKEW: Final = timedelta(days=1)
_CIPHERS: Final = (
    b"ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:"
    b"ECDHE-ECDSA-AES256-GCM-SHA384:ECDHE-RSA-AES256-GCM-SHA384:"
    b"ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305"
)
_GROUPS: Final = (b"X25519MLKEM768:X25519:P-256:P-384", b"X25519:P-256:P-384")
"""The groups for key agreement, from the first of these lists that OpenSSL understands: the profile's, preceded by one
that a quantum computer does not break (draft-ietf-tls-ecdhe-mlkem)."""
_ALPN: Final = (b"http/1.1", b"stun.turn")
_USAGE: Final = x509.KeyUsage(
    digital_signature=True,
    key_cert_sign=True,
    content_commitment=False,
    key_encipherment=False,
    data_encipherment=False,
    key_agreement=False,
    crl_sign=False,
    encipher_only=False,
    decipher_only=False,
)
"""RFC 5280 §4.2.1.3: a certificate that signs itself is its own authority."""

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Pair(Struct, frozen=True):
    """A certificate chain, the server's own first, and the private key of the first."""

    chain: Sequence[x509.Certificate]
    key: PrivateKey


def expiry(pair: Pair) -> datetime:
    """The time when the first certificate of the chain to expire does so."""
    return min(certificate.not_valid_after_utc for certificate in pair.chain)


_WARN_BEFORE: Final = timedelta(days=21)


def near_expiry(pair: Pair) -> datetime:
    """The time from which its expiry is near: by then half of the time for a renewal by ACME has passed."""
    leaf = pair.chain[0]
    return expiry(pair) - min(_WARN_BEFORE, (leaf.not_valid_after_utc - leaf.not_valid_before_utc) / 6)


@implementer(IOpenSSLServerConnectionCreator)
class ServerTls:
    """Gives each new connection the context of the moment.

    :param protocols: what else is chosen by ALPN (RFC 7301) than HTTP/1.1, the first that a client offers. Each has a
        function that takes a connection, whose app data are the :class:`TLSMemoryBIOProtocol`, or leaves it.
    :raises StartError: OpenSSL does not take the certificate.
    """

    def __init__(self, pair: Pair, protocols: Mapping[bytes, Callable[[SSL.Connection], bool]] | None = None) -> None:
        self._protocols = protocols or {}
        self.renewed: Final[list[Callable[[], object]]] = []
        """Called after each renewal."""
        self.renew(pair)

    def renew(self, pair: Pair) -> None:
        """Show this one to those who connect from now on; whoever is connected keeps theirs.

        :raises StartError: OpenSSL does not take the certificate. The one before stays.
        """
        self._context = context_with(pair)
        self._context.set_alpn_select_callback(self._select)
        self.expires = expiry(pair)
        """The time when the first certificate of the chain to expire does so."""
        self.near_expiry = near_expiry(pair)
        """The time from which that is near."""
        self.is_self_signed = pair.chain[0].issuer == pair.chain[0].subject
        """No client trusts it by itself."""
        for renewed in self.renewed:
            renewed()

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802, N803
        """A server's side of one connection."""
        connection = SSL.Connection(self._context)
        connection.set_app_data(tlsProtocol)
        return connection

    def _select(self, connection: SSL.Connection, offered: Sequence[bytes]) -> Any:
        for protocol, take in self._protocols.items():
            if protocol in offered and take(connection):
                return protocol
        return next((each for each in _ALPN if each in offered), SSL.NO_OVERLAPPING_PROTOCOLS)


def context_with(pair: Pair) -> SSL.Context:
    """The TLS settings of a server with this certificate.

    :raises StartError: OpenSSL does not take it.
    """
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_2_VERSION)
    context.set_cipher_list(_CIPHERS)
    _set_groups(context)
    context.set_options(SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    try:
        context.use_certificate(pair.chain[0])
        for certificate in pair.chain[1:]:
            context.add_extra_chain_cert(certificate)
        context.use_privatekey(pair.key)
    except SSL.Error as error:
        raise StartError(f"tls.certificate: rejected by OpenSSL: {error.args[0][0][-1]}") from None
    return context


def _set_groups(context: SSL.Context) -> None:
    """Allow these groups alone. pyOpenSSL has no method for more than one, but what its own methods stand on has."""
    library: Any = getattr(SSL, "_lib", None)
    choose = getattr(library, "SSL_CTX_set1_curves_list", None)
    if choose is None or not any(choose(context._context, groups) for groups in _GROUPS):  # noqa: SLF001
        context.set_tmp_ecdh(ec.SECP256R1())
    if library is not None:
        library.ERR_clear_error()  # else the next call would be taken to have failed


def configured(settings: TlsSettings) -> Pair:
    """Read the certificate that the settings name.

    :raises StartError: a file cannot be read or is not what it should be, or the two are no pair.
    """
    certificate, key = settings.certificate, settings.private_key
    try:
        chain = x509.load_pem_x509_certificates(files.read(certificate, "tls.certificate"))
    except ValueError:
        raise StartError(f"tls.certificate: {certificate} contains no PEM certificates") from None
    pair = Pair(chain, _load_key(files.read(key, "tls.private_key"), key))
    if not _fit(pair):
        raise StartError(f"tls.private_key: {key} does not belong to the first certificate in {certificate}")
    return pair


def _load_key(data: bytes, path: str) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(data, None)
    except TypeError:
        raise StartError(f"tls.private_key: {path} is encrypted; remove the passphrase") from None
    except (ValueError, UnsupportedAlgorithm):
        raise StartError(f"tls.private_key: {path} contains no PEM private key") from None
    if not isinstance(key, PrivateKey):
        raise StartError(f"tls.private_key: {path} must be an ECDSA or RSA key")
    return key


def _fit(pair: Pair) -> bool:
    return pair.key.public_key() == pair.chain[0].public_key()


def self_signed_files(state_dir: str) -> tuple[str, str]:
    """The paths of the self-signed certificate and of its key."""
    return os.path.join(state_dir, _SELF_SIGNED), os.path.join(state_dir, _SELF_SIGNED_KEY)


def self_signed(state_dir: str, now: datetime) -> Pair:
    """The certificate that callnet made for this host, renewed if it is missing or about to expire.

    All processes of a state directory get the same.

    :raises StartError: its files can be neither read nor made.
    """
    certificate, key = self_signed_files(state_dir)
    try:
        with files.alone_in(state_dir):
            found = find(certificate, key)
            if found is not None and found.chain[0].not_valid_after_utc - now > RENEW_BEFORE:
                return found
            made = sign(host_names(), host_addresses(), now)
            files.overwrite(key, key_to_pem(made.key), files.PRIVATE)
            files.overwrite(certificate, made.chain[0].public_bytes(serialization.Encoding.PEM), files.PUBLIC)
    except OSError as error:
        raise StartError(f"state_dir: cannot use {error.filename or state_dir}: {error.strerror}") from None
    return made


def find(certificate: str, key: str) -> Pair | None:
    """The pair in these files, if they are there and belong together."""
    try:
        pair = configured(TlsSettings(certificate=certificate, private_key=key))
    except StartError:
        return None
    return pair


def sign(names: Sequence[str], addresses: Sequence[IPAddress], now: datetime) -> Pair:
    """Make a certificate that signs itself, for these names and addresses."""
    key = ec.generate_private_key(ec.SECP256R1())
    alternatives = [*map(x509.DNSName, names), *map(x509.IPAddress, addresses)]
    certificate = (
        nameless(key, now - _CLOCK_SKEW, now - _CLOCK_SKEW + _LIFETIME)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        # Who imports it trusts its key, then, for these names and for no others.
        .add_extension(x509.NameConstraints(_alone(alternatives), None), critical=True)
        .add_extension(_USAGE, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(key, hashes.SHA256())
    )
    return Pair([certificate], key)


def nameless(key: PrivateKey, begins: datetime, ends: datetime) -> x509.CertificateBuilder:
    """A certificate that is to sign itself, for no name yet."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "callnet")])
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(begins)
        .not_valid_after(ends)
    )


def _alone(names: Sequence[x509.GeneralName]) -> list[x509.GeneralName]:
    """These names, as constraints have them: an address is a network of one."""
    return [x509.IPAddress(ip_network(name.value)) if isinstance(name, x509.IPAddress) else name for name in names]


def to_pem(pair: Pair) -> bytes:
    """A pair as one file has it: the key, then the chain."""
    return key_to_pem(pair.key) + b"".join(each.public_bytes(serialization.Encoding.PEM) for each in pair.chain)


def key_to_pem(key: PrivateKey) -> bytes:
    """A private key as a file has it."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


LOOK_EVERY: Final = 5.0
"""Seconds between two looks at the files."""
WARN_EVERY: Final = 86400.0
"""Seconds between two warnings."""

_Stamp: TypeAlias = tuple[int, int, int, int]
"""The identity of a file's content: device, inode, size, nanoseconds of its last change."""


class CertificateWatch:
    """Has the certificate read again when its files have changed, and renews one that callnet signed in time.

    The certificate and its key are two files, so they are read once both were left alone from one look to the next.

    :param files: the certificate and its key.
    :param is_own: whether callnet signs it.
    :param renew: reads it again, or renews it if it is callnet's own and about to expire, and tells whether it
        was good.
    :param now: the time of day, with a time zone.
    """

    _log = Logger()

    def __init__(
        self,
        files: Sequence[str],
        is_own: bool,
        tls: ServerTls,
        renew: Callable[[], bool],
        clock: IReactorTime,
        now: Callable[[], datetime],
    ) -> None:
        self._files = files
        self._is_own = is_own
        self._tls = tls
        self._renew = renew
        self._clock = clock
        self._now = now
        self._seen = self._taken = self._stamps()
        self._warn_at = 0.0
        self._rounds = PeriodicRuns(self._look, clock, LOOK_EVERY)

    def renew(self) -> bool:
        """Have it read again at once, whether or not its files have changed. Tells whether it was good."""
        before = self._stamps()
        good = self._renew()
        self._seen = self._taken = self._stamps() if self._is_own else before
        return good

    def start(self) -> None:
        """Begin."""
        self._warn_at = self._clock.seconds()
        self._rounds.start()

    def stop(self) -> Deferred[None]:
        """Come to an end."""
        return self._rounds.stop()

    def _look(self) -> Deferred[None]:
        stamps = self._stamps()
        if stamps == self._seen != self._taken:
            self._log.info("certificate files changed; reloading")
            self.renew()
        else:
            self._seen = stamps
        if self._clock.seconds() >= self._warn_at:
            self._warn_at = self._clock.seconds() + WARN_EVERY
            self._look_at_time()
        return succeed(None)

    def _look_at_time(self) -> None:
        now = self._now()
        left = self._tls.expires - now
        if self._is_own and left <= RENEW_BEFORE:
            self.renew()
        elif left <= timedelta():
            self._log.warn("certificate expired on {day:%Y-%m-%d}", day=self._tls.expires)
        elif now >= self._tls.near_expiry:
            self._log.warn(
                "certificate expires on {day:%Y-%m-%d}, in {days} days", day=self._tls.expires, days=left.days
            )

    def _stamps(self) -> Sequence[_Stamp | None]:
        return [_stamp(path) for path in self._files]


def _stamp(path: str) -> _Stamp | None:
    """The stamp of a file, links followed; ``None`` if it does not exist."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns
