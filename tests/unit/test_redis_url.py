"""Valid values of ``redis.url``, and the errors of others."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from callnet.config.schema import RedisSettings
from callnet.errors import StartError
from callnet.redis.url import Address, Login, RedisTarget, parse

SECRET: Final = "s3cret"
HERE: Final = Address("127.0.0.1", 6379)


class RedisUrlTests(SynchronousTestCase):
    """URLs that are understood."""

    def assert_means(self, url: str, target: RedisTarget) -> None:
        """The URL names this Redis."""
        self.assertEqual(parse(RedisSettings(url=url)), target)

    def test_host_and_port(self) -> None:
        """Port 6379 if none is given; a final slash says nothing."""
        for url in ("redis://127.0.0.1:6379", "redis://127.0.0.1", "redis://127.0.0.1/"):
            self.assert_means(url, RedisTarget(address=HERE))
        self.assert_means("redis://cache-1.example.org:7000", RedisTarget(address=Address("cache-1.example.org", 7000)))
        self.assert_means("redis://[fd00::7]:7000", RedisTarget(address=Address("fd00::7", 7000)))
        self.assert_means("redis://[::1]", RedisTarget(address=Address("::1", 6379)))

    def test_database(self) -> None:
        """A number after the host."""
        self.assert_means("redis://127.0.0.1/15", RedisTarget(address=HERE, database=15))

    def test_login(self) -> None:
        """A user and a password, or a password alone; characters that an URL cannot hold are written as %XX."""
        for text, login in (
            (f"callnet:{SECRET}", Login("callnet", SECRET)),
            (f":{SECRET}", Login("", SECRET)),
            ("call%40net:a%2F%3A%40%25%3F%23+%C3%BC", Login("call@net", "a/:@%?#+ü")),
        ):
            self.assert_means(f"redis://{text}@127.0.0.1", RedisTarget(address=HERE, login=login))

    def test_what_logs_in(self) -> None:
        """The command has the user if one is named, and there is none without a password."""
        self.assertEqual(Login("callnet", "ü").command, (b"AUTH", b"callnet", "ü".encode()))
        self.assertEqual(Login("", "x").command, (b"AUTH", b"x"))
        self.assertEqual(Login().command, ())

    def test_tls(self) -> None:
        """``rediss`` is TLS, trusting the system's authorities or those in ``redis.ca``."""
        self.assert_means("rediss://127.0.0.1", RedisTarget(address=HERE, tls=True))

    def test_socket(self) -> None:
        """A path from the root; options follow a question mark."""
        for url, target in (
            ("unix:///run/redis/redis.sock", RedisTarget(path="/run/redis/redis.sock")),
            ("unix:///run/a%20b", RedisTarget(path="/run/a b")),
            ("unix:///r?db=2", RedisTarget(path="/r", database=2)),
            (f"unix:///r?user=u&password={SECRET}", RedisTarget(path="/r", login=Login("u", SECRET))),
            ("unix:///r?password=a%2Bb%26c", RedisTarget(path="/r", login=Login("", "a+b&c"))),
            (f"unix://u:{SECRET}@/r?db=1", RedisTarget(path="/r", login=Login("u", SECRET), database=1)),
        ):
            self.assert_means(url, target)

    def test_sentinels(self) -> None:
        """Some hosts, port 26379 if none is given, and the name of the service; a login is that of Redis."""
        sentinels = (Address("10.0.0.1", 26379), Address("fd00::2", 5000), Address("third", 26379))
        url = "redis+sentinel://{}10.0.0.1,[fd00::2]:5000,third/callnet{}"
        target = RedisTarget(sentinels=sentinels, service="callnet")
        self.assert_means(url.format("", ""), target)
        self.assert_means(url.format("", "/"), target)
        self.assert_means(
            url.format(f"u:{SECRET}@", "/3?sentinel_user=s&sentinel_password=p"),
            RedisTarget(
                sentinels=sentinels,
                service="callnet",
                login=Login("u", SECRET),
                sentinel_login=Login("s", "p"),
                database=3,
            ),
        )
        self.assert_means(
            "rediss+sentinel://third/callnet", RedisTarget(sentinels=sentinels[2:], service="callnet", tls=True)
        )

    def test_what_is_local(self) -> None:
        """A socket and loopback are on this machine. Sentinels may name another, wherever they are themselves."""
        for url in ("unix:///r", "redis://127.0.0.1", "redis://127.1.2.3:7000", "rediss://[::1]", "redis://localhost"):
            self.assertTrue(parse(RedisSettings(url=url)).is_local, url)
        for url in ("redis://10.0.0.1", "redis://[fd00::1]", "redis://redis", "redis+sentinel://127.0.0.1/callnet"):
            self.assertFalse(parse(RedisSettings(url=url)).is_local, url)

    def test_no_secret_is_shown(self) -> None:
        """A log line has the address of Redis, and only that there is a password."""
        for url, where in (
            (f"redis://u:{SECRET}@127.0.0.1:7000/1", "127.0.0.1:7000"),
            (f"redis://:{SECRET}@[::1]", "[::1]:6379"),
            (f"unix:///r?password={SECRET}", "/r"),
            (
                f"redis+sentinel://:{SECRET}@a,b/s?sentinel_password={SECRET}",
                "the master of s at Sentinel a:26379, b:26379",
            ),
        ):
            target = parse(RedisSettings(url=url))
            self.assertEqual(str(target), where)
            self.assertNotIn(SECRET, repr(target))


