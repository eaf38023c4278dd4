"""Builds the files of a commit, which are the same to the byte wherever and whenever the same tools build them."""

from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from tools.release import Refused
from tools.release.repository import Repository
from tools.release.versions import for_npm

SUMS: Final = "SHA256SUMS"
"""The file with the hashes, as ``sha256sum --check`` reads it."""
_PYTHON_CLIENT: Final = Path("clients", "python")
_JAVASCRIPT_CLIENT: Final = Path("clients", "javascript", "package.json")
_TELL_ANOTHER: Final = re.compile("(SETUPTOOLS_SCM|VCS_VERSIONING)_.*")
"""Variables that would give a build another version than git does."""


def build(repository: Repository, commit: str, target: Path) -> Mapping[str, str]:
    """Build a commit into an empty folder: wheel and sdist of the daemon and of its Python client, and the npm package.

    A client that the commit does not have is left out.

    What has been changed and not committed is not in them. Returns the SHA-256 of each file, by its name.

    :raises Refused: one cannot be built.
    """
    with tempfile.TemporaryDirectory(prefix="callnet-build-") as name:
        tree = Path(name, "callnet")
        repository.clone(commit, tree)
        environment = _environment(repository.time(commit))
        for project in (tree, tree / _PYTHON_CLIENT):
            if (project / "pyproject.toml").exists():
                # The wheel is built from the sdist: anyone who has the sdist can build it again.
                _do([sys.executable, "-m", "build", "--no-isolation", "--outdir", str(target)], project, environment)
        if (tree / _JAVASCRIPT_CLIENT).exists():
            _pack(tree / _JAVASCRIPT_CLIENT, _version_of(target), target, environment)
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(target.iterdir())}


def build_twice(repository: Repository, commit: str, target: Path) -> Mapping[str, str]:
    """The same, done twice in different folders.

    :raises Refused: what came of it differs, too.
    """
    found = build(repository, commit, target)
    with tempfile.TemporaryDirectory(prefix="callnet-again-") as again:
        other = build(repository, commit, Path(again))
    differing = sorted(name for name in found.keys() | other.keys() if found.get(name) != other.get(name))
    if differing:
        raise Refused(f"built twice, it is not the same: {', '.join(differing)}")
    return found


def sums(hashes: Mapping[str, str]) -> str:
    """The content of :data:`SUMS`."""
    return "".join(f"{digest}  {name}\n" for name, digest in hashes.items())


def deliver(source: Path, hashes: Mapping[str, str], target: Path) -> None:
    """Move the built files to their place, and write :data:`SUMS` there."""
    target.mkdir(exist_ok=True)
    for name in hashes:
        (target / name).write_bytes((source / name).read_bytes())
    (target / SUMS).write_text(sums(hashes))


def _environment(time: int) -> Mapping[str, str]:
    kept = {name: value for name, value in os.environ.items() if not _TELL_ANOTHER.fullmatch(name)}
    return {**kept, "SOURCE_DATE_EPOCH": str(time)}


def _version_of(folder: Path) -> str:
    [sdist] = folder.glob("callnet-*.tar.gz")
    return sdist.name.removesuffix(".tar.gz").rpartition("-")[2]


def _pack(manifest: Path, version: str, target: Path, environment: Mapping[str, str]) -> None:
    """Write the version into the manifest of a package, which is a copy, and pack it.

    npm takes over who may read a file, which depends on the umask with which the copy was made.
    """
    for path in manifest.parent.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    told = json.loads(manifest.read_text(encoding="utf-8"))
    manifest.write_text(json.dumps({**told, "version": for_npm(version)}, indent=2) + "\n", encoding="utf-8")
    _do(["npm", "pack", "--silent", "--pack-destination", str(target)], manifest.parent, environment)


def _do(command: Sequence[str], folder: Path, environment: Mapping[str, str]) -> None:
    try:
        done = subprocess.run(
            command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        raise Refused(f"{command[0]} is not installed") from None
    if done.returncode:
        raise Refused(f"{' '.join(command[:3])} failed: {(done.stdout + done.stderr)[-3000:]}")
