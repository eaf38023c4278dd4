"""Style sheets: rules that Chromium 80 ignores, without a fallback.

A browser drops a declaration that it does not understand and goes by an earlier one. So what is too new may stand after
its older counterpart in the same block, or within ``@supports``. A selector that is not understood takes its whole rule
with it: it must stand in a rule of its own.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import tinycss2

from tools.oldest_browser import OLDEST, Complaint


class _Property(NamedTuple):
    since: int
    instead: frozenset[str]
    """Properties that all must have been set before it in the same block."""


_SIDES: Final = frozenset({"top", "right", "bottom", "left"})
_PROPERTIES: Final = {
    "aspect-ratio": _Property(88, frozenset({"height"})),
    "inset": _Property(87, _SIDES),
    "inset-block": _Property(87, frozenset({"top", "bottom"})),
    "inset-inline": _Property(87, frozenset({"left", "right"})),
    "margin-block": _Property(87, frozenset({"margin-top", "margin-bottom"})),
    "margin-inline": _Property(87, frozenset({"margin-left", "margin-right"})),
    "padding-block": _Property(87, frozenset({"padding-top", "padding-bottom"})),
    "padding-inline": _Property(87, frozenset({"padding-left", "padding-right"})),
    "rotate": _Property(104, frozenset({"transform"})),
    "scale": _Property(104, frozenset({"transform"})),
    "translate": _Property(104, frozenset({"transform"})),
}
_GAPS: Final = {"gap", "row-gap", "column-gap"}
_UNITS: Final = re.compile(r"[sld]v([hwib]|min|max)|cq([whib]|min|max)|lh|rlh|cap|ic")
_FUNCTIONS: Final = {
    "color-mix": 111,
    "lab": 111,
    "lch": 111,
    "light-dark": 123,
    "oklab": 111,
    "oklch": 111,
    "round": 125,
}
_SELECTORS: Final = {"is": 88, "where": 88, "has": 105}
_RULES_AT: Final = {"layer": 99, "container": 105, "property": 85, "scope": 118, "starting-style": 117}
_SIGNS: Final[Sequence[Sequence[str]]] = ([], ["."], [":"])
"""The tokens before the last one of a simple selector."""
_GROUPS: Final = {"media", "supports"}
_RANGE: Final = re.compile(r"[<>=]")


def check(source: bytes) -> Iterator[Complaint]:
    """The parts of a style sheet that are too new and have no fallback."""
    rules, _ = tinycss2.parse_stylesheet_bytes(source, skip_comments=True, skip_whitespace=True)
    displays: dict[str, str] = {}
    yield from _rules(rules, displays)


def _since(what: str, version: int) -> str:
    return f"{what}: since Chromium {version}, and the oldest is {OLDEST}"


def _rules(rules: Iterable[Any], displays: dict[str, str]) -> Iterator[Complaint]:
    """Look at rules in their order.

    :param displays: how what a selector stands for is laid out, by what was said so far.
    """
    for rule in rules:
        if rule.type == "error":
            yield Complaint(rule.source_line, f"this is no CSS: {rule.message}")
        elif rule.type == "at-rule":
            yield from _at_rule(rule, displays)
        elif rule.type == "qualified-rule":
            yield from _selectors(rule)
            yield from _block(rule, displays)


def _at_rule(rule: Any, displays: dict[str, str]) -> Iterator[Complaint]:
    if rule.at_keyword in _RULES_AT:
        yield Complaint(rule.source_line, _since(f"@{rule.at_keyword}", _RULES_AT[rule.at_keyword]))
    # Rules in @supports are for browsers that understand them; that flex has gaps cannot be asked for.
    elif rule.at_keyword in _GROUPS and rule.content is not None:
        prelude = tinycss2.serialize(rule.prelude)
        if rule.at_keyword == "media" and _RANGE.search(prelude):
            yield Complaint(rule.source_line, _since("a range in a media query", 104))
        inner = tinycss2.parse_rule_list(rule.content, skip_comments=True, skip_whitespace=True)
        found = _rules(inner, displays)
        yield from found if rule.at_keyword == "media" or "gap" in prelude else ()


def _selectors(rule: Any) -> Iterator[Complaint]:
    for name, arguments in _pseudo_functions(rule.prelude):
        if name in _SELECTORS:
            yield Complaint(rule.source_line, _since(f":{name}()", _SELECTORS[name]))
        elif name == "not" and _without_space(arguments)[:-1] not in _SIGNS:
            yield Complaint(rule.source_line, _since("more than a simple selector in :not()", 88))
    selectors = _split(rule.prelude)
    with_focus = [selector for selector in selectors if ":focus-visible" in selector]
    if with_focus and len(with_focus) < len(selectors):
        yield Complaint(rule.source_line, _since(":focus-visible beside other selectors, which it takes with it", 86))


def _pseudo_functions(tokens: Iterable[Any]) -> Iterator[tuple[str, Sequence[Any]]]:
    for token in tokens:
        if token.type == "function":
            yield token.lower_name, token.arguments
            yield from _pseudo_functions(token.arguments)


def _without_space(tokens: Iterable[Any]) -> list[Any]:
    return [token for token in tokens if token.type not in ("comment", "whitespace")]


def _split(prelude: Iterable[Any]) -> list[str]:
    """The selectors of a rule."""
    parts: list[list[Any]] = [[]]
    for piece in prelude:
        if piece == ",":
            parts.append([])
        else:
            parts[-1].append(piece)
    return [tinycss2.serialize(part).strip() for part in parts]


def _block(rule: Any, displays: dict[str, str]) -> Iterator[Complaint]:
    before: dict[str, bool] = {}
    selectors = _split(rule.prelude)
    for item in tinycss2.parse_blocks_contents(rule.content, skip_comments=True, skip_whitespace=True):
        if item.type == "error":
            yield Complaint(item.source_line, f"this is no CSS: {item.message}")
        elif item.type != "declaration":
            yield Complaint(item.source_line, _since("a rule within a rule", 112))
        else:
            name = item.lower_name
            if name == "display":
                displays.update(dict.fromkeys(selectors, tinycss2.serialize(item.value).strip()))
            too_new = _value(item.value)
            if too_new and not before.get(name):
                yield Complaint(item.source_line, too_new)
            yield from _property(item, before, [displays.get(selector, "") for selector in selectors])
            before[name] = before.get(name, False) or not too_new


def _property(item: Any, before: Mapping[str, bool], displays: Sequence[str]) -> Iterator[Complaint]:
    name = item.lower_name
    known = _PROPERTIES.get(name)
    if known and not known.instead <= before.keys():
        yield Complaint(item.source_line, _since(name, known.since))
    if name in _GAPS and not all("grid" in display for display in displays):
        what = f"{name} of what is not laid out as a grid, where its selector is the same"
        yield Complaint(item.source_line, _since(what, 84))


def _value(tokens: Iterable[Any]) -> str | None:
    """The part of a value that is too new."""
    for token in tokens:
        if token.type == "dimension" and _UNITS.fullmatch(token.lower_unit):
            return _since(f"the unit {token.unit}", 105 if token.lower_unit.startswith("cq") else 108)
        if token.type == "function":
            if token.lower_name in _FUNCTIONS:
                return _since(f"{token.lower_name}()", _FUNCTIONS[token.lower_name])
            inner = _value(token.arguments)
            if inner:
                return inner
    return None