class WrongRedisUrlTests(SynchronousTestCase):
    """URLs that are not understood: one line says why, names the setting, and repeats nothing of it."""

    def refusal(self, url: str, ca: str = "") -> str:
        """Why the settings are refused."""
        error = str(self.assertRaises(StartError, parse, RedisSettings(url=url, ca=ca)))
        self.assertNotIn("\n", error)
        self.assertNotIn(SECRET, error)
        return error

    def test_scheme(self) -> None:
        """There are five."""
        for url in ("", SECRET, f"{SECRET}:6379", f"http://{SECRET}", f"REDIS://{SECRET}", f"redis:{SECRET}"):
            self.assertIn("redis.url must begin with redis://, rediss://, unix://,", self.refusal(url))

    def test_host(self) -> None:
        """A host there must be; a password with characters of an URL in it is the usual mistake."""
        for rest in (
            "",
            "/1",
            ":6379",
            f"{SECRET} x",
            f"{SECRET}:0",
            f"{SECRET}:65536",
            f"{SECRET}:port",
            f"{SECRET}..x",
            f"-{SECRET}",
            "[::1",
            "::1",
            "[1:2]",
            f":{SECRET}/{SECRET}@127.0.0.1",
            f"{SECRET},127.0.0.1",
        ):
            self.assertIn("redis.url needs a host", self.refusal(f"redis://{rest}"))
        self.assertIn("redis.url needs a host", self.refusal("redis+sentinel://a,,b/service"))

    def test_login(self) -> None:
        """A user has a password, and it is UTF-8."""
        self.assertEqual(self.refusal(f"redis://{SECRET}@host"), "redis.url names a user without a password")
        self.assertEqual(self.refusal(f"unix:///r?user={SECRET}"), "redis.url names a user without a password")
        self.assertIn("redis.url has a %XX sequence that is not UTF-8", self.refusal(f"redis://:{SECRET}%FF@host"))
        self.assertEqual(
            self.refusal(f"unix://:{SECRET}@/r?password={SECRET}"), "redis.url has two passwords; remove one"
        )

    def test_database(self) -> None:
        """It is a number."""
        for url in (f"redis://host/{SECRET}", "redis://host/1/2", "redis://host/-1", f"unix:///r?db={SECRET}"):
            self.assertIn("redis.url must have nothing but a database number", self.refusal(url))

    def test_options(self) -> None:
        """Each kind of URL knows its own, each once."""
        self.assertIn("known options: none", self.refusal(f"redis://host?password={SECRET}"))
        self.assertIn("known options: db, user, password", self.refusal(f"unix:///r?{SECRET}=x"))
        self.assertIn("must have name=value pairs", self.refusal(f"unix:///r?{SECRET}"))
        self.assertIn("must have name=value pairs", self.refusal("unix:///r?password=%FF"))

    def test_socket(self) -> None:
        """The path begins at the root, after three slashes."""
        for url in ("unix://", "unix:///", f"unix://{SECRET}", f"unix://run/{SECRET}"):
            self.assertIn("redis.url needs the absolute path of a socket", self.refusal(url))

    def test_service(self) -> None:
        """Sentinels may watch over several."""
        for url in (f"redis+sentinel://{SECRET}", f"redis+sentinel://{SECRET}/", "redis+sentinel://a//1"):
            self.assertIn("redis.url needs the name of the service", self.refusal(url))

    def test_authorities(self) -> None:
        """``redis.ca`` is a PEM file, and means something with TLS only."""
        path = self.mktemp()
        self.assertIn(f"redis.ca: cannot read {path}", self.refusal("rediss://host", path))
        Path(path).write_text("nothing", encoding="utf-8")
        self.assertIn(f"redis.ca: {path} contains no PEM certificates", self.refusal("rediss://host", path))
        self.assertIn("redis.ca needs a redis.url with rediss://", self.refusal("redis://host", path))
