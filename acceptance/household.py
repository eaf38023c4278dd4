"""From a bare Debian to a call between two households, by the commands of docs/households.md.

The Debian is what debootstrap installs, booted with its systemd on a street of network namespaces, whose addresses are
public ones. On the street is an authority, too: pebble, which asks where the name leads to, as Let's Encrypt does. Two
browsers, each in a house behind a symmetric NAT, open the links that ``callnet setup`` shows, and one calls the other.

Timed is all from the installation of the package to the moment in which both see each other, without downloads: apt has
fetched its packages before. Nothing is edited. Then a second run must find nothing to do, ``callnet doctor`` nothing
wrong, and ``--remove`` must leave nothing but what the page says.
"""

from __future__ import annotations

import os
import re
import shutil
import socket
import ssl
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from random import Random
from typing import Final

from acceptance import readme
from acceptance.booted import Booted
from acceptance.browser import see_each_other
from acceptance.debian_package import PACKAGES, entries, made
from acceptance.houses import Street, street
from acceptance.namespaces import Cable, Namespace
from acceptance.proof import Outcome, Proof
from acceptance.systems import System, minimal_debian
from harness import ROOT
from harness.daemon import wait_for
from harness.leaks import complaints
from harness.pebble import Pebble
from tests.browser.camera import Camera
from tests.browser.continuity import path
from tests.browser.phone_visitor import PhoneVisitor, phone
from tests.browser.stage import Stage, stage

HOUSEHOLDS: Final = ROOT / "docs" / "households.md"
NAME: Final = "calls.example.org"
PHONES: Final = ("101", "102")
LIMIT: Final = 120.0
"""Seconds from the bare system to the call."""
PUBLIC: Final = ("192.31", 196)
"""RFC 7535: of the public networks one whose only server answers questions about names that nobody has."""
TRUSTED: Final = "usr/local/share/ca-certificates"
_CERTIFICATE_TAKES: Final = 120.0
_FIRST_WORDS: Final = re.compile(rf"https://{re.escape(NAME)}/#join=[\w-]+")
KEEP_ARCHIVES: Final = "rm -f /etc/apt/apt.conf.d/docker-clean"
"""Where this machine is a container it keeps no packages, and the system has its settings of apt."""
DOWNLOADS: Final = (
    "cd /root",
    f"{readme.command(PACKAGES, 'apt install')} --yes --download-only",
    "apt-get install --yes --no-install-recommends --download-only coturn",
)


class Newcomer:
    """Who has a bare Debian, and follows the page."""

    def __init__(self, debian: Booted, root: Path, counts: dict[str, object], misses: list[str]) -> None:
        self._debian = debian
        self._root = root
        self._counts = counts
        self._misses = misses

    def install(self) -> None:
        """Step 1."""
        self._debian.do(f"cd /root && {readme.command(PACKAGES, 'apt install')} --yes --no-download")

    def set_up(self, authority: Pebble) -> Sequence[str]:
        """Step 2. Returns the links."""
        answers = f"--yes --contact operator@example.org --directory {authority.directory} --ca /{TRUSTED}/directory.crt"
        shown = self._debian.do(f"{readme.command(HOUSEHOLDS, 'callnet setup')} {answers}")
        self._counts["lines that setup showed"] = len(shown.splitlines())
        return list(dict.fromkeys(_FIRST_WORDS.findall(shown)))

    def look_back(self) -> None:
        """The second run, the doctor, and the log."""
        said = self._debian.do("callnet setup --yes")
        self._expect("Nothing to do." in said, f"a second run says {said}")
        [doctor] = re.findall(r"`(callnet doctor [^`]+)`", HOUSEHOLDS.read_text())
        said = self._debian.run(doctor).stdout
        for line in said.splitlines():
            self._expect(line.startswith("ok"), f"the doctor says {line}")
        log = self._debian.do("journalctl --unit callnet --output cat")
        self._misses += [f"the service logged {line}" for line in complaints(log)]

    def remove(self) -> None:
        """Undo it."""
        said = self._debian.do("callnet setup --remove --yes")
        self._counts["undone"] = "; ".join(said.splitlines())

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self._misses.append(otherwise)


@contextmanager
def authority_on(places: Street) -> Iterator[Pebble]:
    """Run an authority on the street, which finds the host by every name."""
    office = Namespace(f"{places.host.name}-ca")
    try:
        cable = Cable(f"{places.outside.name}c", office.name, places.outside)
        with closing(Pebble(80, 443, cable.address, places.address, office.command)) as authority:
            authority.start()
            yield authority
    finally:
        office.remove()


