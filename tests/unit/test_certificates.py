"""The certificate of the first start, certificates of the operator's own, and how TLS is spoken with them."""

from __future__ import annotations

import contextlib
import os
import socket
import ssl
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address, IPv6Address, ip_network
from pathlib import Path
from threading import Barrier
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtensionOID
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.protocol import Factory, Protocol
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from callnet.config.schema import TlsSettings
from callnet.errors import StartError
from callnet.ops.certificates import Pair, ServerTls, configured, near_expiry, self_signed, sign
from callnet.util.net import host_addresses, host_names

NOW: Final = datetime(2026, 3, 1, tzinfo=UTC)
PEM: Final = serialization.Encoding.PEM


def alternatives(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    """The names and addresses that a certificate is for."""
    extension = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME)
    assert isinstance(extension.value, x509.SubjectAlternativeName)
    return extension.value


def key_pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, passphrase: bytes | None = None) -> bytes:
    """A private key as a file has it."""
    lock = serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, lock)


class SelfSignedTests(SynchronousTestCase):
    """callnet signs a certificate itself when it has none."""

    def setUp(self) -> None:
        """A state directory, empty."""
        self.state_dir = self.mktemp()
        os.mkdir(self.state_dir)

    def mode(self, name: str) -> int:
        """The permissions of a file in the state directory."""
        return os.stat(os.path.join(self.state_dir, name)).st_mode & 0o777

    def test_it_is_for_this_host(self) -> None:
        """It is for localhost, and for the names and addresses of this host."""
        found = alternatives(self_signed(self.state_dir, NOW).chain[0])
        names, addresses = found.get_values_for_type(x509.DNSName), found.get_values_for_type(x509.IPAddress)
        self.assertIn("localhost", names)
        self.assertIn(socket.gethostname(), names)
        self.assertEqual(names, host_names())
        self.assertEqual(addresses, host_addresses())
        self.assertEqual(addresses[:2], [IPv4Address("127.0.0.1"), IPv6Address("::1")])

    def test_it_vouches_for_nobody_else(self) -> None:
        """A client that imports it trusts its key for the names of this host, and for no others."""
        certificate = self_signed(self.state_dir, NOW).chain[0]
        limits = certificate.extensions.get_extension_for_class(x509.NameConstraints)
        self.assertTrue(limits.critical)
        named = alternatives(certificate)
        addresses = [ip_network(address) for address in named.get_values_for_type(x509.IPAddress)]
        self.assertEqual(
            {*named.get_values_for_type(x509.DNSName), *addresses},
            {name.value for name in limits.value.permitted_subtrees or ()},
        )

    def test_only_its_owner_may_read_the_key(self) -> None:
        """Only its owner may read the key."""
        self_signed(self.state_dir, NOW)
        self.assertEqual(self.mode("self-signed.key"), 0o600)
        self.assertEqual(self.mode("self-signed.crt"), 0o644)

    def test_the_next_start_uses_it_again(self) -> None:
        """The next start uses it again."""
        first = self_signed(self.state_dir, NOW)
        again = self_signed(self.state_dir, NOW + timedelta(days=700))
        self.assertEqual(again.chain, first.chain)

    def test_two_that_start_at_once(self) -> None:
        """Those that start at once with one state directory have the same, which is the one in the files."""
        together = Barrier(4)

        def start(_: int) -> Pair:
            together.wait(10)
            return self_signed(self.state_dir, NOW)

        with ThreadPoolExecutor(4) as threads:
            made = {pair.chain[0] for pair in threads.map(start, range(4))}
        self.assertEqual(made, {self_signed(self.state_dir, NOW).chain[0]})

    def test_it_is_made_anew_when_it_is_about_to_expire(self) -> None:
        """It is renewed when it is about to expire."""
        first = self_signed(self.state_dir, NOW)
        later = NOW + timedelta(days=810)
        again = self_signed(self.state_dir, later)
        self.assertNotEqual(again.chain, first.chain)
        self.assertEqual(self_signed(self.state_dir, later).chain, again.chain)

    def test_it_is_made_anew_when_it_is_damaged(self) -> None:
        """If two files do not belong together, or one is missing, nothing is kept."""
        first = self_signed(self.state_dir, NOW)
        Path(self.state_dir, "self-signed.key").unlink()
        second = self_signed(self.state_dir, NOW)
        Path(self.state_dir, "self-signed.crt").write_bytes(first.chain[0].public_bytes(PEM))
        third = self_signed(self.state_dir, NOW)
        self.assertEqual(len({first.chain[0], second.chain[0], third.chain[0]}), 3)

    def test_it_holds_from_yesterday_on(self) -> None:
        """It holds from yesterday on, since clocks differ, and for no longer than Apple's devices accept."""
        certificate = self_signed(self.state_dir, NOW).chain[0]
        self.assertEqual(certificate.not_valid_before_utc, NOW - timedelta(days=1))
        self.assertEqual(certificate.not_valid_after_utc - certificate.not_valid_before_utc, timedelta(days=825))

    def test_where_nothing_can_be_written_the_start_says_so(self) -> None:
        """Where nothing can be written the start says so."""
        os.mkdir(os.path.join(self.state_dir, "self-signed.key"))
        error = self.assertRaises(StartError, self_signed, self.state_dir, NOW)
        self.assertRegex(str(error), r"^state_dir: cannot use \S+: Is a directory$")
        self.assertEqual(os.listdir(self.state_dir), ["self-signed.key"])


