"""The units for systemd in etc/, as systemd itself and docs/operating.md read them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from acceptance import readme
from callnet.config.load import load
from harness import ROOT

ETC: Final = ROOT / "etc"
SHARED: Final = ("account", "signaling", "site")


def value(unit: str, key: str) -> str:
    """The value of a key that a unit has once."""
    [found] = re.findall(rf"^{key}=(.*)$", (ETC / unit).read_text(), re.MULTILINE)
    return str(found)


class VerifyTests(SynchronousTestCase):
    """The verdict of ``systemd-analyze``."""

    def test_systemd_understands_all_of_it(self) -> None:
        """The units are understood, and nothing is to be said about them."""
        folder = Path(self.mktemp())
        folder.mkdir()
        names = []
        for unit in (*ETC.glob("callnet*.service"), *ETC.glob("callnet*.socket"), ETC / "callnet.target"):
            text = unit.read_text().replace("/opt/callnet/.venv/bin", os.path.dirname(sys.executable))
            text = re.sub(r"^(User|Group|SocketUser|SocketGroup)=callnet$", r"\1=root", text, flags=re.MULTILINE)
            names.append(unit.name.replace("@.", "@1."))
            for name in {unit.name, names[-1]}:
                (folder / name).write_text(text)
        command = ["systemd-analyze", "verify", *(f"./{name}" for name in names)]
        said = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        self.assertEqual((said.returncode, said.stdout.decode()), (0, ""))

    def test_little_is_exposed(self) -> None:
        """The services are kept in so well that ``systemd-analyze security`` says 1.5 at the most."""
        for name in ("callnet.service", "callnet@.service"):
            unit = Path(self.mktemp() + name.replace("@", "@1"))
            unit.write_text((ETC / name).read_text())
            command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(unit.absolute())]
            said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
            self.assertIn("Overall exposure level", said.stdout.decode())
            self.assertEqual(0, said.returncode, said.stdout.decode())


class SocketTests(SynchronousTestCase):
    """The sockets of several services."""

    def test_the_settings_name_what_systemd_hands_over(self) -> None:
        """The listeners in docs/operating.md have the names that the sockets are handed over with."""
        page = (ROOT / "docs" / "operating.md").read_text()
        [block] = [text for text in re.findall(r"```toml\n(.*?)```", page, re.DOTALL) if "systemd:" in text]
        path = self.mktemp()
        Path(path).write_text(block)
        load(path, {})
        listeners = tomllib.loads(block)["listeners"]
        for service in SHARED:
            name = value(f"callnet-{service}.socket", "FileDescriptorName")
            self.assertEqual(listeners[service][0]["endpoint"], f"systemd:domain=INET:name={name}")
        name = value("callnet-admin@.socket", "FileDescriptorName")
        self.assertEqual(listeners["admin"][0]["endpoint"], f"systemd:domain=UNIX:name={name}")

    def test_each_process_is_given_all_of_them(self) -> None:
        """Each process is given all sockets that are shared, and one of its own for the operator."""
        expected = [*(f"callnet-{service}.socket" for service in SHARED), "callnet-admin@%i.socket"]
        self.assertEqual(value("callnet@.service", "Sockets").split(), expected)

    def test_the_one_service_makes_room(self) -> None:
        """The block of docs/operating.md that enables them first disables the service that has the same ports."""
        script = readme.command(ROOT / "docs" / "operating.md", "cp etc/callnet.target").splitlines()
        sockets = next(number for number, line in enumerate(script) if ".socket" in line and "enable" in line)
        self.assertIn("systemctl disable --now callnet", script[:sockets])

    def test_no_service_removes_them(self) -> None:
        """The directory of a socket's path stays when a service ends that has the same directory."""
        path = Path(value("callnet-admin@.socket", "ListenStream"))
        self.assertEqual(path.parent, Path("/run") / value("callnet.service", "RuntimeDirectory"))
        self.assertEqual("yes", value("callnet.service", "RuntimeDirectoryPreserve"))

    def test_as_many_may_wait_as_without_systemd(self) -> None:
        """As many connections may wait to be accepted as without systemd."""
        self.assertEqual({value(f"callnet-{service}.socket", "Backlog") for service in SHARED}, {"1024"})


class ServiceTests(SynchronousTestCase):
    """The two kinds of services."""

    def test_they_are_kept_in_alike(self) -> None:
        """They are started in the same way, and may do the same."""
        differing = (
            "Description",
            "PartOf",
            "Requires",
            "After",
            "Sockets",
            "KillMode",
            "RuntimeDirectory",
            "RuntimeDirectoryPreserve",
            "WantedBy",
        )
        one, many = (
            [
                line
                for line in (ETC / name).read_text().splitlines()
                if line and line[0] not in "#[" and line.partition("=")[0] not in differing
            ]
            for name in ("callnet.service", "callnet@.service")
        )
        self.assertEqual(one, many)

    def test_a_start_may_take_long(self) -> None:
        """A start has no limit: a migration of the database may take long."""
        self.assertEqual("infinity", value("callnet.service", "TimeoutStartSec"))

    def test_the_command_is_a_program_of_the_project(self) -> None:
        """The units run the command that the documentation installs."""
        self.assertEqual(value("callnet.service", "ExecStart"), "/opt/callnet/.venv/bin/twistd -n --pidfile= callnet")
