"""The site: its paths, and the headers that every answer carries."""

from __future__ import annotations

import gzip
import os
import re
from pathlib import Path
from typing import Final

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from callnet.calls.rooms import RoomManager
from callnet.config.schema import SignalingSettings
from callnet.store.memory import MemoryBus
from callnet.web import site
from callnet.web.api import AccountApi
from callnet.ws.device_socket import SignalingFactory
from callnet.ws.page_socket import RoomSocketFactory
from tests.support.account_fixture import TV, ServiceFixture
from tests.support.http_wire import Answer, HttpWire
from tests.support.no_roster import NO_ROSTER
from tests.support.plain_preferences import OPEN
from tests.support.unlimited import ALONE, NO_SERVERS, UNLIMITED
from tests.support.wires import AT_ONCE

PAGE: Final = "<!doctype html><title>callnet</title>"
PHONE: Final = "<!doctype html><title>phone</title>"
GUEST: Final = "<!doctype html><title>guest</title>"
WORKER: Final = "addEventListener('push', () => {});"
ROOM: Final = "0123456789abcdef0123456789abcdef"
UPGRADE: Final = (
    "GET {path} HTTP/1.1\r\nHost: callnet.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
)


class SiteTestCase(SynchronousTestCase):
    """The site of real parts on one connection, with a few files of its own."""

    def setUp(self) -> None:
        """A site that nobody has used."""
        self.static = Path(self.mktemp())
        (self.static / "demo").mkdir(parents=True)
        (self.static / "demo" / "direct_chat.html").write_text(PAGE, encoding="utf-8")
        (self.static / "phone").mkdir()
        (self.static / "phone" / "worker.js").write_text(WORKER, encoding="utf-8")
        (self.static / "guest").mkdir()
        (self.static / "guest" / "index.html").write_text(GUEST, encoding="utf-8")
        (self.static / "index.html").write_text(PHONE, encoding="utf-8")
        fixture = ServiceFixture()
        self.addCleanup(fixture.database.close)
        self.token = fixture.tokens.issue(TV)
        self.clock = clock = Clock()
        rooms = RoomManager(fixture.store, MemoryBus(), clock, AT_ONCE, OPEN, NO_ROSTER)
        self.root = site.root(
            fixture.api(),
            SignalingFactory(
                rooms, fixture.tokens.verify, clock, UNLIMITED, ALONE, NO_SERVERS, SignalingSettings()
            ).web_resource(),
            RoomSocketFactory(rooms, clock, UNLIMITED, NO_SERVERS).web_resource(),
            str(self.static),
            clock,
        )
        self.connect(hsts=0)

    def connect(self, hsts: int) -> None:
        """Open a connection to the site with this setting."""
        self.wire = HttpWire(site.Site(self.root, Clock(), hsts))

    def get(self, path: str, *headers: str) -> Answer:
        """Ask for a path."""
        return self.wire.request("GET", path, b"", *headers)

    def upgrade(self, path: str, headers: str = "") -> str:
        """The status line of the answer to a WebSocket's handshake."""
        self.connect(hsts=0)
        self.wire.send(UPGRADE.format(path=path, headers=headers).encode("ascii"))
        return self.wire.received().split(b"\r\n")[0].decode("ascii")