class ConfiguredTests(SynchronousTestCase):
    """The operator may bring a certificate."""

    def setUp(self) -> None:
        """A certificate in two files."""
        self.pair = sign(["phones.example.org"], [], NOW)
        self.certificate = self.write(self.pair.chain[0].public_bytes(PEM))
        assert isinstance(self.pair.key, ec.EllipticCurvePrivateKey)
        self.key = self.write(key_pem(self.pair.key))

    def write(self, data: bytes) -> str:
        """Put this in a new file."""
        path = Path(self.mktemp())
        path.write_bytes(data)
        return str(path)

    def refusal(self, certificate: str, key: str) -> str:
        """The error about these two files."""
        error = self.assertRaises(StartError, configured, TlsSettings(certificate, key))
        self.assertNotIn("\n", str(error))
        return str(error)

    def test_it_is_taken_as_it_is(self) -> None:
        """It is taken as it is."""
        pair = configured(TlsSettings(self.certificate, self.key))
        self.assertEqual(pair.chain, self.pair.chain)

    def test_intermediate_certificates_follow_it(self) -> None:
        """Intermediate certificates follow it."""
        other = sign(["authority"], [], NOW).chain[0]
        both = self.write(self.pair.chain[0].public_bytes(PEM) + other.public_bytes(PEM))
        self.assertEqual(configured(TlsSettings(both, self.key)).chain, [self.pair.chain[0], other])

    def test_a_file_that_cannot_be_read(self) -> None:
        """A file that cannot be read is named, with its setting."""
        self.assertEqual(
            self.refusal("/nowhere", self.key), "tls.certificate: cannot read /nowhere: No such file or directory"
        )
        self.assertEqual(self.refusal(self.certificate, "/"), "tls.private_key: cannot read /: Is a directory")

    def test_a_file_that_holds_something_else(self) -> None:
        """So is a file with other content."""
        nonsense = self.write(b"nonsense")
        self.assertEqual(self.refusal(nonsense, self.key), f"tls.certificate: {nonsense} contains no PEM certificates")
        self.assertEqual(
            self.refusal(self.certificate, nonsense), f"tls.private_key: {nonsense} contains no PEM private key"
        )

    def test_a_key_with_a_passphrase(self) -> None:
        """A key with a passphrase is refused: nobody could type it."""
        assert isinstance(self.pair.key, ec.EllipticCurvePrivateKey)
        locked = self.write(key_pem(self.pair.key, b"passphrase"))
        self.assertIn("is encrypted; remove the passphrase", self.refusal(self.certificate, locked))

    def test_a_key_that_few_clients_can_use(self) -> None:
        """So is a key that few clients can use."""
        rare = self.write(key_pem(ed25519.Ed25519PrivateKey.generate()))
        self.assertIn("must be an ECDSA or RSA key", self.refusal(self.certificate, rare))

    def test_the_key_of_another_certificate(self) -> None:
        """So is the key of another certificate."""
        other = self.write(key_pem(ec.generate_private_key(ec.SECP256R1())))
        self.assertEqual(
            self.refusal(self.certificate, other),
            f"tls.private_key: {other} does not belong to the first certificate in {self.certificate}",
        )


