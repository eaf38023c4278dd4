"""Reading a clone, and changing it, with git."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from tools.release import Refused


class Repository:
    """A clone, with its work tree.

    Whatever git refuses raises :class:`Refused` with what it says.
    """

    def __init__(self, root: Path) -> None:
        self.root: Final = root

    def changes(self) -> Sequence[str]:
        """Files that are not as they were committed, or that nobody has added."""
        return [line[3:] for line in self._lines("status", "--porcelain")]

    def branch(self) -> str:
        """The branch that is checked out."""
        return self._git("symbolic-ref", "--short", "HEAD")

    def commit(self, name: str = "HEAD") -> str:
        """The whole name of a commit."""
        return self._git("rev-parse", "--verify", f"{name}^{{commit}}")

    def time(self, commit: str) -> int:
        """When a commit was made, in seconds since 1970."""
        return int(self._git("show", "--no-patch", "--format=%ct", commit))

    def is_shallow(self) -> bool:
        """Tell whether the history is not all here, so that a tag may be missing."""
        return self._git("rev-parse", "--is-shallow-repository") == "true"

    def tags(self) -> Sequence[str]:
        """All tags."""
        return self._lines("tag", "--list")

    def tags_before(self) -> Sequence[str]:
        """The tags of the checked-out commit and of its ancestors."""
        return self._lines("tag", "--list", "--merged", "HEAD")

    def commit_all(self, message: str) -> None:
        """Commit all changes."""
        self._git("commit", "--quiet", "--all", "--message", message)

    def tag(self, name: str, message: str) -> None:
        """Make an annotated tag of the checked-out commit."""
        self._git("tag", "--annotate", name, "--message", message)

    def back_to(self, commit: str, without: str) -> None:
        """Undo everything after a commit, and a tag, if it is there."""
        if without in self.tags():
            self._git("tag", "--delete", without)
        self._git("reset", "--quiet", "--hard", commit)

    def clone(self, commit: str, target: Path) -> None:
        """Put a commit into a folder, with the whole history of git."""
        self._git("clone", "--quiet", "--shared", "--no-checkout", str(self.root), str(target))
        _git(target, "checkout", "--quiet", "--detach", commit)

    def _lines(self, *words: str) -> Sequence[str]:
        return self._git(*words).splitlines()

    def _git(self, *words: str) -> str:
        return _git(self.root, *words)


def _git(root: Path, *words: str) -> str:
    command = ("git", "-C", str(root), *words)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"git {words[0]}: {done.stderr.strip() or 'failed'}")
    return done.stdout.rstrip("\n")