class PlacesTests(SiteTestCase):
    """The paths of the site."""

    def test_the_phone_is_at_the_root(self) -> None:
        """The phone is at the root, whatever its query, and a browser is to ask each time whether it is the same."""
        for path in ("/", "/?lang=zh"):
            answer = self.get(path)
            self.assertEqual((answer.status, answer.body.decode()), (200, PHONE), path)
            self.assertEqual(answer.headers["content-type"], "text/html; charset=utf-8")
            self.assertEqual(self.get(path, f"If-None-Match: {answer.headers['etag']}").status, 304)

    def test_the_page_of_guests(self) -> None:
        """A link that rings leads to the page of guests."""
        answer = self.get("/guest")
        self.assertEqual((200, GUEST), (answer.status, answer.body.decode()))
        self.assertEqual("text/html; charset=utf-8", answer.headers["content-type"])

    def test_the_service_worker_is_at_the_root(self) -> None:
        """The phone's service worker is above all of the site, and a browser is to ask for it each time."""
        answer = self.get("/worker.js")
        self.assertEqual((200, WORKER), (answer.status, answer.body.decode()))
        self.assertEqual("text/javascript; charset=utf-8", answer.headers["content-type"])
        self.assertEqual("no-cache", answer.headers["cache-control"])
        self.assertIn("connect-src 'self'", answer.headers["content-security-policy"])

    def test_the_page_is_served_whatever_its_query(self) -> None:
        """The page is served whatever its query."""
        for query in ("", f"?room_id={ROOM}"):
            answer = self.get(f"/static/demo/direct_chat.html{query}")
            self.assertEqual((answer.status, answer.body.decode()), (200, PAGE))

    def test_the_account_service_is_here_too(self) -> None:
        """The account service is here too."""
        body = b'{"phone": "13651884967", "device_id": "tv888"}'
        login = self.wire.request("POST", "/account/login", body).json()
        self.assertEqual(login["errorCode"], 0)
        body = b'{"phone": "13651884967", "token": "%s"}' % login["token"].encode()
        self.assertEqual(self.wire.request("POST", "/getContactPersons", body).json()["contacts"], [])
        body = b'{"contact_phone": "13651884968", "token": "%s"}' % login["token"].encode()
        for change in ("add", "remove", "block", "unblock"):
            self.assertEqual(self.wire.request("POST", f"/contacts/{change}", body).json()["errorCode"], 0)

    def test_every_call_of_the_account_service_is_here(self) -> None:
        """Every call of the account service is here."""
        for rule in AccountApi.routes.url_map.iter_rules():
            answer = self.wire.request("POST", rule.rule, b"{}")
            self.assertEqual(answer.headers["content-type"], "application/json", rule.rule)
            self.assertNotEqual(answer.status, 404, rule.rule)

    def test_what_the_account_service_does_not_know_is_answered_in_its_form(self) -> None:
        """A path that the account service does not know is answered in its form."""
        for path in (
            "/account",
            "/account/",
            "/account/nothing",
            "/getContactPersons/nothing",
            "/contacts",
            "/contacts/nothing",
            "/calls",
            "/devices/nothing",
        ):
            answer = self.wire.request("POST", path, b"{}")
            self.assertEqual((answer.status, answer.json()["errorCode"]), (404, 2), path)

    def test_devices_may_open_their_socket_here(self) -> None:
        """Devices may open their socket here."""
        for path in ("/socket.io", "/socket.io/"):
            self.assertEqual(self.upgrade(f"{path}?token={self.token}"), "HTTP/1.1 101 Switching Protocols", path)

    def test_without_a_token_they_may_not(self) -> None:
        """Without a token they may not."""
        self.assertEqual(self.upgrade("/socket.io"), "HTTP/1.1 401 Unauthorized")

    def test_no_other_path_is_theirs(self) -> None:
        """No other path is theirs."""
        self.assertEqual(self.upgrade(f"/socket.io/x?token={self.token}"), "HTTP/1.1 404 Not Found")

    def test_the_page_may_open_its_room_socket(self) -> None:
        """The page may open its room socket."""
        self.assertEqual(self.upgrade("/room", "Origin: https://callnet.test\r\n"), "HTTP/1.1 101 Switching Protocols")

    def test_pages_of_other_sites_may_not(self) -> None:
        """Pages of other sites may not."""
        self.assertEqual(self.upgrade("/room", "Origin: https://evil.test\r\n"), "HTTP/1.1 403 Forbidden")

    def test_a_socket_needs_an_upgrade(self) -> None:
        """A socket needs an upgrade."""
        for path in ("/room", "/socket.io"):
            self.connect(hsts=0)
            self.wire.send(f"GET {path} HTTP/1.1\r\nHost: callnet.test\r\n\r\n".encode())
            self.assertEqual(self.wire.received().split(b"\r\n")[0], b"HTTP/1.1 426 Upgrade Required", path)

    def test_there_is_nothing_else(self) -> None:
        """There is nothing else."""
        for path in ("/nothing", "/static/nothing", "/static", "/static/demo/nothing.js"):
            self.connect(hsts=0)
            self.assertEqual(self.get(path).status, 404, path)


