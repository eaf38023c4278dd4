"""The daemon of a proof, which can count its objects, and has no limits unless the proof wants them."""

from __future__ import annotations

import json
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from callnet.config.schema import LimitSettings
from harness.daemon import LISTENERS, OPTIONS, Daemon, wait_for, with_admin_socket

WITHOUT_LIMITS: Final = "[limits]\n" + "".join(f"{name} = 0\n" for name in LimitSettings.__struct_fields__)
"""Settings in TOML: nobody's devices do as much as those of a proof."""

HONEST: Final = ("acceptance.census",)
"""The program of a daemon as it is."""


class CountedDaemon(Daemon):
    """A daemon that can count its objects (see :mod:`acceptance.census`).

    :param program: the module that is run, and its first arguments.
    :param before: a command that runs it, such as ``ip netns exec …``.
    """

    def __init__(
        self,
        folder: Path,
        settings: str,
        program: Sequence[str] = HONEST,
        before: Sequence[str] = (),
        listeners: str = LISTENERS,
        *,
        state_dir: Path | None = None,
        environment: Mapping[str, str] | None = None,
        drain_deadline: int = 0,
        is_piped: bool = False,
    ) -> None:
        self._census = folder / "census"
        super().__init__(
            folder,
            settings,
            (*before, sys.executable, "-m", *program, str(self._census), *OPTIONS),
            listeners,
            state_dir=state_dir,
            environment=environment,
            drain_deadline=drain_deadline,
            is_piped=is_piped,
        )

    @property
    def admin(self) -> Path:
        """The socket of its operator's listener, of a daemon by :func:`running`."""
        return self.folder / "admin"

    def census(self) -> dict[str, int]:
        """Count its objects."""
        self._census.unlink(missing_ok=True)
        self.process.send_signal(signal.SIGUSR2)
        wait_for(self._census.exists, 10, "the census")
        counted: dict[str, int] = json.loads(self._census.read_text())
        return counted


@contextmanager
def running(
    settings: str, limits: str = WITHOUT_LIMITS, environment: Mapping[str, str] | None = None
) -> Iterator[CountedDaemon]:
    """Run a daemon with these settings (TOML, without limits and listeners) until the block ends, then stop it.

    :param limits: those in TOML, too; empty: the usual ones.
    :param environment: variables that it has besides.
    """
    with tempfile.TemporaryDirectory(prefix="callnet-proof-") as folder:
        listeners = with_admin_socket(folder)
        with CountedDaemon(Path(folder), settings + limits, listeners=listeners, environment=environment) as daemon:
            yield daemon
