"""The protocol's reference: a template in Markdown, filled from the structs, in English and Chinese.

Every string of it goes through one function, ``say``: in English it is as it stands, in Chinese what the table has for
it. A string that the table does not have is an error, and the tests find one of the table that nobody asks for; so the
two pages never say different things.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeAlias

from callnet import schemas
from callnet.calls import events
from callnet.calls.machine import TABLE
from callnet.calls.records import Active, Ringing
from callnet.frames.base import ENDINGS, FAILURES, REFUSALS
from callnet.schemas import REFERENCE, Schema, asyncapi_document, openapi_document, plain
from tools.handbook import seed
from tools.handbook.examples import example, written
from tools.handbook.meanings import ELSEWHERE, MEANINGS
from tools.handbook.phrases import type_of

Say: TypeAlias = Callable[[str], str]

HERE: Final = Path(__file__).parent
TEMPLATE: Final = HERE / "protocol.md"
TABLES: Final = {"zh": HERE / "protocol.zh.toml"}
PAGES: Final = {"en": "docs/protocol.md", "zh": "docs/zh/protocol.md"}
"""Where the pages are in the project."""

_HOLE: Final = re.compile(r"<!-- (\w+) ?(.*) -->")
_MARKED: Final = re.compile(r"(#+ |\* |\d+\. )")
_NAME: Final = re.compile(r"([\d.]+ )?((GET|POST) /\S+|[a-z_]+)")
"""A heading that is the name of something is the same in every language."""
_SECTION: Final = re.compile(r" \((?:protocol )?§[\d.]+\)")
"""References of docstrings to a section of this very page."""


class Untranslated(LookupError):
    """The table of a language has no words for a string."""


class Table:
    """The words of another language; requested texts are recorded.

    :param words: by what they are in English.
    """

    def __init__(self, words: Mapping[str, str]) -> None:
        self._words = words
        self.asked: Final[set[str]] = set()

    def __call__(self, text: str) -> str:
        """The text of a string there.

        :raises Untranslated: nobody has said it.
        """
        self.asked.add(text)
        if not self._words.get(text):
            raise Untranslated(text)
        return self._words[text]


def table(language: str) -> Table:
    """The words of a language."""
    return Table(tomllib.loads(TABLES[language].read_text(encoding="utf-8")))


def page(language: str) -> str:
    """The reference in a language.

    :raises Untranslated: it cannot all be said there.
    """
    return render(TEMPLATE.read_text(encoding="utf-8"), str if language == "en" else table(language))


def render(template: str, say: Say) -> str:
    """Fill a template, and have all of it said."""
    reference = Reference(say)
    blocks = template.strip().split("\n\n")
    return "\n\n".join("\n".join(_block(block, reference)) for block in blocks) + "\n"


def _block(block: str, reference: Reference) -> Iterator[str]:
    lines = block.splitlines()
    if hole := _HOLE.fullmatch(block):
        yield from reference.fill(hole[1], hole[2])
    elif block.startswith("```"):
        yield from lines
    elif block.startswith("|"):
        yield from (_row(line, reference.say) for line in lines)
    else:
        for text in re.split(r"\n(?=\* |\d+\. )", block):
            marked = _MARKED.match(text)
            mark = marked[0] if marked else ""
            said = " ".join(text.removeprefix(mark).split())
            yield mark + (said if _NAME.fullmatch(said) else reference.say(said))


def _row(line: str, say: Say) -> str:
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    return _cells([_cell(cell, say) for cell in cells])


def _cell(text: str, say: Say) -> str:
    """Text without letters outside of code is the same in every language."""
    return say(text) if re.search(r"[A-Za-z]", re.sub(r"`[^`]*`", "", text)) else text


def _cells(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |" if set("".join(cells)) != {"-"} else f"|{'|'.join(cells)}|"


class Reference:
    """The text that fills the holes of the template."""

    def __init__(self, say: Say) -> None:
        self.say: Final = say
        self._frames: Mapping[str, Schema] = asyncapi_document()["components"]["schemas"]
        document = openapi_document()
        self._bodies: Mapping[str, Schema] = document["components"]["schemas"]
        self._calls = {call.path: call for call in schemas.calls()}

    def fill(self, kind: str, of: str) -> Iterator[str]:
        """The lines for a hole: ``frame NAME``, ``http PATH``, ``errors``, ``reasons WHICH`` or ``calls``.

        :raises LookupError: there is no such thing.
        """
        if kind == "frame":
            yield from self._frame(of)
        elif kind == "http":
            yield from self._http(of)
        elif kind == "errors":
            yield from self._errors()
        elif kind == "reasons":
            yield from self._reasons(of)
        elif kind == "calls":
            yield from self._transitions()
        else:
            raise LookupError(f"nothing fills {kind}")

    def _frame(self, name: str) -> Iterator[str]:
        schema = self._frames[name]
        yield self.say(_SECTION.sub("", schema["description"]))
        yield ""
        named = seed.FRAMES.get(name)
        yield from self._fields(name, self._frames, named)
        yield from self._parts(name, self._frames)
        yield ""
        yield from self._examples(name, self._frames, named)

    def _http(self, path: str) -> Iterator[str]:
        call = self._calls[path]
        yield self.say(call.summary)
        if call.asked is not None:
            name = call.asked.__name__
            named = seed.REQUESTS.get(path)
            yield from ("", self.say("The request:"), "")
            yield from self._fields(name, self._bodies, named)
            yield from self._parts(name, self._bodies)
            yield ""
            yield from self._examples(name, self._bodies, named)
        name = schemas.answer_name(call.answered)
        fields = [field for field in self._bodies[name]["properties"] if field not in _ENVELOPE]
        yield from ("", self.say("The answer, in addition to `errorCode`, `errorCodeName` and `message`:"), "")
        if not fields:
            yield self.say("Nothing.")
            return
        yield from self._fields(name, self._bodies, seed.ANSWERS.get(path), fields)
        yield from self._parts(name, self._bodies)
        yield ""
        yield from self._examples(name, self._bodies, seed.ANSWERS.get(path))

    def _fields(
        self,
        name: str,
        components: Mapping[str, Schema],
        named: Sequence[str] | None,
        only: Sequence[str] | None = None,
    ) -> Iterator[str]:
        """A table of the fields of a schema; of a message of the seed it says which of them are the seed's."""
        schema = components[name]
        heads = ["field", "type", "required", "meaning"]
        if named is not None:
            heads.append("in the seed")
        yield _cells([self.say(head) for head in heads])
        yield _cells(["---"] * len(heads))
        for field, what in schema["properties"].items():
            if only is not None and field not in only:
                continue
            required = self.say("yes") if field in schema.get("required", ()) else "–"
            cells = [f"`{field}`", type_of(what, self.say), required, self.say(self._meaning(name, field, what))]
            if named is not None:
                cells.append(self.say("yes") if field in named else "–")
            yield _cells(cells)

    def _meaning(self, name: str, field: str, schema: Schema) -> str:
        own = f"{name.rpartition('.')[2].removeprefix('Extended')}.{field}"
        return ELSEWHERE.get(own) or _SECTION.sub("", str(schema.get("description", ""))) or MEANINGS[field]

    def _parts(self, name: str, components: Mapping[str, Schema]) -> Iterator[str]:
        """Tables of the parts of a schema."""
        for field, what in components[name]["properties"].items():
            for part in _references(what):
                yield from ("", self.say("In `{field}`:").format(field=field), "")
                yield from self._fields(part, components, seed.PARTS.get(part))

    def _examples(self, name: str, components: Mapping[str, Schema], named: Sequence[str] | None) -> Iterator[str]:
        whole = written(example(name, components))
        if named is None:
            yield from ("```json", whole, "```")
            return
        as_seed = written(example(name, seed.parts(components), named))
        yield from (self.say("In the seed:"), "", "```json", as_seed, "```")
        if as_seed != whole:
            yield from ("", self.say("With all fields that callnet adds:"), "", "```json", whole, "```")

    def _errors(self) -> Iterator[str]:
        heads = ("errorCode", "errorCodeName", "HTTP", "when", "in the seed")
        yield _cells([f"`{head}`" if head.startswith("error") else self.say(head) for head in heads])
        yield _cells(["---"] * len(heads))
        yield _cells(["0", "`ERROR_CODE_NONE`", "200", self.say("Success."), self.say("yes")])
        for kind in sorted(schemas.errors(), key=lambda kind: (kind.error_code, kind.status)):
            when = ELSEWHERE.get(kind.__name__) or plain(kind.__doc__).split("\n\n")[0]
            named = self.say("yes") if kind.error_code in seed.ERROR_CODES and kind.status in (200, 500) else "–"
            yield _cells([str(kind.error_code), f"`{kind.error_name}`", str(kind.status), self.say(when), named])

    def _reasons(self, of: str) -> Iterator[str]:
        words = {"failures": list(FAILURES), "refusals": list(REFUSALS), "endings": list(ENDINGS)}[of]
        yield _cells(["`reason`", self.say("meaning")])
        yield _cells(["---", "---"])
        for reason in words:
            yield _cells([f"`{reason.value}`", self.say(_REASONS[of][reason.value])])

    def _transitions(self) -> Iterator[str]:
        """The table of the machine of a call, without entries that only show by their absence."""
        yield _cells([self.say(head) for head in ("event", "RINGING", "ACTIVE")])
        yield _cells(["---"] * 3)
        for event, name in _HAPPENINGS.items():
            yield _cells(
                [self.say(name), *(self._transition(TABLE.get((state, event))) for state in (Ringing, Active))]
            )

    def _transition(self, transition: object) -> str:
        return "–" if transition is None else self.say(plain(transition.__doc__).split("\n\n")[0].removesuffix("."))