class StaticTests(SiteTestCase):
    """The files."""

    PATH: Final = "/static/demo/direct_chat.html"

    def test_directories_are_not_listed(self) -> None:
        """Directories are not listed."""
        for path in ("/static/", "/static/demo/"):
            self.assertEqual(self.get(path).status, 404, path)

    def test_nothing_outside_is_served(self) -> None:
        """Nothing outside is served."""
        (self.static.parent / "secret.txt").write_text("secret", encoding="utf-8")
        for path in (
            "/static/../secret.txt",
            "/static/%2e%2e/secret.txt",
            "/static/..%2fsecret.txt",
            "/static//etc/passwd",
            "/static/%00",
            "/static/%ff",
            "/static/" + "x" * 5000,
            f"{self.PATH}/",
        ):
            self.assertEqual(self.get(path).status, 404, path)

    def test_types_do_not_depend_on_the_machine(self) -> None:
        """Types do not depend on the machine."""
        for name, kind in {
            "a.html": "text/html; charset=utf-8",
            "a.js": "text/javascript; charset=utf-8",
            "a.css": "text/css; charset=utf-8",
            "a.svg": "image/svg+xml",
            "a.png": "image/png",
            "a.webmanifest": "application/manifest+json",
            "a.unheard-of": "application/octet-stream",
        }.items():
            (self.static / name).write_text("x", encoding="utf-8")
            self.assertEqual(self.get(f"/static/{name}").headers["content-type"], kind)

    def test_a_browser_is_to_ask_each_time_whether_a_file_is_still_the_same(self) -> None:
        """A browser is to ask each time whether a file is still the same."""
        first = self.get(self.PATH)
        self.assertEqual(first.headers["cache-control"], "no-cache")
        again = self.get(self.PATH, f"If-None-Match: {first.headers['etag']}")
        self.assertEqual((again.status, again.body), (304, b""))

    def test_a_file_with_another_content_is_not_the_same(self) -> None:
        """A file with another content is not the same, though it may be of the same age and size."""
        first = self.get(self.PATH)
        page = self.static / "demo" / "direct_chat.html"
        times = page.stat().st_atime, page.stat().st_mtime
        page.write_text(PAGE.upper(), encoding="utf-8")
        os.utime(page, times)
        again = self.get(self.PATH, f"If-None-Match: {first.headers['etag']}")
        self.assertEqual((again.status, again.body), (200, PAGE.upper().encode()))

    def test_compressed(self) -> None:
        """Text that gets shorter is compressed for browsers that take gzip; each form has its own validator."""
        (self.static / "a.js").write_text("let a;\n" * 100, encoding="utf-8")
        plain = self.get("/static/a.js")
        self.assertNotIn("content-encoding", plain.headers)
        self.assertEqual("Accept-Encoding", plain.headers["vary"])
        for accepted in ("gzip", "br, GZIP;q=0.5", "*"):
            packed = self.get("/static/a.js", f"Accept-Encoding: {accepted}")
            self.assertEqual("gzip", packed.headers["content-encoding"], accepted)
            self.assertEqual(plain.body, gzip.decompress(packed.body))
            self.assertNotEqual(plain.headers["etag"], packed.headers["etag"])
        again = self.get("/static/a.js", "Accept-Encoding: gzip", f"If-None-Match: {packed.headers['etag']}")
        self.assertEqual((304, b""), (again.status, again.body))
        for refused in ("br", "gzip;q=0", "identity, gzip;q=0.0", ""):
            self.assertEqual(plain.body, self.get("/static/a.js", f"Accept-Encoding: {refused}").body, refused)
        (self.static / "a.png").write_bytes(bytes(1000))
        for path in ("/static/a.png", self.PATH):
            self.assertNotIn("content-encoding", self.get(path, "Accept-Encoding: gzip").headers, path)

    def put_page(self) -> None:
        """Put a page there that names files in every way."""
        (self.static / "demo" / "page.js").write_text("export {};", encoding="utf-8")
        (self.static / "look.css").write_text("p {}", encoding="utf-8")
        names = (
            'href="../look.css"',
            'src="page.js"',
            'src="/static/demo/page.js"',
            'href="app.webmanifest"',
            'href="#i"',
        )
        (self.static / "demo" / "direct_chat.html").write_text(" ".join(names), encoding="utf-8")

    def named(self) -> list[str]:
        """The files that the page names."""
        return re.findall(r'"([^"]+)"', self.get(self.PATH).body.decode())

    def test_versions(self) -> None:
        """A page names scripts and sheets under a version of the folder, by which browsers may keep them for ever."""
        self.put_page()
        sheet, script, same, manifest, symbol = self.named()
        version = script.split("/")[2]
        self.assertRegex(version, "^v-[0-9a-f]{16}$")
        self.assertEqual(f"/static/{version}/look.css", sheet)
        self.assertEqual([f"/static/{version}/demo/page.js"] * 2, [script, same])
        self.assertEqual(["app.webmanifest", "#i"], [manifest, symbol])
        kept = self.get(script)
        self.assertEqual((200, b"export {};"), (kept.status, kept.body))
        self.assertEqual("public, max-age=31536000, immutable", kept.headers["cache-control"])
        self.assertNotIn("etag", kept.headers)
        self.assertEqual("no-cache", self.get(self.PATH).headers["cache-control"])
        self.assertEqual("no-cache", self.get("/static/demo/page.js").headers["cache-control"])

    def test_parts_do_not_repeat_the_policy(self) -> None:
        """Parts of a page that are kept for ever come without the headers that browsers heed in pages alone."""
        self.put_page()
        (self.static / "mark.svg").write_text("<svg/>", encoding="utf-8")
        script = self.named()[1]
        version = script.split("/")[2]
        for path, is_bare in (
            (script, True),
            (f"/static/{version}/look.css", True),
            (f"/static/{version}/mark.svg", False),
            ("/static/demo/page.js", False),
            (self.PATH, False),
        ):
            headers = self.get(path).headers
            for name in ("content-security-policy", "permissions-policy", "cross-origin-opener-policy"):
                self.assertEqual(is_bare, name not in headers, f"{path}: {name}")
            self.assertEqual("nosniff", headers["x-content-type-options"])
            self.assertEqual("same-origin", headers["cross-origin-resource-policy"])

    def test_another_version(self) -> None:
        """If a file changes, so does the version within a second; under an earlier one the present files are served."""
        self.put_page()
        before, validator = self.named()[1], self.get(self.PATH).headers["etag"]
        (self.static / "look.css").write_text("p { color: red }", encoding="utf-8")
        self.assertEqual(before, self.named()[1])
        self.clock.advance(1)
        after = self.named()[1]
        self.assertNotEqual(before, after)
        self.assertEqual(200, self.get(self.PATH, f"If-None-Match: {validator}").status)
        earlier = self.get(before)
        self.assertEqual((200, "no-cache"), (earlier.status, earlier.headers["cache-control"]))
        self.clock.advance(1)
        self.assertEqual(after, self.named()[1])

    def test_unreadable_names(self) -> None:
        """Links that lead nowhere, as editors make, and files that cannot be read keep no other from being served."""
        self.put_page()
        before = self.named()
        (self.static / "demo" / ".#page.js").symlink_to("user@host.123:456")
        (self.static / "loop.js").symlink_to("loop.js")
        for _ in range(3):
            self.clock.advance(1)
            self.assertEqual(before, self.named())
        (self.static / "memory.js").symlink_to("/proc/self/mem")
        self.clock.advance(1)
        script = self.named()[1]
        self.assertNotEqual(before[1], script)
        self.assertEqual(200, self.get(script).status)

    def test_the_same_version_everywhere(self) -> None:
        """The version goes by the contents alone: all nodes of a release have the same."""
        self.put_page()
        version = self.named()[1]
        self.setUp()
        self.put_page()
        os.utime(self.static / "look.css", (0, 0))
        self.assertEqual(version, self.named()[1])

    def test_no_version(self) -> None:
        """A version alone is no file, and leads nowhere else."""
        self.put_page()
        version = self.named()[1].split("/")[2]
        for path in ("", "/", "/../x", f"/{version}/look.css"):
            self.assertEqual(404, self.get(f"/static/{version}{path}").status, path)

    def test_head_answers_as_get_without_the_file(self) -> None:
        """HEAD answers like GET, `Content-Length` included, without the body: files, services, and missing paths."""
        for path, status, length in (
            (f"{self.PATH}?room_id={ROOM}", 200, len(PAGE)),
            ("/?lang=zh", 200, len(PHONE)),
            ("/nothing", 404, len("There is nothing here.\n")),
            ("/devices/push/key", 200, None),
            ("/account/login", 405, None),
        ):
            self.connect(hsts=0)
            self.wire.send(f"HEAD {path} HTTP/1.1\r\nHost: callnet.test\r\n\r\n".encode())
            head, _, body = self.wire.received().partition(b"\r\n\r\n")
            self.assertIn(b"HTTP/1.1 %d " % status, head, path)
            self.assertIn(b"Content-Length: " if length is None else b"Content-Length: %d\r\n" % length, head + b"\r\n")
            self.assertEqual(body, b"", path)

    def test_methods_that_a_path_does_not_take(self) -> None:
        """Other methods are answered with 405 in the form of the account service, which quotes nothing, everywhere."""
        for path in (self.PATH, "/", "/static/nothing", "/account/login", "/devices/push/key"):
            for method in ("TRACE", "OPTIONS", "PUT", "CONNECT", "BREW"):
                self.connect(hsts=0)
                self.wire.send(f"{method} {path}?x={ROOM} HTTP/1.1\r\nHost: callnet.test\r\n\r\n".encode())
                (answer,) = self.wire.answers()
                self.assertEqual((answer.status, answer.json()["errorCode"]), (405, 2), (method, path))
                self.assertIn("allow", answer.headers)
                self.assertNotIn(ROOM.encode(), answer.body)


