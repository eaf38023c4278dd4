"""A daemon that gets its certificate by ACME and renews it, from pebble."""

from __future__ import annotations

import os
import re
import signal
import socket
import ssl
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import Any, Final, cast

from acme import client, messages
from cryptography.hazmat.primitives import serialization
from josepy.jwa import ES256
from josepy.jwk import JWKEC
from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent

from callnet.acme.renewal import AcmeFolder
from callnet.ops.certificates import sign, to_pem
from harness.daemon import LISTENERS
from harness.pebble import Pebble
from harness.ports import free_ports
from harness.tls_line import Line
from harness.wire import HOST
from tests.integration.test_workers import get, settings_of_workers, workers_of
from tests.support.daemon import Daemon
from tests.support.devices import log_in, service_of
from tests.support.processes import stopped, written
from tests.support.shared_daemon import new_phone

reactor: Any = installed

NAME: Final = "callnet.example.org"
RELOADED: Final = "reloaded the certificate"


def shown(port: int, root: str, name: str = NAME) -> bytes | None:
    """The certificate for a client that asks for the name and trusts only the authority, in DER.

    :raises ssl.SSLError: it is not to be believed.
    """
    context = ssl.create_default_context(cadata=root)
    with socket.create_connection((HOST, port)) as plain, context.wrap_socket(plain, server_hostname=name) as client:
        return client.getpeercert(binary_form=True)


def reloads(daemon: Daemon, count: int) -> Deferred[re.Match[str]]:
    """Fires when a daemon has logged ``count`` times that it has read a certificate again."""
    return written(daemon.log_file, re.compile(f"(?:{RELOADED}(?s:.*)){{{count}}}"))


def read_to_end(connection: socket.socket) -> None:
    """Read until the client is gone."""
    while connection.recv(4096):
        pass


