"""callnet.toml(5): the description of each setting in ``etc/callnet.toml``."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from tools.manual import roff

_SETTING: Final = re.compile(r"#(\w+ = .*)")
_SECTION: Final = re.compile(r"\[[\w.]+\]")
_DEFAULT: Final = re.compile(r'(""|\[\]|0): ')
"""Begins a line about the meaning of an empty value."""
_END: Final = """
.SH "SEE ALSO"
.BR callnet (1),
.IR /usr/share/doc/callnet/operating.md
"""


def page(example: str, version: str) -> Iterator[str]:
    """The lines of the page.

    :param example: ``etc/callnet.toml``, which begins with a comment on the whole.
    """
    head, _, rest = example.partition("\n\n")
    yield roff.heading("callnet.toml", 5, version)
    yield from (".SH NAME", r"callnet.toml \- the settings of callnet")
    yield from (".SH DESCRIPTION", *_told(map(_uncommented, head.splitlines()), ".PP"))
    yield ".SH SETTINGS"
    yield from _settings(rest.splitlines())
    yield from _END.strip().splitlines()


def _settings(lines: Iterable[str]) -> Iterator[str]:
    """Each section and each setting, with the comment before it; settings without a line between them share one."""
    comment: list[str] = []
    follows = False
    for line in lines:
        setting = _SETTING.fullmatch(line)
        if setting:
            yield from (".TQ" if follows else ".TP", roff.bold(setting[1]))
        if follows and not setting:
            yield from _told(comment, ".IP")
            comment = []
        if _SECTION.fullmatch(line):
            yield from (f'.SS "{line}"', *_told(comment, ".PP"))
            comment = []
        elif line and not setting:
            comment.append(_uncommented(line))
        follows = setting is not None
    if follows:
        yield from _told(comment, ".IP")


def _told(comment: Iterable[str], between: str) -> Iterator[str]:
    for line in roff.paragraphs(comment, between):
        if _DEFAULT.match(line):
            yield ".br"
        yield line


def _uncommented(line: str) -> str:
    return line.removeprefix("#").removeprefix(" ")
