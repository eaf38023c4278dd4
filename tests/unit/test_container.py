"""The recipe of the container, and the settings that it brings."""

from __future__ import annotations

import json
import re
from typing import Final

from twisted.trial.unittest import SynchronousTestCase

from callnet.cli.status import places
from callnet.config.load import load
from callnet.config.schema import Settings
from harness import ROOT

RECIPE: Final = (ROOT / "Containerfile").read_text().replace("\\\n", "")
SETTINGS: Final = "etc/callnet.container.toml"


def instructions(word: str) -> list[str]:
    """The rest of each line that begins with a word."""
    return re.findall(rf"^{word} (.*)$", RECIPE, re.MULTILINE)


class ContainerTests(SynchronousTestCase):
    """``Containerfile`` and ``etc/callnet.container.toml``."""

    def settings(self) -> Settings:
        """The settings of the image."""
        return load(str(ROOT / SETTINGS), {"STATE_DIRECTORY": "/var/lib/callnet"})

    def test_what_is_offered(self) -> None:
        """The services are offered on all addresses, at the ports that the recipe names, to devices that are known."""
        settings = self.settings()
        served = [listener.endpoint for key, listener in settings.listeners.keyed() if "admin" not in key]
        [ports] = instructions("EXPOSE")
        self.assertEqual(sorted(served), [f"tcp:{port}" for port in ports.split()])
        self.assertEqual(settings.accounts.enrolment, "known")

    def test_how_it_is(self) -> None:
        """Its health is asked where the operator's listener is."""
        [check] = instructions("HEALTHCHECK")
        command = json.loads(check.partition("CMD ")[2])
        self.assertIn(f"urlopen('{places(self.settings().listeners)[0]}/healthz'", command[-1])

    def test_what_is_copied(self) -> None:
        """All files that the recipe copies exist, and are in the build context."""
        let_through = re.findall(r"^!(\S+)$", (ROOT / ".containerignore").read_text(), re.MULTILINE)
        copied = [name for words in instructions("COPY") if "--from" not in words for name in words.split()[:-1]]
        self.assertIn(SETTINGS, copied)
        self.assertEqual(sorted(copied), sorted(let_through))
        for name in copied:
            self.assertTrue((ROOT / name).exists(), name)

    def test_compose(self) -> None:
        """The settings for ``compose.yaml`` hand TURN over to the relay there, and one variable has a default."""
        compose = (ROOT / "compose.yaml").read_text()
        environ = {"STATE_DIRECTORY": "/var/lib/callnet", "CALLNET_TURN_SECRET": "x" * 32}
        for url in ("CALLNET_DATABASE_URL", "CALLNET_REDIS_URL"):
            [environ[url]] = re.findall(rf"{url}: (\S+)", compose)
        settings = load(str(ROOT / "etc/callnet.compose.toml"), environ)
        [site] = settings.listeners.site
        _, host, port = site.turn.split(":")
        self.assertIn(f"--tcp-proxy-port={port} --listening-ip={host} ", compose)
        self.assertEqual(settings.accounts.enrolment, "known")
        variables = re.findall(r"(?<!\$)\$\{(\w+)(..)", compose)
        self.assertEqual({name for name, condition in variables if condition != ":?"}, {"RELAY_PUBLIC"})
        for key, variable in re.findall(r"(\w+): \$\{(\w+)", compose):
            self.assertNotEqual(key, variable, "podman-compose takes a variable with the name of what it sets for set")

    def test_no_shell(self) -> None:
        """Each command is an array of words: there is no shell in between that could read anything into them."""
        for word in ("RUN", "CMD"):
            for command in instructions(word):
                self.assertIsInstance(json.loads(command), list)
