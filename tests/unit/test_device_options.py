"""The error of ``callnet device`` where ``--media`` is not available."""

from __future__ import annotations

import sys

from click.testing import CliRunner
from twisted.trial.unittest import SynchronousTestCase

from callnet.cli.main import main


class MediaOptionTests(SynchronousTestCase):
    """``--media`` and its further options."""

    def device(self, *options: str) -> tuple[int, str]:
        """The exit status and the last line."""
        result = CliRunner().invoke(main, ["device", "13651884967", "tv", *options])
        return result.exit_code, result.output.splitlines()[-1]

    def test_without_the_extra(self) -> None:
        """Where aiortc is not installed one line says how to get it."""
        kept = {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith("callnet.cli.media")}
        kept |= {name: sys.modules.pop(name) for name in list(sys.modules) if name.startswith("callnet_client.media.")}
        aiortc = {name: module for name, module in sys.modules.items() if name.split(".")[0] == "aiortc"}
        try:
            for name in ("aiortc", *aiortc):
                sys.modules[name] = None  # type: ignore[assignment]  # import(2) of it fails
            self.assertEqual(
                (2, "Error: --media needs aiortc: pip install 'callnet-client[media]'"), self.device("--media")
            )
        finally:
            sys.modules.pop("aiortc")
            sys.modules.update(kept | aiortc)

    def test_what_goes_with_it(self) -> None:
        """Nothing is played or recorded without it."""
        for options in (("--play", __file__), ("--record", "a.webm")):
            self.assertEqual((2, "Error: --play and --record need --media"), self.device(*options))


class PairOptionTests(SynchronousTestCase):
    """``--pair``, instead of a name."""

    def test_one_of_both(self) -> None:
        """A device has a name, or is paired; a file that cannot be written is found before anybody lets it in."""
        needed = "Error: PHONE and DEVICE_ID are needed, or --pair"
        for arguments, status, error in (
            ([], 2, needed),
            (["1"], 2, needed),
            (["1", "tv", "--pair=x"], 2, needed),
            (["--pair=/nowhere/x"], 1, "Error: --pair: cannot write /nowhere/x"),
        ):
            result = CliRunner().invoke(main, ["device", *arguments])
            self.assertEqual((status, error), (result.exit_code, result.output.splitlines()[-1]))
