"""From a bare Debian to a call between two households, by the commands of docs/households.md.

The Debian is what debootstrap installs, booted with its systemd on a street of network namespaces, whose addresses are
public ones. On the street is an authority, too: pebble, which asks where the name leads to, as Let's Encrypt does. Two
browsers, each in a house behind a symmetric NAT, open the links that ``callnet setup`` shows, and one calls the other.

Timed is all from the installation of the package to the moment in which both see each other, without downloads: apt has
fetched its packages before. A short slice, beside which others run, may take longer. Nothing is edited. Then a second
run must find nothing to do, ``callnet doctor`` nothing wrong, and ``--remove`` must leave nothing but what the page
says.
"""

from __future__ import annotations

import os
import re
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
from acceptance.debian_package import PACKAGES, SETTINGS, STATE, built
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
WRITTEN: Final = ("etc/callnet/setup.json", "etc/systemd/system/callnet.service.d")
"""Files that setup writes beside the settings, as the page has them."""
_OF_THE_KERNEL: Final = "clock: "
"""Nobody sets this machine's clock, which is that of its namespaces, too."""
TRUSTED: Final = "usr/local/share/ca-certificates"
_CERTIFICATE_TAKES: Final = 120.0
_LINK: Final = re.compile(rf"https://{re.escape(NAME)}/#join=[\w-]+")
KEEP_ARCHIVES: Final = "rm -f /etc/apt/apt.conf.d/docker-clean"
"""Where this machine is a container it keeps no packages, and the system has its settings of apt."""
DOWNLOADS: Final = (
    "cd /root",
    f"{readme.command(PACKAGES, 'apt install')} --yes --download-only",
    "apt-get install --yes --no-install-recommends --download-only coturn",
)


class Newcomer:
    """A newcomer with a bare Debian, by the page."""

    def __init__(self, debian: Booted, root: Path, authority: Pebble, misses: list[str]) -> None:
        self._debian = debian
        self._root = root
        self._misses = misses
        answers = (
            f"--yes --contact operator@example.org --directory {authority.directory} --ca /{TRUSTED}/directory.crt"
        )
        self._set_up = f"{readme.command(HOUSEHOLDS, 'callnet setup')} {answers}"
        self._before = ""

    def install(self) -> None:
        """Step 1."""
        self._debian.do(f"cd /root && {readme.command(PACKAGES, 'apt install')} --yes")
        self._before = (self._root / SETTINGS).read_text()
        shown = self._debian.do("systemctl show --property ActiveState,NRestarts callnet").split()
        self._expect({*shown} == {"ActiveState=active", "NRestarts=0"}, f"the first start failed: {shown}")

    def set_up(self) -> Sequence[str]:
        """Step 2. Returns the links."""
        shown = self._debian.do(self._set_up)
        self._expect(shown.count("\N{FULL BLOCK}") > len(PHONES), "no QR codes are shown")
        return list(dict.fromkeys(_LINK.findall(shown)))

    def look_back(self) -> None:
        """The other commands of the page, and the log."""
        for command in ("callnet setup --yes", "callnet setup --yes --dry-run"):
            said = self._debian.do(command)
            self._expect("Nothing to do." in said, f"{command} says {said}")
        said = self._debian.do(in_a_sentence("callnet doctor"))
        for line in re.findall(r"^warn .*", said, re.MULTILINE):
            self._expect(_OF_THE_KERNEL in line, f"the doctor says {line}")
        self._expect("\nok " in said, "the doctor finds nothing good")
        said = self._debian.do(in_a_sentence("callnet account invite"))
        self._expect(len(set(_LINK.findall(said))) == 1, "no link for another account is shown")
        self._debian.do(in_a_sentence("callnet contact add"))
        log = self._debian.do("journalctl --unit callnet --output cat")
        self._misses += [f"the service logged {line}" for line in complaints(log)]

    def remove(self) -> None:
        """Undo it; and again with everything that is kept, after another set-up."""
        self._debian.do("callnet setup --remove --yes")
        self._expect_undone()
        self._expect((self._root / STATE / "callnet.db").exists(), "the accounts are not kept")
        self._expect(self._is_active(), "the service of the package does not go on")
        shown = self._debian.do(self._set_up)
        self._expect("has a device already" in shown, "the accounts are made again")
        self._debian.do("callnet setup --remove --purge --yes")
        self._expect_undone()
        self._expect(not (self._root / STATE).exists(), "the accounts are still there after a purge")
        self._expect(not self._is_active(), "the service runs after a purge")

    def _is_active(self) -> bool:
        return self._debian.run("systemctl is-active --quiet callnet").returncode == 0

    def _expect_undone(self) -> None:
        self._expect((self._root / SETTINGS).read_text() == self._before, "the settings are not as before")
        left = [name for name in WRITTEN if (self._root / name).exists()]
        self._expect(not left, f"not removed: {left}")

    def _expect(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self._misses.append(otherwise)


def in_a_sentence(beginning: str) -> str:
    """The command that the page has in a sentence, by its beginning."""
    found = re.findall(r"`(callnet [^`]+)`", HOUSEHOLDS.read_text())
    [command] = [" ".join(each.split()) for each in found if each.startswith(beginning)]
    return command


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
        visitor.press("pairing-agree")
        visitor.await_scene("home", "online")
    first, second = both
    first.await_contact(PHONES[1], online=True)
    first.call(PHONES[1])
    second.await_scene("ringing")
    second.press("accept")
    first.await_connected(Camera.BLUE)
    second.await_connected(Camera.RED)


def follow_the_page(system: System, folder: Path, random: Random, brief: bool) -> tuple[dict[str, object], list[str]]:
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
            newcomer = Newcomer(debian, root, authority, misses)
            began = time.monotonic()
            newcomer.install()
            installed = time.monotonic()
            links = newcomer.set_up()
            set_up = time.monotonic()
            wait_for(lambda: shown(places.address, authority.root()), _CERTIFICATE_TAKES, "a certificate")
            believed = time.monotonic()
            call(both, links)
            took = time.monotonic() - began
            counts["the package installed, s"] = round(installed - began, 1)
            counts["callnet setup, s"] = round(set_up - installed, 1)
            counts["then until the certificate was there, s"] = round(believed - set_up, 1)
            counts["from the bare system to the call, s"] = round(took, 1)
            if took > LIMIT and not brief:
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


def prove(brief: bool, seed: int) -> Outcome:
    """Once."""
    if os.getuid():
        return Outcome({}, ["only root can make a system to try this in"])
    with (
        tempfile.TemporaryDirectory(prefix="callnet-household-") as name,
        minimal_debian(KEEP_ARCHIVES, "important") as system,
    ):
        built("HEAD", system.root / "root")
        system.do("sh", "-c", " && ".join(DOWNLOADS))
        counts, misses = follow_the_page(system, Path(name), Random(seed), brief)
    return Outcome(counts, misses)


PROOF: Final = Proof(
    "household",
    f"from a bare Debian to a relayed call between two browsers behind symmetric NATs by one command, within"
    f" {LIMIT:.0f} s without downloads, and no file is edited; run again it finds nothing to do, the doctor nothing"
    " wrong, and what it did can be undone",
    prove,
)
