"""An earlier revision of callnet, as a folder that it can be run from."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from msgspec import Struct

from harness import ROOT

NAMED_BY: Final = "CALLNET_PREVIOUS"
"""The environment variable that names another revision than :func:`previous` would find."""


class NoRevision(Exception):
    """There is no such revision, or none that could be rolled from."""


class Revision(Struct, frozen=True):
    """One that was brought into a folder."""

    name: str
    """As people know it: twelve digits and the first line of its message."""
    command: Sequence[str]
    """The prefix of ``python -m …`` with which its code is run."""


def previous() -> str:
    """The commit that an operator would have rolled out before this one.

    That is the parent of the newest commit with news for users (``changes/``): whoever follows the news comes from
    there. If that runs the very code that is here, it is the parent of the next older one, and so on. Another may be
    named by the environment. In a shallow clone, which has none, it is this one.

    :raises NoRevision: the history does not go back that far.
    """
    named = os.environ.get(NAMED_BY)
    if named:
        return _git("rev-parse", "--verify", f"{named}^{{commit}}")
    here = _code_of("HEAD")
    for commit in () if is_shallow() else _git("log", "--format=%H", "--", "changes").split():
        if _code_of(f"{commit}^") != here:
            return _git("rev-parse", f"{commit}^")
    if is_shallow():
        return "HEAD"
    raise NoRevision("no earlier revision is in this clone")


def is_shallow() -> bool:
    """Tell whether this is a clone without its history, in which no earlier revision is to be had."""
    return _git("rev-parse", "--is-shallow-repository") == "true"


def bring(commit: str, folder: Path) -> Revision:
    """Put the files of a commit into ``folder``, and beside them its libraries, if they are others than those here.

    :raises NoRevision: it cannot be run here.
    """
    tree, libraries = folder / "tree", folder / "libraries"
    tree.mkdir(parents=True)
    archive = subprocess.run(["git", "-C", str(ROOT), "archive", commit], check=True, stdout=subprocess.PIPE).stdout
    subprocess.run(["tar", "--extract", "--directory", str(tree)], check=True, input=archive)
    if "drain_deadline" not in (tree / "etc" / "callnet.toml").read_text():
        raise NoRevision(f"{commit[:12]} does not drain: it knows no drain_deadline")
    path = [tree / "clients" / "python"]
    if (tree / "requirements.lock").read_bytes() != (ROOT / "requirements.lock").read_bytes():
        _install(tree / "requirements.lock", libraries)
        path.append(libraries)
    command = ["env", f"--chdir={tree}", f"PYTHONPATH={os.pathsep.join(map(str, path))}"]
    _see_that_it_is_run(command, tree)
    return Revision(_git("log", "-1", "--format=%h %s", "--abbrev=12", commit), command)


def _install(lock: Path, libraries: Path) -> None:
    options = ("--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "--require-hashes")
    pip = (sys.executable, "-m", "pip", "install", *options, "--target", str(libraries), "--requirement", str(lock))
    subprocess.run(pip, check=True, stdin=subprocess.DEVNULL)


def _see_that_it_is_run(command: Sequence[str], tree: Path) -> None:
    """The folder that a process is in goes before the one that is installed; if it did not, nothing would be proved."""
    asks = "import callnet.tap; print(callnet.tap.__file__)"
    found = subprocess.run([*command, sys.executable, "-c", asks], check=True, capture_output=True, text=True).stdout
    if not Path(found.strip()).is_relative_to(tree):
        raise NoRevision(f"{found.strip()} would be run in place of {tree}")


def _code_of(commit: str) -> str:
    """The code that a commit would run, as one word that is the same for the same."""
    return _git("ls-tree", commit, "callnet", "clients", "twisted", "requirements.lock")


def _git(*words: str) -> str:
    done = subprocess.run(["git", "-C", str(ROOT), *words], capture_output=True, text=True, check=False)
    if done.returncode:
        raise NoRevision(f"git {' '.join(words)}: {done.stderr.strip()}")
    return done.stdout.strip()
