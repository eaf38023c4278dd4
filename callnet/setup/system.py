"""The machine that is set up: its files and its commands."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct, field

from callnet.errors import CallnetError

USER: Final = "callnet"
_LAST_WORDS: Final = 400
"""Characters of a command's output that an error repeats."""


class SetupError(CallnetError):
    """A step failed: the cause, and what to do."""


class System(Struct, frozen=True):
    """A machine.

    :param root: the folder that holds its files; ``/`` but in tests.
    :param prefix: the virtual environment of callnet, as the machine names it.
    :param source: the folder with callnet's own units, which a clone brings; the package has put them in place.
    :param environ: the environment of its commands; ``PATH`` finds them. Settings of callnet's, which may be secrets,
        are for its own commands only.
    """

    root: Path = Path("/")
    prefix: Path = Path(sys.prefix)
    source: Path = Path(sys.prefix).parent / "etc"
    environ: Mapping[str, str] = field(default_factory=lambda: {**os.environ, "DEBIAN_FRONTEND": "noninteractive"})
    is_root: bool = field(default_factory=lambda: os.geteuid() == 0)

    def path(self, name: str) -> Path:
        """The place of a file that the machine knows by an absolute path."""
        return self.root / name.lstrip("/")

    def text(self, name: str) -> str | None:
        """The content of a file; ``None``: there is none.

        :raises SetupError: it cannot be read.
        """
        try:
            return self.path(name).read_text("utf-8")
        except FileNotFoundError:
            return None
        except (OSError, UnicodeError) as error:
            raise SetupError(f"{name}: cannot be read: {error}") from None

    def has(self, *command: str) -> bool:
        """Tell whether a command succeeds."""
        return self._ran(command, self._plain()).returncode == 0

    def do(self, *command: str) -> str:
        """Run a command; returns its output.

        :raises SetupError: it failed.
        """
        return self._done(command, self._plain())

    def _done(self, command: Sequence[str], environ: Mapping[str, str]) -> str:
        ran = self._ran(command, environ)
        if ran.returncode:
            said = (ran.stderr.strip() or ran.stdout.strip())[-_LAST_WORDS:]
            raise SetupError(f"{' '.join(command)}: exit status {ran.returncode}\n{said}")
        return ran.stdout

    def callnet(self, *arguments: str) -> str:
        """Run a command of callnet's as the user of the service; returns its output.

        :raises SetupError: it failed.
        """
        settings = self.path("/etc/callnet/callnet.toml")
        command = (
            *self.as_user(),
            "env",
            f"CALLNET_CONFIG={settings if settings.exists() else ''}",
            f"STATE_DIRECTORY={self.path('/var/lib/callnet')}",
            str(self.prefix / "bin" / "callnet"),
            *arguments,
        )
        return self._done(command, self.environ)

    def as_user(self) -> Sequence[str]:
        """The beginning of a command that is run as the user of the service."""
        return ("runuser", "-u", USER, "--")

    def _plain(self) -> Mapping[str, str]:
        return {name: value for name, value in self.environ.items() if not name.startswith("CALLNET_")}

    def _ran(self, command: Sequence[str], environ: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
        try:
            return subprocess.run(command, env=environ, capture_output=True, text=True, check=False)  # noqa: S603
        except OSError as error:
            return subprocess.CompletedProcess(command, 127, "", f"{command[0]}: {error.strerror}")
