"""docs/tutorial-javascript.md, typed in as it stands: a television that calls the web phone, and is called by it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

from twisted.internet.defer import Deferred

from acceptance import readme
from callnet.model import DeviceAddress
from harness import ROOT
from harness.daemon import BIN, TWISTD
from tests.browser.camera import Camera
from tests.browser.case import BrowserCase
from tests.browser.phone_visitor import PageInside, PhoneVisitor, phone
from tests.browser.stage import Stage
from tests.support.daemon import Daemon

DOCS: Final = ROOT / "docs"
TUTORIAL: Final = DOCS / "tutorial-javascript.md"
TELEVISION: Final = "13651884967"
PHONE: Final = DeviceAddress("13800138000", "web")
MOST_LINES: Final = 100


def typed_in(clone: Path) -> int:
    """Make the files of the tutorial in a clone. Returns how many lines they have."""
    subprocess.run(["bash", "-c", readme.command(DOCS / "tutorial-javascript.md", "mkdir")], cwd=clone, check=True)
    text = TUTORIAL.read_text(encoding="utf-8")
    lines = 0
    for name, content in re.findall(
        r"`(callnet/\S+\.(?:html|js))`[^`]*?```\w*\n(.*?)^```$", text, re.MULTILINE | re.DOTALL
    ):
        (clone / name).write_text(content, encoding="utf-8")
        lines += len(content.splitlines())
    return lines


class TelevisionTests(BrowserCase):
    """A clone in which somebody has followed the tutorial."""

    def setUp(self) -> Deferred[None]:  # type: ignore[override]  # trial waits for it
        """Make the clone and start its daemon."""
        self.clone = Path(self.mktemp()).absolute()
        for folder in ("callnet", "twisted"):
            shutil.copytree(ROOT / folder, self.clone / folder, ignore=shutil.ignore_patterns("__pycache__"))
        (self.clone / ".venv").mkdir()
        (self.clone / ".venv" / "bin").symlink_to(BIN)
        self.lines = typed_in(self.clone)
        command = ("env", f"PYTHONPATH={self.clone}", *TWISTD)
        self.daemon = Daemon(self.mktemp(), command=command)
        self.addCleanup(self.daemon.stop)
        return self.daemon.start()

    def add_contact(self) -> None:
        """Type the line that puts the web phone into the television's list."""
        script = readme.command(DOCS / "tutorial-javascript.md", ".venv/bin/callnet contact add")
        environment = {**os.environ, **self.daemon.environ}
        subprocess.run(["bash", "-c", script], cwd=self.clone, env=environment, check=True, capture_output=True)

    def television(self, stage: Stage) -> PhoneVisitor:
        """The television, in a browser with the red camera."""
        visitor = phone(stage, stage.browser(Camera.RED))
        visitor.open(f"static/television/television.html?phone={TELEVISION}")
        return visitor

    def see(self, television: PhoneVisitor) -> None:
        """The television sees the web phone's picture, in the page of the call."""
        element = television.page.wait_for_selector("iframe")
        assert element is not None
        frame = element.content_frame()
        assert frame is not None
        inside = PageInside(frame)
        inside.await_state("connected")
        inside.await_colour(Camera.BLUE)

    def meet(self, television: PhoneVisitor, other: PhoneVisitor) -> None:
        """Both see each other; the person at the phone hangs up, and nobody is in a call."""
        self.see(television)
        inside = other.await_connected(Camera.RED)
        inside.press("hangup")
        television.page.wait_for_selector("h1:has-text('hangup')")
        other.await_scene("home", "online")

    def test_calls(self) -> Deferred[None]:
        """In 100 lines at the most it calls the web phone, is called by it, and is driven by a remote control."""
        self.assertGreater(self.lines, MOST_LINES // 2)
        self.assertLessEqual(self.lines, MOST_LINES)

        def story(stage: Stage) -> None:
            alice = phone(stage, stage.browser(Camera.BLUE))
            alice.log_in(*PHONE)
            television = self.television(stage)
            television.page.wait_for_selector("h1:has-text('Whom')")
            self.add_contact()
            television.page.reload()
            television.page.wait_for_selector(f"button:has-text('{PHONE.phone}'):focus")
            television.page.keyboard.press("Enter")
            alice.await_scene("ringing")
            alice.press("accept")
            self.meet(television, alice)
            alice.add_contact(TELEVISION, "Television")
            alice.await_contact(TELEVISION, online=True)
            alice.call(TELEVISION)
            television.page.wait_for_selector("button:has-text('Accept'):focus")
            television.page.keyboard.press("ArrowRight")
            television.page.wait_for_selector("button:has-text('Refuse'):focus")
            television.page.keyboard.press("ArrowLeft")
            television.page.keyboard.press("Enter")
            self.meet(television, alice)

        return self.play(story)
