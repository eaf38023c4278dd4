"""Numbers of versions: which a release may have, and how npm writes them."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from packaging.version import Version

from tools.release import Refused

_NUMBER: Final = "(0|[1-9][0-9]*)"
_RELEASE: Final = re.compile(rf"{_NUMBER}\.{_NUMBER}\.{_NUMBER}((a|b|rc){_NUMBER})?")
_WORDS: Final = {"a": "alpha", "b": "beta", "rc": "rc"}


def parse(text: str) -> Version:
    """Read the version of a release: ``1.2.3``, or before it ``1.2.3a1``, ``1.2.3b1``, ``1.2.3rc1``.

    That is what PEP 440 and Semantic Versioning have in common.

    :raises Refused: it is none.
    """
    if not _RELEASE.fullmatch(text):
        raise Refused(f"{text!r} is no version of a release such as 1.2.3, or 1.2.3rc1 before it")
    return Version(text)


def tag_of(version: Version) -> str:
    """The tag of a release."""
    return f"v{version}"


def newest(tags: Iterable[str]) -> Version | None:
    """The newest release among tags, of which others may be of something else."""
    releases = [Version(tag[1:]) for tag in tags if tag[:1] == "v" and _RELEASE.fullmatch(tag[1:])]
    return max(releases, default=None)


def for_npm(text: str) -> str:
    """Write a version of PEP 440 as Semantic Versioning does: ``1.0.1.dev3+gabc`` is ``1.0.1-dev.3+gabc``."""
    version = Version(text)
    before = [f"{_WORDS[version.pre[0]]}.{version.pre[1]}"] if version.pre else []
    if version.dev is not None:
        before.append(f"dev.{version.dev}")
    return ".".join(map(str, version.release)) + "".join(
        mark + part for mark, part in (("-", ".".join(before)), ("+", version.local)) if part
    )