class HeadersTests(SiteTestCase):
    """Every answer keeps the page to its own site."""

    def policy(self, *headers: str) -> dict[str, str]:
        """The content security policy of the page."""
        answer = self.get("/static/demo/direct_chat.html", *headers)
        directives = answer.headers["content-security-policy"].split("; ")
        return dict(directive.split(" ", 1) for directive in directives)

    def test_every_answer_carries_them(self) -> None:
        """Every answer carries them."""
        for answer in (
            self.get("/"),
            self.get("/static/demo/direct_chat.html"),
            self.get("/nothing"),
            self.wire.request("POST", "/account/login", b"{}"),
            self.wire.request("POST", "/account/login", b"x" * 20000),
        ):
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
            self.assertEqual(answer.headers["referrer-policy"], "no-referrer")
            self.assertEqual(answer.headers["cross-origin-opener-policy"], "same-origin")
            self.assertEqual(answer.headers["cross-origin-resource-policy"], "same-origin")
            self.assertIn("camera=(self), microphone=(self)", answer.headers["permissions-policy"])
            self.assertIn("frame-ancestors 'self'", answer.headers["content-security-policy"])
            self.assertNotIn("server", answer.headers)

    def test_nothing_is_loaded_from_elsewhere_and_nothing_inline(self) -> None:
        """Nothing is loaded from elsewhere and nothing inline."""
        policy = self.policy()
        self.assertEqual(
            (policy["default-src"], policy["script-src"], policy["style-src"]), ("'none'", "'self'", "'self'")
        )
        self.assertEqual(policy["manifest-src"], "'self'")
        self.assertNotIn("unsafe", str(policy))

    def test_a_file_is_saved_from_within_the_phone(self) -> None:
        """A received file may be saved in the call's page, which is a frame of the phone."""
        self.assertEqual(self.policy()["frame-src"], "'self' blob:")

    def test_sockets_go_to_the_same_host_in_older_browsers_too(self) -> None:
        """Sockets go to the same host in older browsers too."""
        self.assertEqual(self.policy()["connect-src"], "'self' wss://callnet.test ws://callnet.test")

    def test_a_host_that_would_change_the_policy_is_not_repeated_in_it(self) -> None:
        """A host that would change the policy is not repeated in it."""
        for host in ("evil.test; script-src *", "a b", "*", "x'y", "é", "Ã©"):
            self.connect(hsts=0)
            self.wire.send(f"GET /nothing HTTP/1.1\r\nHost: {host}\r\n\r\n".encode("latin-1"))
            (answer,) = self.wire.answers()
            self.assertIn("connect-src 'self'; manifest-src", answer.headers["content-security-policy"], host)

    def test_addresses_and_ports_are_hosts(self) -> None:
        """Addresses and ports are hosts."""
        for host in ("127.0.0.1:8080", "[::1]:8080", "[fd00::2]", "localhost", "my_tv.local:1"):
            self.connect(hsts=0)
            self.wire.send(f"GET /nothing HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            (answer,) = self.wire.answers()
            self.assertIn(f"connect-src 'self' wss://{host} ws://{host};", answer.headers["content-security-policy"])

    def test_hsts_is_sent_only_if_it_is_set(self) -> None:
        """HSTS is sent only if it is set."""
        self.assertNotIn("strict-transport-security", self.get("/").headers)
        self.connect(hsts=86400)
        self.assertEqual(self.get("/").headers["strict-transport-security"], "max-age=86400")

    def test_no_room_id_comes_into_the_log(self) -> None:
        """No room id and no token comes into the log, whatever the method and the path."""
        with capturedLogs() as events:
            for method in ("GET", "HEAD", "POST", "TRACE"):
                for path in ("/", "/nothing", "/static/demo/direct_chat.html", "/static/nothing", "/account/login"):
                    self.connect(hsts=0)
                    query = f"room_id={ROOM}&token={self.token}"
                    self.wire.send(f"{method} {path}?{query} HTTP/1.1\r\nHost: callnet.test\r\n\r\n".encode())
        logged = "\n".join(map(str, map(formatEvent, events)))
        self.assertEqual(len(logged.splitlines()), 20, "one line for each answer")
        for secret in (ROOM, self.token):
            self.assertNotIn(secret, logged)

    def test_nothing_that_was_encoded_comes_into_the_log(self) -> None:
        """Nor does a secret when a client encodes ``?`` or ``#``, sends them as they are, or puts them another way."""
        with capturedLogs() as events:
            for path in (
                f"/static/demo/direct_chat.html%3Froom_id={ROOM}",
                f"/static/demo/direct_chat.html%253Froom_id%253D{ROOM}",
                f"/static/demo/direct_chat.html;room_id={ROOM}",
                f"/static/demo/direct_chat.html&room_id={ROOM}",
                f"/guest%23{ROOM}",
                f"/guest#{ROOM}",
                f"/socket.io%3Ftoken={self.token}",
            ):
                self.connect(hsts=0)
                self.wire.send(f"GET {path} HTTP/1.1\r\nHost: callnet.test\r\n\r\n".encode())
        lines = [formatEvent(event) or "" for event in events]
        self.assertEqual(7, len(lines))
        for line in lines:
            self.assertRegex(line, r" GET /(static/demo/direct_chat\.html|guest|socket\.io)\? 404 ")
            for secret in (ROOM, self.token[:20]):
                self.assertNotIn(secret, line)