_ENVELOPE: Final = ("errorCode", "errorCodeName", "message")
_HAPPENINGS: Final = {
    events.Place: "a party sends `call`",
    events.Accept: "a rung device accepts",
    events.Refuse: "a rung device refuses",
    events.RefusedByTicket: "a woken device refuses by `/calls/refuse`",
    events.HangUp: "a party hangs up",
    events.Cancel: "a party hangs up without `room_id`",
    events.LostDevice: "a party loses its socket",
    events.DeviceBack: "... and reconnects",
    events.GraceOver: "... and does not reconnect within the grace period (30 s)",
    events.CallDue: "the call's time limit is reached",
    events.MeetingOver: "a page hangs up, or a seat is empty for too long",
    events.LostToken: "the token of a party is revoked",
    events.GaveUp: "a party was told that its request cannot be done at the moment",
    events.Stopped: "the operator ends it",
    events.RangInVain: "no rung device can be notified",
    events.NotWoken: "a rung device is asleep and cannot be woken",
    events.Announced: "a rung device was notified",
    events.Signalled: "a party sends `signal`",
    events.Resumed: "a party sends `resume`",
    events.Pulled: "a device of a party's phone sends `pull`",
}
"""The events that change a call, in the words of the reference."""
_REASONS: Final[Mapping[str, Mapping[str, str]]] = tomllib.loads((HERE / "reasons.toml").read_text(encoding="utf-8"))


def _references(schema: Any) -> Iterator[str]:
    """The names of the schemas that a field is made of."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            yield schema["$ref"].removeprefix(REFERENCE)
        for part in ("items", "anyOf"):
            yield from _references(schema.get(part))
    elif isinstance(schema, list):
        for option in schema:
            yield from _references(option)


def write(root: Path) -> None:
    """Write both pages."""
    for language, place in PAGES.items():
        (root / place).write_text(page(language), encoding="utf-8")


if __name__ == "__main__":
    write(HERE.parent.parent)