def shown(address: str, root: str) -> bool:
    """True if the host shows a certificate for its name which who trusts only the authority believes."""
    context = ssl.create_default_context(cadata=root)
    try:
        with (
            socket.create_connection((address, 443), 30) as plain,
            context.wrap_socket(plain, server_hostname=NAME),
        ):
            return True
    except OSError:
        return False


def browse(browsers: Stage, places: Street, folder: Path) -> tuple[PhoneVisitor, PhoneVisitor]:
    """A browser in each house, which resolves one name."""
    flags = [f"--host-resolver-rules=MAP {NAME} {places.address}, MAP * ~NOTFOUND, EXCLUDE {places.address}"]
    red, blue = (
        phone(browsers, browsers.browser(camera, program=house.browser(folder), flags=flags))
        for camera, house in zip((Camera.RED, Camera.BLUE), places.houses, strict=True)
    )
    return red, blue


def call(both: tuple[PhoneVisitor, PhoneVisitor], links: Sequence[str]) -> None:
    """Steps 3 and 4, until both see each other."""
    for visitor, link in zip(both, links, strict=True):
        visitor.page.goto(link, wait_until="domcontentloaded")
        visitor.await_scene("home", "online")
    first, second = both
    first.await_contact(PHONES[1], online=True)
    first.call(PHONES[1])
    second.await_scene("ringing")
    second.press("accept")
    first.await_connected(Camera.BLUE)
    second.await_connected(Camera.RED)


def follow_the_page(system: System, folder: Path, random: Random) -> tuple[dict[str, object], list[str]]:
    """All of it. Returns the results and the faults."""
    counts: dict[str, object] = {}
    misses: list[str] = []
    root = system.root
    with (
        street(PUBLIC[1], PUBLIC[0]) as places,
        authority_on(places) as authority,
        stage(f"https://{NAME}", folder) as browsers,
    ):
        # The DNS, and an authority that whoever has this system trusts: what is there before.
        with (root / "etc/hosts").open("a") as hosts:
            hosts.write(f"{places.address} {NAME}\n")
        (root / TRUSTED).mkdir(parents=True, exist_ok=True)
        (root / TRUSTED / "directory.crt").write_bytes(authority.authority.read_bytes())
        (root / TRUSTED / "pebble.crt").write_text(authority.root())
        both = browse(browsers, places, folder)
        with closing(Booted(system, places.host)) as debian:
            newcomer = Newcomer(debian, root, counts, misses)
            began = time.monotonic()
            newcomer.install()
            installed = time.monotonic()
            links = newcomer.set_up(authority)
            set_up = time.monotonic()
            wait_for(lambda: shown(places.address, authority.root()), _CERTIFICATE_TAKES, "a certificate")
            believed = time.monotonic()
            call(both, links)
            took = time.monotonic() - began
            counts["the package installed, s"] = round(installed - began, 1)
            counts["callnet setup, s"] = round(set_up - installed, 1)
            counts["then until the certificate was there, s"] = round(believed - set_up, 1)
            counts["from the bare system to the call, s"] = round(took, 1)
            if took > LIMIT:
                misses.append(f"it took {took:.0f} s")
            wrong = see_each_other(both[0].inside, both[1].inside, random)
            misses += [] if wrong is None else [wrong]
            ways = [path(visitor.inside) for visitor in both]
            counts["by way of"] = ways[0]
            misses += ["there was a way without a relay" for way in ways if "relay" not in way]
            both[0].hang_up()
            newcomer.look_back()
            misses += browsers.complaints()
            for visitor in both:
                visitor.page.close()
            newcomer.remove()
    return counts, misses


def prove(_brief: bool, seed: int) -> Outcome:
    """Once."""
    if os.getuid():
        return Outcome({}, ["only root can make a system to try this in"])
    with tempfile.TemporaryDirectory(prefix="callnet-household-") as name, minimal_debian(KEEP_ARCHIVES, "important") as system:
        made(system.root / "root")
        system.do("sh", "-c", " && ".join(DOWNLOADS))
        counts, misses = follow_the_page(system, Path(name), Random(seed))
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "household",
    f"from a bare Debian to a relayed call between two browsers behind symmetric NATs by one command, within"
    f" {LIMIT:.0f} s without downloads, and no file is edited; run again it finds nothing to do, the doctor nothing"
    " wrong, and what it did can be undone",
    prove,
)
