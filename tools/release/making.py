"""Makes a release: the news, the commit, the tag and the files. It pushes nothing."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from packaging.version import Version

from tools.release import Refused
from tools.release.building import build_twice, deliver
from tools.release.repository import Repository
from tools.release.versions import newest, parse, tag_of

NEWS: Final = "changes"
DIST: Final = "dist"
_SHOWN: Final = 5


def make(repository: Repository, wanted: str) -> Mapping[str, str]:
    """Make the release ``wanted`` of the checked-out commit. Returns the SHA-256 of its files, which are in ``dist/``.

    If anything fails, the clone is left as it was.

    :raises Refused: it cannot be.
    """
    version = parse(wanted)
    check(repository, version)
    before, tag = repository.commit(), tag_of(version)
    with _or_back_to(repository, before, tag), tempfile.TemporaryDirectory(prefix="callnet-release-") as name:
        _gather_news(repository.root, version)
        repository.commit_all(f"release {version}")
        repository.tag(tag, f"callnet {version}")
        hashes = build_twice(repository, repository.commit(), Path(name))
        strangers = [file for file in hashes if f"-{version}" not in file and not file.endswith(".tgz")]
        if strangers:
            raise Refused(f"these are not of version {version}: {', '.join(strangers)}")
        deliver(Path(name), hashes, repository.root / DIST)
    return hashes


def check(repository: Repository, version: Version) -> None:
    """See whether a release may be made.

    :raises Refused: it may not.
    """
    changes = repository.changes()
    if changes:
        more = " and others" if len(changes) > _SHOWN else ""
        raise Refused(f"what is to be released is not committed: {', '.join(changes[:_SHOWN])}{more}")
    repository.branch()
    if repository.is_shallow():
        raise Refused("this clone has not all of the history, so a tag may be missing: git fetch --unshallow --tags")
    if tag_of(version) in repository.tags():
        raise Refused(f"there is a tag {tag_of(version)} already")
    last = newest(repository.tags_before())
    if last is not None and version <= last:
        raise Refused(f"{version} is not newer than {last}")
    if not list((repository.root / NEWS).glob("*.md")):
        raise Refused(f"there is no news in {NEWS}/")


def _gather_news(root: Path, version: Version) -> None:
    command = (sys.executable, "-m", "towncrier", "build", "--yes", "--version", str(version))
    done = subprocess.run(command, cwd=root, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode:
        raise Refused(f"towncrier: {(done.stdout + done.stderr).strip()}")


@contextmanager
def _or_back_to(repository: Repository, commit: str, tag: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        repository.back_to(commit, without=tag)
        raise