class HandshakeTests(SynchronousTestCase):
    """TLS as a client meets it."""

    def setUp(self) -> None:
        """A server with a certificate that holds today."""
        self.pair = sign(["localhost"], [IPv4Address("127.0.0.1")], datetime.now(UTC))
        self.tls = ServerTls(self.pair)

    def client(self, trusted: Pair | None = None) -> ssl.SSLContext:
        """A client as strict as Python makes them."""
        pem = (trusted or self.pair).chain[0].public_bytes(PEM).decode()
        context = ssl.create_default_context(cadata=pem)
        context.verify_flags |= ssl.VERIFY_X509_STRICT  # as Python 3.13 does by itself
        return context

    def shake(self, client: ssl.SSLContext, host: str = "localhost") -> ssl.SSLObject:
        """Shake hands in memory.

        :raises ssl.SSLError: the two do not come together.
        """
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        connection = client.wrap_bio(to_client, to_server, server_hostname=host)
        server = Transported(self.tls)
        for _ in range(4):
            try:
                connection.do_handshake()
            except ssl.SSLWantReadError:
                to_client.write(server.exchange(to_server.read()))
            else:
                return connection
        raise AssertionError("the handshake does not end")

    def test_it_is_what_twisted_asks_for(self) -> None:
        """It provides the interface that Twisted needs."""
        verifyObject(IOpenSSLServerConnectionCreator, self.tls)
        TLSMemoryBIOFactory(self.tls, False, Factory.forProtocol(Protocol))

    def test_tls_1_3_is_spoken(self) -> None:
        """TLS 1 3 is spoken."""
        self.assertEqual(self.shake(self.client()).version(), "TLSv1.3")

    def test_tls_1_2_is_spoken_with_forward_secrecy_and_an_aead_alone(self) -> None:
        """TLS 1 2 is spoken with forward secrecy and an aead alone."""
        client = self.client()
        client.maximum_version = ssl.TLSVersion.TLSv1_2
        for suites in ("ECDHE+AESGCM", "ECDHE+CHACHA20"):
            client.set_ciphers(suites)
            self.assertEqual(self.shake(client).version(), "TLSv1.2")
        for suites in ("ECDHE+AES:!AESGCM:!AESCCM", "RSA+AES", "DHE+AESGCM"):
            client.set_ciphers(suites)
            self.assertRaises(ssl.SSLError, self.shake, client)

    def test_groups(self) -> None:
        """Keys are agreed on by X25519, P-256 or P-384, and by no other curve."""
        client = self.client()
        for curve in ("X25519", "prime256v1", "secp384r1"):
            client.set_ecdh_curve(curve)
            self.shake(client)
        for curve in ("secp521r1", "X448"):
            client.set_ecdh_curve(curve)
            self.assertRaises(ssl.SSLError, self.shake, client)

    def test_nothing_older_is_spoken(self) -> None:
        """Nothing older is spoken."""
        client = self.client()
        client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_1
        client.set_ciphers("ALL:@SECLEVEL=0")
        self.assertRaises(ssl.SSLError, self.shake, client)

    def test_http_1_1_is_chosen_though_a_browser_offers_more(self) -> None:
        """HTTP 1 1 is chosen though a browser offers more."""
        client = self.client()
        client.set_alpn_protocols(["h2", "http/1.1"])
        self.assertEqual(self.shake(client).selected_alpn_protocol(), "http/1.1")

    def test_turn_is_chosen_if_it_is_offered_alone(self) -> None:
        """TURN is chosen if it is offered and HTTP is not; which is spoken the first bytes tell."""
        client = self.client()
        for offered, chosen in (["stun.turn"], "stun.turn"), (["stun.turn", "http/1.1"], "http/1.1"):
            client.set_alpn_protocols(offered)
            self.assertEqual(self.shake(client).selected_alpn_protocol(), chosen)

    def test_a_client_need_not_offer_it(self) -> None:
        """A client that offers other protocols only, or none, is served all the same."""
        client = self.client()
        self.assertEqual(self.shake(client).selected_alpn_protocol(), None)
        client.set_alpn_protocols(["xmpp-client"])
        self.assertEqual(self.shake(client).selected_alpn_protocol(), None)

    def test_names_and_addresses_of_the_certificate_are_good(self) -> None:
        """Names and addresses of the certificate are good."""
        self.shake(self.client(), "127.0.0.1")
        self.assertRaises(ssl.SSLCertVerificationError, self.shake, self.client(), "example.org")

    def test_who_trusts_another_certificate_does_not_trust_this_one(self) -> None:
        """A client that trusts another certificate does not trust this one."""
        other = sign(["localhost"], [], datetime.now(UTC))
        self.assertRaises(ssl.SSLCertVerificationError, self.shake, self.client(other))

    def test_it_may_be_renewed(self) -> None:
        """A client that connects after the renewal is shown the new one."""
        new = sign(["localhost"], [], datetime.now(UTC))
        self.tls.renew(new)
        self.shake(self.client(trusted=new))
        self.assertRaises(ssl.SSLCertVerificationError, self.shake, self.client())

    def test_others_are_told_of_a_renewal(self) -> None:
        """Whoever uses the certificate too is told after each renewal, and not of one that was refused."""
        told: list[datetime] = []
        self.tls.renewed.append(lambda: told.append(self.tls.expires))
        self.tls.renew(sign(["localhost"], [], NOW))
        self.assertRaises(StartError, self.tls.renew, self.too_weak())
        self.assertEqual([self.tls.expires], told)

    def test_what_openssl_does_not_take(self) -> None:
        """A key that is too weak for OpenSSL stops the start."""
        refused = self.assertRaises(StartError, ServerTls, self.too_weak())
        self.assertEqual(str(refused), "tls.certificate: rejected by OpenSSL: ee key too small")

    def test_near_expiry(self) -> None:
        """Its expiry is near in the last sixth of its lifetime, and at most 21 days before."""
        self.assertEqual(NOW + timedelta(hours=20), near_expiry(self.too_weak()))
        pair = sign(["localhost"], [], NOW)
        self.assertEqual(timedelta(days=21), pair.chain[0].not_valid_after_utc - near_expiry(pair))

    def too_weak(self) -> Pair:
        """A certificate whose key is too weak."""
        key = rsa.generate_private_key(65537, 1024)  # noqa: S505
        certificate = (
            x509.CertificateBuilder(self.pair.chain[0].subject, self.pair.chain[0].issuer)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(NOW)
            .not_valid_after(NOW + timedelta(days=1))
            .sign(key, hashes.SHA256())
        )
        return Pair([certificate], key)

    def test_intermediate_certificates_are_sent(self) -> None:
        """Intermediate certificates are sent."""
        intermediate = sign(["authority"], [], datetime.now(UTC)).chain[0]
        self.tls = ServerTls(Pair([*self.pair.chain, intermediate], self.pair.key))
        context = SSL.Context(SSL.TLS_METHOD)
        client = SSL.Connection(context)
        client.set_connect_state()
        server = Transported(self.tls)
        for _ in range(4):
            try:
                client.do_handshake()
            except SSL.WantReadError:
                client.bio_write(server.exchange(client.bio_read(65536)))
            else:
                break
        chain = client.get_peer_cert_chain(as_cryptography=True)
        self.assertEqual(chain, [self.pair.chain[0], intermediate])


class Transported:
    """A server's side of one connection, and its bytes on the wire."""

    def __init__(self, tls: ServerTls) -> None:
        factory = TLSMemoryBIOFactory(tls, False, Factory.forProtocol(Protocol))
        self._connection = tls.serverConnectionForTLS(factory.buildProtocol(None))
        self._connection.set_accept_state()

    def exchange(self, data: bytes) -> bytes:
        """Take the client's bytes; return the server's answer, an alert included."""
        if data:
            self._connection.bio_write(data)
        with contextlib.suppress(SSL.Error):
            self._connection.do_handshake()
        try:
            return self._connection.bio_read(65536)
        except SSL.WantReadError:
            return b""
