"""Handshakes that are read in one go: Autobahn would have understood the same, and answered the same."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import Struct
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from callnet.ws.factory import ServerSocketFactory
from callnet.ws.handshake import Opening, Refused, read_plain
from callnet.ws.protocol import ServerSocket
from harness.websocket import TEXT, client_frame
from tests.support.wires import Wire

KEY = "dGhlIHNhbXBsZSBub25jZQ=="
USUAL = {
    "Host": "127.0.0.1:8082",
    "Upgrade": "websocket",
    "Connection": "Upgrade",
    "Sec-WebSocket-Key": KEY,
    "Sec-WebSocket-Version": "13",
}


class AskedSocket(ServerSocket):
    """Remembers its requests, and its messages."""

    opening: Opening | None = None
    heard: list[bytes]

    def admit(self, opening: Opening) -> None:
        """Admit every client except one for a path that does not exist."""
        self.session = self
        self.opening = opening
        if opening.path == "/nowhere":
            raise Refused(HTTPStatus.NOT_FOUND)

    def opened(self) -> None:
        """Begin to listen."""
        self.heard = []

    def received(self, payload: bytes) -> None:
        """Listen, and say it again."""
        self.heard.append(payload)
        self.send(payload)

    def gone(self) -> None:
        """Do nothing."""


class SlowSocket(AskedSocket):
    """The same, and Autobahn reads every handshake."""

    reads_plain = False


class Came(Struct):
    """The result of a handshake."""

    asked: tuple[str, dict[str, list[str]], dict[str, str]] | None
    written: bytes
    state: int
    heard: list[bytes] | None
    ended: bool


def shake(kind: type[AskedSocket], *pieces: bytes) -> Came:
    """Send these pieces over a new connection."""
    wire = Wire(ServerSocketFactory(kind, Clock(), 1000))
    transport, socket = wire.transport, wire.transport.protocol
    assert isinstance(socket, kind)
    for piece in pieces:
        socket.dataReceived(piece)
    opening = socket.opening
    asked = None
    if opening is not None:
        asked = opening.path, {name: list(some) for name, some in opening.params.items()}, dict(opening.headers)
    return Came(asked, transport.value(), socket.state, getattr(socket, "heard", None), transport.disconnecting)


def request(first: str, headers: dict[str, str]) -> bytes:
    """The bytes of a handshake."""
    lines = [first, *(f"{name}: {value}" for name, value in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("utf-8", "surrogatepass")


paths = st.sampled_from(["/socket.io", "/", "/nowhere", "/a;b", "//a/b", "/a b", "/%41", "/ä", "*", ""])
queries = st.sampled_from(
    ["", "?", "?token=a.b-c_d", "?token=", "?token=a&token=b", "?a=%41+b", "?token=a%00", "?;", "?token=a#b", "?x"]
)
versions = st.sampled_from(["HTTP/1.1"] * 5 + ["HTTP/1.0", "HTTP/2", "http/1.1", ""])
methods = st.sampled_from(["GET"] * 8 + ["POST", "get", ""])
firsts = st.builds("{} {}{} {}".format, methods, paths, queries, versions)
VALUES = {
    "Host": ["a", "a:80", "[::1]:80", "[::1]", "a:b", "a:80:80", "", ":80", "a:", "a b"],
    "Upgrade": ["WebSocket", "h2c, websocket", "h2c", ""],
    "Connection": ["keep-alive, Upgrade", "Upgrade, keep-alive", "close", ""],
    "Sec-WebSocket-Key": [KEY[:-1], KEY[1:] + "=", "x" * 24, KEY.replace("d", "-"), ""],
    "Sec-WebSocket-Version": ["8", "013", "13, 8", "x", " 13 ", ""],
    "Origin": [
        "null",
        "file://",
        "https://a.b:8443",
        "http://A",
        "https://a:99999",
        "https://",
        "x",
        "",
        "https://..",
        "http://-",
    ],
    "Sec-WebSocket-Protocol": ["chat", "a, a", ""],
    "Sec-WebSocket-Extensions": [
        "permessage-deflate",
        "permessage-deflate; client_max_window_bits",
        "permessage-deflate; client_max_window_bits=99",
        "x-webkit-deflate-frame",
        "",
    ],
    "Authorization": ["Bearer a.b.c", "\x0b", "a\x85b", "ä", "a\tb"],
    "X-Forwarded-For": ["1.2.3.4"],
    " Folded": ["x"],
    "Cookie": ["a=b; c=d", "a\rb", "a\nb", "a\r\nb"],
    "host": ["b"],
    "": ["x"],
}
changes = st.lists(st.sampled_from([(name, value) for name, values in VALUES.items() for value in values]), max_size=3)


@st.composite
def handshakes(draw: st.DrawFn) -> bytes:
    """Handshakes; most are in order, and some differ in one thing or another from those."""
    headers = USUAL | dict(draw(changes))
    for name in draw(st.lists(st.sampled_from(list(headers)), max_size=1)):
        if draw(st.booleans()):
            del headers[name]
    first = draw(st.just("GET /socket.io?token=a.b HTTP/1.1") | firsts)
    data = request(first, headers)
    if draw(st.integers(0, 9)) == 0:
        cut = draw(st.integers(0, len(data)))
        data = data[:cut] + draw(st.binary(max_size=3)) + data[cut + draw(st.integers(0, 2)) :]
    return data


class PlainHandshakeTests(SynchronousTestCase):
    """Two sockets; one lets Autobahn read every handshake."""

    @settings(max_examples=600, deadline=None)
    @given(handshakes(), st.sampled_from([b"", client_frame(TEXT, b"hello"), b"\x81", b"\r\n"]), st.booleans())
    @example(request("GET /nowhere HTTP/1.1", USUAL), b"", False)
    def test_no_difference(self, data: bytes, more: bytes, is_cut: bool) -> None:
        """Both understand the same, say the same and end alike, whatever a client sends."""
        pieces = [data[:50], data[50:] + more] if is_cut else [data + more]
        self.assertEqual(shake(SlowSocket, *pieces), shake(AskedSocket, *pieces))

    def test_usual_handshakes_are_plain(self) -> None:
        """The usual requests of devices and browsers are read in one go."""
        browser = {**USUAL, "Origin": "https://callnet.example", "Connection": "keep-alive, Upgrade"}
        browser["Sec-WebSocket-Extensions"] = "permessage-deflate; client_max_window_bits"
        for headers in (USUAL, browser, {**USUAL, "Authorization": "Bearer a.b.c"}):
            for first in ("GET /socket.io?token=eyJ.e-_.s HTTP/1.1", "GET /socket.io/ HTTP/1.1"):
                data = request(first, headers)
                plain: Any = read_plain(data + b"more")
                self.assertEqual(len(data), plain.length)

    def test_a_part_is_none(self) -> None:
        """A handshake that is not all there is not read."""
        data = request("GET / HTTP/1.1", USUAL)
        for end in range(len(data)):
            self.assertIsNone(read_plain(data[:end]))
