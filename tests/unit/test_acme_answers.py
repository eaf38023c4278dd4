"""The answers to the challenges of ACME: what strangers may ask for, and what they get."""

from __future__ import annotations

import os
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import Clock
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.trial.unittest import SynchronousTestCase

from callnet.acme.renewal import ALPN_PROTOCOL, AcmeFolder, AlpnAnswers
from callnet.ops.certificates import ServerTls, sign
from callnet.web.http import CappedSite
from callnet.web.site import AcmeAnswers
from tests.support.http_wire import PEER, HttpWire
from tests.support.transport import Transport

NAME: Final = "callnet.example.org"
OTHER: Final = "www.example.org"
TOKEN: Final = "LoqXcYV8q5ONbJQxbmR7SCTNo3tiAXDfowyjxAjEuX0"
ANSWER: Final = f"{TOKEN}.9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI".encode()
HOSTILE: Final = (
    *("", ".", "..", "../account.key", "..%2faccount.key", "a/b", "/etc/passwd", TOKEN[:21], TOKEN * 3),
    *(f"{TOKEN}\n", f"{TOKEN}\0", f"{TOKEN}/", f" {TOKEN}", "é" * 22, "١" * 22, f"{TOKEN}.pem", "\0"),
)
"""No tokens, and no names of files that may be looked for."""


class FolderTestCase(SynchronousTestCase):
    """Tests with the folder of an authority."""

    def setUp(self) -> None:
        """A folder with one answer of each kind."""
        self.state_dir = self.mktemp()
        os.mkdir(self.state_dir)
        self.folder = AcmeFolder(self.state_dir, "https://acme.example.org:14000/dir")
        self.folder.make()
        self.pair = sign([NAME], [], datetime.now(UTC))
        self.folder.answer_http01(TOKEN, ANSWER)
        self.folder.answer_alpn(NAME, self.pair)


class FolderTests(FolderTestCase):
    """The files in it."""

    def test_answers(self) -> None:
        """A challenge is answered until it is cleared."""
        self.assertEqual(ANSWER, self.folder.http01(TOKEN))
        found = self.folder.alpn(NAME)
        assert found is not None
        self.assertEqual(self.pair.chain, found.chain)
        self.folder.clear_answers()
        self.assertIsNone(self.folder.http01(TOKEN))
        self.assertIsNone(self.folder.alpn(NAME))

    def test_private(self) -> None:
        """Nobody else may look into it."""
        for path in Path(self.state_dir, "acme").rglob("*"):
            self.assertEqual(0, path.stat().st_mode & 0o077, path)
        self.assertEqual(0, Path(self.state_dir, "acme").stat().st_mode & 0o077)

    def test_hostile(self) -> None:
        """No file but an answer is read, whatever is asked for; and none is written elsewhere."""
        self.folder.account_key.write_text("secret")
        for token in HOSTILE:
            self.assertIsNone(self.folder.http01(token), repr(token))
            self.assertIsNone(self.folder.alpn(token), repr(token))
            self.assertRaises(ValueError, self.folder.answer_http01, token, ANSWER)

    def test_directories(self) -> None:
        """Another authority has another folder."""
        for directory in ("https://staging.example.org/dir", "https://acme.example.org:14000/b/dir"):
            self.assertIsNone(AcmeFolder(self.state_dir, directory).http01(TOKEN), directory)

    def test_failure(self) -> None:
        """The last failure is there until there is none."""
        self.assertEqual("", self.folder.failure)
        self.folder.failure = "cannot reach it"
        self.assertEqual("cannot reach it", self.folder.failure)
        self.folder.failure = ""
        self.folder.failure = ""
        self.assertEqual("", self.folder.failure)


