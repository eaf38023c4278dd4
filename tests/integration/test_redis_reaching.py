"""The ways to a Redis, and their obstacles: each is tried by the look before a start, and by the link."""

from __future__ import annotations

import socket
from typing import Any, Final

from twisted.internet import reactor as installed
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

from callnet.redis.check import reachable
from harness.redis_server import PASSWORD, USER, RedisServer, shared
from tests.support.redis_case import Link, RedisCase, target

reactor: Any = installed
WRONG_PASSWORD: Final = "nobody-may-read-this"


class OpenWayTests(RedisCase):
    """Redis is reached."""

    async def assert_reached(self, url: str, ca: str = "") -> None:
        """Both the look and the link get there, and commands are answered."""
        self.assertIsNone(reachable(target(url, ca)))
        link = self.link(url, ca)
        await link.runs.get()
        self.assertEqual(await link.run("echo", b"+86"), [b"+86"])

    async def test_by_a_unix_socket(self) -> None:
        """``unix://``."""
        await self.assert_reached(shared("redis").socket_url())

    async def test_by_address(self) -> None:
        """An IPv4 address, an IPv6 address, a name."""
        server = self.server(tcp=True)
        for host in ("127.0.0.1", "[::1]", "localhost"):
            await self.assert_reached(server.url(host))

    async def test_with_user_and_password(self) -> None:
        """The user needs few rights: no dangerous ones, except INFO."""
        for flavour in ("redis", "valkey"):
            server = RedisServer(flavour, tcp=True, acl=True)
            self.addCleanup(server.close)
            await self.assert_reached(server.url())
            await self.assert_reached(server.socket_url())
            subscription = self.subscription(server.url(), "channel")
            await subscription.confirmed.get()

    async def test_with_a_password_alone(self) -> None:
        """As Redis had it before version 6."""
        server = self.server(tcp=True, settings=[("requirepass", "secret")])
        await self.assert_reached(f"redis://:secret@127.0.0.1:{server.port}")

    async def test_to_a_database_with_a_number(self) -> None:
        """Scripts write to the database with this number."""
        server = self.server(tcp=True)
        for number, url in ((3, f"{server.url()}/3"), (4, f"{server.socket_url()}?db=4")):
            self.assertIsNone(reachable(target(url)))
            link = self.link(url)
            await link.runs.get()
            await link.run("append", b"key", b"value")
            self.assertEqual(server.cli("-n", str(number), "LLEN", "key"), "1")
        self.assertEqual(server.cli("DBSIZE"), "0")

    async def test_over_tls(self) -> None:
        """The certificate is signed by the CA in ``redis.ca``, and is for the name or address in the URL."""
        certificate = self.certificate("localhost", "127.0.0.1", "::1")
        server = self.server(certificate=certificate)
        for host in ("127.0.0.1", "[::1]", "localhost"):
            await self.assert_reached(server.url(host), certificate[0])
        subscription = self.subscription(server.url(), "channel", certificate[0])
        await subscription.confirmed.get()


