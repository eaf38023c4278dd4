"""Sequence diagrams, read from text.

::

    Television, callnet, Phone
    Television -> callnet: call | to_phone, to_device_id
    callnet -> Phone: called
    note Phone: it rings
    Phone <-> Television: sound and picture
    == a minute later ==
    Phone --> callnet: calling_hangup

The first line names the participants, from left to right. ``->`` is a message and ``-->`` an answer to a request, each
with more about it after ``|``; ``<->`` goes both ways. A note stands at one participant, or spans two (``note A, B:``);
a line between ``==`` says that time goes by.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final, TypeAlias

from msgspec import Struct

_ARROW: Final = re.compile(r"(?P<tail>.+?) (?P<arrow>->|-->|<->) (?P<head>.+?): (?P<text>[^|]+?)(?: \| (?P<more>.+))?")
_NOTE: Final = re.compile(r"note (?P<at>[^:]+): (?P<text>.+)")
_BREAK: Final = re.compile(r"== (?P<text>.+) ==")


class Malformed(ValueError):
    """A line of a diagram says nothing that is understood, or names nobody who takes part."""


class Arrow(Struct, frozen=True):
    """A message; participants are counted from the left, from 0."""

    tail: int
    head: int
    text: str
    more: str = ""
    kind: str = "->"


class Note(Struct, frozen=True):
    """A note at a participant, or from one to another."""

    first: int
    last: int
    text: str


class Break(Struct, frozen=True):
    """Time goes by."""

    text: str


Step: TypeAlias = Arrow | Note | Break


class Diagram(Struct, frozen=True):
    """The participants, and the events in order."""

    participants: Sequence[str]
    steps: Sequence[Step]


def read(text: str) -> Diagram:
    """Read a diagram.

    :raises Malformed: it is none; the message has the line.
    """
    first, *lines = (line.strip() for line in text.splitlines() if line.strip())
    participants = [name.strip() for name in first.split(",")]
    if len(participants) != len(set(participants)) or not all(participants):
        raise Malformed(f"these are not different participants: {first}")
    return Diagram(participants, [_step(line, participants) for line in lines])


def _step(line: str, participants: Sequence[str]) -> Step:
    if found := _BREAK.fullmatch(line):
        return Break(found["text"])
    if found := _NOTE.fullmatch(line):
        places = sorted(_place(name.strip(), participants, line) for name in found["at"].split(","))
        return Note(places[0], places[-1], found["text"])
    if found := _ARROW.fullmatch(line):
        tail, head = (_place(found[end], participants, line) for end in ("tail", "head"))
        if tail == head:
            raise Malformed(f"nobody writes to itself: {line}")
        return Arrow(tail, head, found["text"], found["more"] or "", found["arrow"])
    raise Malformed(f"this line is not understood: {line}")


def _place(name: str, participants: Sequence[str], line: str) -> int:
    if name not in participants:
        raise Malformed(f"{name} does not take part: {line}")
    return participants.index(name)