class SiteTests(FolderTestCase):
    """The site on port 80."""

    def setUp(self) -> None:
        """The site over an in-memory wire."""
        super().setUp()
        self.wire = HttpWire(CappedSite(AcmeAnswers(self.folder, [NAME, OTHER]), Clock()))

    def ask(self, path: str, host: str = NAME) -> tuple[int, str]:
        """The status of an answer, and where it leads to."""
        self.wire.send(f"GET {path} HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
        answer = self.wire.answers()[-1]
        return answer.status, answer.headers.get("location", "")

    def test_challenge(self) -> None:
        """The answer to a challenge is what the file has."""
        self.wire.send(f"GET /.well-known/acme-challenge/{TOKEN} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        [answer] = self.wire.answers()
        self.assertEqual((200, ANSWER), (answer.status, answer.body))

    def test_redirect(self) -> None:
        """Everything else is sent to https, at one of the names."""
        self.assertEqual((308, f"https://{NAME}/a?b=c"), self.ask("/a?b=c"))
        self.assertEqual((308, f"https://{OTHER}/"), self.ask("/", f"{OTHER.upper()}:80"))
        self.assertEqual((308, f"https://{NAME}/"), self.ask("/", "evil.example.com"))
        self.assertEqual((308, f"https://{NAME}/"), self.ask("http://evil.example.com/x"))
        self.assertEqual((308, f"https://{NAME}//evil.example.com"), self.ask("//evil.example.com"))

    def test_hostile_requests(self) -> None:
        """A path without a token is redirected like any other."""
        for token in HOSTILE:
            if token.isascii() and token.isprintable() and " " not in token:
                self.assertEqual(308, self.ask(f"/.well-known/acme-challenge/{token}")[0], token)


class AlpnTests(FolderTestCase):
    """The choice by ALPN, over TLS in memory."""

    def shake(self, protocols: list[str], name: str = NAME) -> tuple[ssl.SSLObject, Transport]:
        """Shake hands. Answers with the client, and with the server's transport."""
        own = ServerTls(sign([NAME, OTHER], [], datetime.now(UTC)), {ALPN_PROTOCOL: AlpnAnswers(self.folder, [NAME])})
        client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        client.check_hostname, client.verify_mode = False, ssl.CERT_NONE
        client.set_alpn_protocols(protocols)
        to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
        connection = client.wrap_bio(to_client, to_server, server_hostname=name)
        transport = Transport(peerAddress=PEER)
        server = TLSMemoryBIOFactory(own, False, Factory.forProtocol(Protocol), Clock()).buildProtocol(PEER)
        transport.protocol = server
        server.makeConnection(transport)
        for _ in range(4):
            try:
                connection.do_handshake()
            except ssl.SSLWantReadError:
                server.dataReceived(to_server.read())
                to_client.write(transport.read())
            else:
                server.dataReceived(to_server.read())
                return connection, transport
        raise AssertionError("the handshake does not end")

    def test_challenge(self) -> None:
        """A client that validates a name is shown the certificate that answers, and the connection is closed."""
        client, transport = self.shake(["acme-tls/1"])
        self.assertEqual("acme-tls/1", client.selected_alpn_protocol())
        self.assertEqual(self.pair.chain[0].public_bytes(Encoding.DER), client.getpeercert(True))
        self.assertIsNotNone(transport.ended_by)

    def test_no_challenge(self) -> None:
        """If the name is not being validated, or not ours, the client gets the usual certificate, and no protocol."""
        self.folder.answer_alpn(OTHER, self.pair)
        for name in (OTHER, "127.0.0.1"):
            client, transport = self.shake(["acme-tls/1"], name)
            self.assertIsNone(client.selected_alpn_protocol())
            self.assertIsNone(transport.ended_by)
        self.folder.clear_answers()
        self.assertIsNone(self.shake(["acme-tls/1"])[0].selected_alpn_protocol())

    def test_http(self) -> None:
        """Browsers get HTTP, meanwhile too."""
        client, transport = self.shake(["h2", "http/1.1"])
        self.assertEqual("http/1.1", client.selected_alpn_protocol())
        self.assertIsNone(transport.ended_by)