class ClosedWayTests(RedisCase):
    """Something stands in the way. The link tries again and again, and is there when it has gone."""

    async def assert_stuck(self, url: str, look: str, log: str, ca: str = "") -> Link:
        """Assert that both the look and the link name the error, and not the password; returns the link."""
        where = target(url, ca)
        said = await deferToThread(reachable, where)
        self.assertIn(f"{where}: ", said or "")
        self.assertIn(look, said or "")
        line = self.said("Redis link: away")
        link = self.link(url, ca)
        self.assertIn(log, await line)
        self.assertIn(log, link.cause)
        for text in (said or "", await line, link.cause):
            self.assertNotIn(WRONG_PASSWORD, text)
            self.assertNotIn("\n", text)
        self.assertFalse(link.up)
        return link

    async def test_nobody_listens(self) -> None:
        """Redis may start later than callnet."""
        server = self.server(tcp=True)
        server.kill()
        link = await self.assert_stuck(server.url(), "Connection refused", "Connection refused")
        server.restart()
        await link.runs.get()

    async def test_there_is_no_socket(self) -> None:
        """The path may be wrong."""
        path = self.mktemp()
        await self.assert_stuck(f"unix:///nowhere/{path}", "No such file or directory", "No such file or directory")

    async def test_the_password_is_wrong(self) -> None:
        """After a fix in Redis callnet need not be restarted."""
        server = self.server(tcp=True, settings=[("requirepass", "secret")])
        url = f"redis://:{WRONG_PASSWORD}@127.0.0.1:{server.port}"
        link = await self.assert_stuck(url, "wrong user or password", "refused: WRONGPASS")
        server.cli("CONFIG", "SET", "requirepass", WRONG_PASSWORD)
        await link.runs.get()

    async def test_the_password_is_missing(self) -> None:
        """Redis asks for one, and ``redis.url`` has none."""
        server = self.server(tcp=True, acl=True)
        url = f"redis://127.0.0.1:{server.port}"
        link = await self.assert_stuck(url, "a password is required", "NOAUTH")
        server.cli("ACL", "SETUSER", "default", "on", "nopass", "~*", "&*", "+@all")
        await link.runs.get()

    async def test_the_user_has_too_few_rights(self) -> None:
        """The commands that a connection begins with are tried by the look."""
        server = self.server(tcp=True, acl=True)
        server.cli("ACL", "SETUSER", USER, "-info")
        link = await self.assert_stuck(server.url(), "this user may not run the required commands", "NOPERM")
        self.assertNotIn(PASSWORD, link.cause)
        server.cli("ACL", "SETUSER", USER, "+info")
        await link.runs.get()

    async def test_redis_has_all_the_clients_that_it_takes(self) -> None:
        """A place may become free."""
        server = self.server(tcp=True)
        address = ("127.0.0.1", server.port)
        with socket.create_connection(address) as one, socket.create_connection(address) as other:
            for client in (one, other):
                client.sendall(b"PING\r\n")
                self.assertEqual(client.recv(7), b"+PONG\r\n")
            server.cli("CONFIG", "SET", "maxclients", "2")
            link = await self.assert_stuck(server.url(), "max number of clients", "max number of clients")
        await link.runs.get()

    async def test_redis_stands_still(self) -> None:
        """It takes connections and answers nothing: a start is told so within 2 seconds."""
        server = self.server(tcp=True)
        server.stop()
        link = await self.assert_stuck(server.url(), "no answer in 2 s", "no answer in time")
        server.resume()
        await link.runs.get()

    async def test_redis_is_a_replica(self) -> None:
        """Nothing can be written there, until it is made a master."""
        server = self.server(tcp=True)
        server.replica_of(self.server(tcp=True))
        link = await self.assert_stuck(server.url(), "this is a replica; name the master", "this Redis is a replica")
        server.replica_of(None)
        await link.runs.get()

    async def test_the_database_does_not_exist(self) -> None:
        """There are 16 if Redis was not told otherwise."""
        server = self.server(tcp=True)
        await self.assert_stuck(f"{server.url()}/99", "DB index is out of range", "DB index is out of range")

    async def test_something_else_listens(self) -> None:
        """Such as a web server."""
        listening = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(Factory.forProtocol(_WebServer))
        self.addCleanup(listening.stopListening)
        url = f"redis://:{WRONG_PASSWORD}@127.0.0.1:{listening.getHost().port}"
        await self.assert_stuck(url, "not a Redis server", "not a Redis server")

    async def test_the_certificate_is_not_trusted(self) -> None:
        """Nothing is said to a server that is not who it says it is."""
        server = self.server(certificate=self.certificate("127.0.0.1"))
        other = self.certificate("127.0.0.1")[0]
        for ca in (other, ""):
            said = "untrusted certificate: self-signed certificate"
            await self.assert_stuck(server.url(), said, "TLS: certificate verify failed", ca)

    async def test_the_certificate_is_for_another_host(self) -> None:
        """The certificate is signed by a trusted CA, but is not for this server."""
        certificate = self.certificate("redis.example.org")
        server = self.server(certificate=certificate)
        said = "untrusted certificate: IP address mismatch, certificate is not valid for '127.0.0.1'."
        await self.assert_stuck(server.url(), said, "TLS: certificate issued for another host", certificate[0])

    async def test_the_port_speaks_no_tls(self) -> None:
        """``rediss://`` was written where ``redis://`` was meant."""
        server = self.server(tcp=True)
        await self.assert_stuck(server.url().replace("redis", "rediss", 1), "no answer in 2 s", "no answer in time")


class _WebServer(Protocol):
    """Answers whatever it is told."""

    def dataReceived(self, data: bytes) -> None:  # noqa: ARG002
        assert self.transport is not None
        self.transport.write(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")