class AcmeTests(TestCase):
    """Daemons on the ports that an authority takes for 80 and 443."""

    def setUp(self) -> None:
        """An authority, which does not run yet."""
        self.http, self.https = free_ports(2)
        self.pebble = Pebble(self.http, self.https)
        self.addCleanup(self.pebble.close)

    def daemon(self, more: str = "", settings: str = "", directory: str = "") -> Daemon:
        """A daemon that orders there, or from another ``directory``.

        :param more: further lines of ``[tls.acme]``.
        """
        listeners = LISTENERS.replace('site = [{ endpoint = "tcp:0:', f'site = [{{ endpoint = "tcp:{self.https}:')
        daemon = Daemon(self.mktemp(), f"{settings}\n{self.settings(more, directory)}", listeners=listeners)
        self.addCleanup(daemon.stop)
        return daemon

    def settings(self, more: str, directory: str = "") -> str:
        """The settings of ACME."""
        directory = directory or self.pebble.directory
        return f'[tls.acme]\nnames = ["{NAME}"]\ndirectory = "{directory}"\nca = "{self.pebble.authority}"\n{more}'

    def shown(self) -> Deferred[bytes | None]:
        """The certificate for a client that asks for the name and trusts only the authority, in DER.

        It fails with :class:`ssl.SSLError` if it is not to be believed.
        """
        return deferToThread(shown, self.https, self.pebble.root())

    async def test_tls_alpn_01(self) -> None:
        """It gets a certificate on the port of its site, and renews it under an open WebSocket, which stays."""
        self.pebble.start()
        daemon = self.daemon()
        await daemon.start()
        await reloads(daemon, 1)
        first = await self.shown()
        token = await log_in(service_of(daemon), new_phone(), "tv")
        line = await deferToThread(Line, self.https, token)
        self.addCleanup(line.close)

        self.grow_old(daemon)
        await reloads(daemon, 3)
        self.assertNotEqual(first, await self.shown())
        self.assertTrue(await deferToThread(line.answers))

    def grow_old(self, daemon: Daemon) -> None:
        """Have the certificate be one that is to be renewed, and the daemon look at it."""
        self.age(daemon)
        os.kill(daemon.pid, signal.SIGHUP)

    def age(self, daemon: Daemon) -> None:
        """Have the certificate be one that is to be renewed."""
        folder = AcmeFolder(str(daemon.state_dir), self.pebble.directory)
        folder.write(folder.certificate, to_pem(sign([NAME], [], datetime.now(UTC) - timedelta(days=700))))

    async def test_contact(self) -> None:
        """The authority is told another contact with the next order, and to forget one.

        One that it refuses is a warning: the certificate is renewed.
        """
        self.pebble.start()
        first, second, refused = (f"mailto:{name}" for name in ("first@example.org", "second@example.org", "a@b@c"))
        daemon = self.daemon()
        for contact, known in ((first, (first,)), (second, (second,)), (refused, (second,)), ("", ())):
            daemon.reconfigure(self.settings(f'contact = "{contact}"' if contact else ""))
            await daemon.start()
            if contact == refused:
                await daemon.said("the certificate was ordered, but the authority refused the contact: invalidContact")
            await daemon.said(RELOADED)
            self.assertEqual(known, await self.contact(daemon))
            await daemon.stop()
            self.age(daemon)

    def contact(self, daemon: Daemon) -> Deferred[Sequence[str]]:
        """The contact of its account, as the authority knows it."""

        def ask() -> Sequence[str]:
            key = AcmeFolder(str(daemon.state_dir), self.pebble.directory).account_key.read_bytes()
            network = client.ClientNetwork(JWKEC(key=serialization.load_pem_private_key(key, None)), alg=ES256)
            network.verify_ssl = cast(bool, str(self.pebble.authority))
            authority = client.ClientV2(client.ClientV2.get_directory(self.pebble.directory, network), network)
            account = messages.RegistrationResource(body=messages.Registration())
            told: Sequence[str] = authority.query_registration(account).body.contact
            return told

        return deferToThread(ask)

    async def test_http_01(self) -> None:
        """It gets one on a port for HTTP, which sends everybody else to https."""
        self.pebble.start()
        daemon = self.daemon(f'http01 = "tcp:{self.http}:interface={HOST}"')
        await daemon.start()
        await reloads(daemon, 1)
        await self.shown()
        answer = await Agent(reactor).request(b"GET", f"http://{HOST}:{self.http}/x".encode())
        self.assertEqual(308, answer.code)
        self.assertEqual([f"https://{NAME}/x".encode()], answer.headers.getRawHeaders(b"location"))

    async def test_workers(self) -> None:
        """Of several processes the parent orders, each answers challenges, and each takes the certificate up."""
        self.pebble.start()
        daemon = self.daemon(settings=settings_of_workers())
        await daemon.start()
        await reloads(daemon, 3)
        for pid in workers_of(daemon):
            with stopped(pid):
                await self.shown()
        self.assertEqual(1, daemon.log.count("ordering a certificate"))

    async def test_directory_down(self) -> None:
        """While the authority is away the self-signed certificate serves; then there is another one."""
        daemon = self.daemon()
        await daemon.start()
        await daemon.said(r"failed to get a certificate, trying again in \d min: cannot reach https://127\S+: \S")
        own = daemon.certificate.read_text()
        await deferToThread(shown, self.https, own, "localhost")
        _, metrics = await get(f"{daemon.admin_url}/metrics")
        self.assertIn(b'callnet_certificate_orders_total{outcome="failed"} 1.0\n', metrics)

        self.pebble.start()
        os.kill(daemon.pid, signal.SIGHUP)
        await reloads(daemon, 2)
        await self.shown()

    async def test_stopped(self) -> None:
        """A daemon that is stopped while it orders ends in time, and leaves no process."""
        with closing(socket.create_server((HOST, 0))) as silent:
            daemon = self.daemon(directory=f"https://localhost:{silent.getsockname()[1]}/dir")
            await daemon.start()
            connection, _ = await deferToThread(silent.accept)
        with closing(connection):
            self.assertTrue(await deferToThread(connection.recv, 1))
            await daemon.stop()
            await deferToThread(read_to_end, connection)
