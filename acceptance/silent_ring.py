"""Two phones in two houses, and every packet of their machines: what is said to the other side, and when."""

from __future__ import annotations

import socket
import struct
from collections import Counter
from pathlib import Path
from typing import Final

from acceptance.houses import House, Street
from harness.base_protocol import Address
from tests.browser.camera import Camera
from tests.browser.phone_visitor import phone
from tests.browser.stage import Stage

ALICE: Final = Address("13800000001", "alices-desk")
BOB: Final = Address("13800000002", "bobs-desk")
RINGS_FOR: Final = 2_000
"""Milliseconds until somebody accepts."""

_EVERYTHING: Final = 0x0003
"""ETH_P_ALL of packet(7)."""
_IPV4: Final = 0x0800
_RECEIVE_BUFFER: Final = 33
"""SO_RCVBUFFORCE of socket(7), which Python does not name."""
_BUFFER: Final = 16 << 20
_LARGEST: Final = 1 << 16
_CLASS: Final = 0x0110
"""The bits of a STUN message's type that are not its method (RFC 8489 §5)."""
_ALONE: Final = {1, 3, 4}
"""Binding, Allocate and Refresh: what a client and its relay have to say when there is no peer (RFC 8656)."""


class Capture:
    """Every packet of a machine in a house, in both directions.

    :param others: addresses of the other house.
    :param relay: the address and the port of the relay.
    """

    def __init__(self, house: House, others: frozenset[str], relay: tuple[str, int]) -> None:
        self._others = others
        self._relay = relay
        with house.machine.entered():
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_EVERYTHING))
        self._socket.setsockopt(socket.SOL_SOCKET, _RECEIVE_BUFFER, _BUFFER)
        self._socket.bind(("home", _EVERYTHING))
        self._socket.setblocking(False)

    def passed(self) -> Counter[str]:
        """The packets since the last time, by kind: ``between`` the two houses, with the relay ``for the other`` one,
        with the ``relay`` about itself, and the ``rest``.
        """
        found: Counter[str] = Counter()
        while True:
            try:
                packet, (_, protocol, *_) = self._socket.recvfrom(_LARGEST)
            except BlockingIOError:
                return found
            if protocol == _IPV4:
                found[self._kind(packet)] += 1

    def close(self) -> None:
        """Listen no more."""
        self._socket.close()

    def _kind(self, packet: bytes) -> str:
        ends = [socket.inet_ntoa(packet[at : at + 4]) for at in (12, 16)]
        if self._others.intersection(ends):
            return "between"
        address, port = self._relay
        protocol, begin = packet[9], 4 * (packet[0] & 15)
        if address not in ends or protocol not in (socket.IPPROTO_UDP, socket.IPPROTO_TCP):
            return "rest"
        theirs = struct.unpack_from("!HH", packet, begin)[0 if ends[0] == address else 1]
        if theirs != port:
            return "rest" if protocol == socket.IPPROTO_TCP else "between"  # of UDP, it is the relay of the other one
        said = packet[begin + (8 if protocol == socket.IPPROTO_UDP else 4 * (packet[begin + 12] >> 4)) :]
        is_alone = len(said) < 2 or struct.unpack_from("!H", said)[0] & ~_CLASS in _ALONE
        return "relay" if is_alone else "for the other"


def ring_silently(
    places: Street, browsers: Stage, folder: Path, relay_port: int, times: int
) -> tuple[dict[str, object], list[str]]:
    """Call several times, and look at the packets before the accept and after it. Returns the results and faults."""
    flags = [f"--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE {places.address}"]
    alice, bob = (
        phone(browsers, browsers.browser(camera, program=house.browser(folder), flags=flags))
        for camera, house in zip((Camera.RED, Camera.BLUE), places.houses, strict=True)
    )
    alice.log_in(*ALICE)
    bob.log_in(*BOB)
    alice.add_contact(BOB.phone, "Bob")
    bob.add_contact(ALICE.phone, "Alice")
    alice.await_contact(BOB.phone, online=True)
    before: Counter[str] = Counter()
    after: Counter[str] = Counter()
    misses: list[str] = []
    for number in range(times):
        captures = [
            Capture(one, frozenset((other.public, other.inside)), (places.address, relay_port))
            for one, other in (places.houses, reversed(places.houses))
        ]
        alice.call(BOB.phone)
        bob.await_scene("ringing")
        bob.wait(RINGS_FOR)
        early = [capture.passed() for capture in captures]
        bob.press("accept")
        for visitor, colour in ((alice, Camera.BLUE), (bob, Camera.RED)):
            visitor.await_connected(colour)
        late = [capture.passed() for capture in captures]
        for capture in captures:
            capture.close()
        if any(counts["between"] or counts["for the other"] for counts in early):
            misses.append(f"call {number + 1}: before the accept something went to the other side")
        if not all(counts["between"] and counts["for the other"] for counts in late):
            misses.append(f"call {number + 1}: after the accept nothing was seen to go to the other side")
        before += Counter(sum(early, Counter()))
        after += Counter(sum(late, Counter()))
        bob.hang_up()
        for visitor in (alice, bob):
            visitor.await_scene("home")
            visitor.page.wait_for_selector("#call-page iframe", state="detached")
    for visitor in (alice, bob):
        visitor.page.goto("about:blank")
    return {
        f"packets while {times} calls rang": _described(before),
        "packets from the accept to the picture": _described(after),
    }, misses


def _described(counts: Counter[str]) -> str:
    to_other = counts["between"] + counts["for the other"]
    return f"{counts['relay']} with the relay about itself, {to_other} to or from the other side"
