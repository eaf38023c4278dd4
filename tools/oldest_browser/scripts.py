"""Scripts: syntax that Chromium 80 does not parse, and calls that it does not have.

tree-sitter parses all of today's JavaScript, and goes on after an error. It is no judge of early errors (a ``let``
twice, a ``break`` outside a loop): these every browser reports, the ones in the tests too.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final

import tree_sitter_javascript
from tree_sitter import Language, Node, Parser

from tools.oldest_browser import OLDEST, Complaint

_PARSER: Final = Parser(Language(tree_sitter_javascript.language()))

_FUNCTIONS: Final = {
    "arrow_function",
    "function_declaration",
    "function_expression",
    "generator_function",
    "generator_function_declaration",
    "method_definition",
}
_MODIFIERS: Final = re.compile(r"(?<!\\)\(\?[a-z-]+:")

_CALLS: Final[dict[str, tuple[str | None, int]]] = {
    "any": ("Promise", 85),
    "at": ("", 92),
    "checkVisibility": ("", 105),
    "findLast": ("", 97),
    "findLastIndex": ("", 97),
    "fromAsync": ("Array", 121),
    "groupBy": ("Object", 117),
    "hasOwn": ("Object", 93),
    "randomUUID": ("", 92),
    "replaceAll": ("", 85),
    "replaceChildren": ("", 86),
    "requestVideoFrameCallback": ("", 83),
    "structuredClone": (None, 98),
    "timeout": ("AbortSignal", 103),
    "toReversed": ("", 110),
    "toSorted": ("", 110),
    "toSpliced": ("", 110),
    "withResolvers": ("Promise", 119),
}
"""The object of each call (empty: any; ``None``: none), and its first version. ``?.()`` may be newer."""

_NEWER_THAN_ES5: Final = {
    "array_pattern",
    "arrow_function",
    "assignment_pattern",
    "await_expression",
    "class",
    "class_declaration",
    "computed_property_name",
    "export_statement",
    "generator_function",
    "generator_function_declaration",
    "import",
    "import_statement",
    "lexical_declaration",
    "object_pattern",
    "optional_chain",
    "rest_pattern",
    "shorthand_property_identifier",
    "spread_element",
    "template_string",
}


def check(source: bytes) -> Iterator[Complaint]:
    """The parts of a script that are too new."""
    for node in _nodes(source):
        rule = _wrong if node.is_missing else _RULES.get(node.type)
        found = rule(node) if rule else None
        if found:
            yield Complaint(node.start_point[0] + 1, found)


def check_classic(source: bytes) -> Iterator[Complaint]:
    """The parts of a script newer than ES5, in which alone a browser of any age can be told that it is too old."""
    yield from check(source)
    for node in _nodes(source):
        if node.type in _NEWER_THAN_ES5:
            yield Complaint(node.start_point[0] + 1, f"{node.type.replace('_', ' ')}: newer than ES5")


def _nodes(source: bytes) -> Iterator[Node]:
    """Every node, in the order of the source."""
    waiting = [_PARSER.parse(source).root_node]
    while waiting:
        node = waiting.pop()
        yield node
        waiting += reversed(node.children)


def _since(what: str, version: int) -> str:
    return f"{what}: since Chromium {version}, and the oldest is {OLDEST}"


def _text(node: Node | None) -> str:
    return "" if node is None or node.text is None else node.text.decode("utf-8", "replace")


def _method(node: Node) -> str | None:
    name = node.child_by_field_name("name")
    is_private = name is not None and name.type == "private_property_identifier"
    return _since(f"the private method {_text(name)}()", 84) if is_private else None


def _binary(node: Node) -> str | None:
    left = node.child_by_field_name("left")
    is_private = left is not None and left.type == "private_property_identifier"
    return _since(f"`{_text(left)} in`", 91) if is_private else None


def _member(node: Node) -> str | None:
    field = node.child_by_field_name("property")
    is_private = field is not None and field.type == "private_property_identifier"
    is_optional = node.child_by_field_name("optional_chain") is not None
    return _since(f"`?.{_text(field)}`", 84) if is_private and is_optional else None


def _assignment(node: Node) -> str | None:
    operator = _text(node.child_by_field_name("operator"))
    return _since(f"`{operator}`", 85) if operator in ("||=", "&&=", "??=") else None


def _await(node: Node) -> str | None:
    outer = node.parent
    while outer is not None and outer.type not in _FUNCTIONS:
        outer = outer.parent
    return _since("await outside a function", 89) if outer is None else None


def _loop(node: Node) -> str | None:
    return _await(node) if any(child.type == "await" for child in node.children) else None


def _regex(node: Node) -> str | None:
    flags = _text(node.child_by_field_name("flags"))
    for flag, version in (("d", 90), ("v", 112)):
        if flag in flags:
            return _since(f"the flag {flag} of a regular expression", version)
    has_modifiers = _MODIFIERS.search(_text(node.child_by_field_name("pattern")))
    return _since("modifiers in a regular expression", 125) if has_modifiers else None


def _specifier(node: Node) -> str | None:
    is_text = any(child.type == "string" for child in node.children)
    return _since("a name in quotes", 88) if is_text else None


def _call(node: Node) -> str | None:
    function = node.child_by_field_name("function")
    if function is None or any(child.type == "optional_chain" for child in node.children):
        return None
    name, owner = _text(function), None
    if function.type == "member_expression":
        name, owner = _text(function.child_by_field_name("property")), _text(function.child_by_field_name("object"))
    if name not in _CALLS:
        return None
    wanted, version = _CALLS[name]
    return _since(f"{name}()", version) if wanted == owner or (wanted == "" and owner is not None) else None


def _always(what: str, version: int) -> Callable[[Node], str]:
    return lambda _: _since(what, version)


def _wrong(node: Node) -> str:
    return f"this is no JavaScript: {_text(node)[:40]!r}"


_RULES: Final[dict[str, Callable[[Node], str | None]]] = {
    "ERROR": _wrong,
    "augmented_assignment_expression": _assignment,
    "await_expression": _await,
    "binary_expression": _binary,
    "call_expression": _call,
    "class_static_block": _always("a static block", 94),
    "decorator": _wrong,
    "export_specifier": _specifier,
    "for_in_statement": _loop,
    "import_attribute": _always("an attribute of an import", 123),
    "import_specifier": _specifier,
    "jsx_element": _wrong,
    "jsx_self_closing_element": _wrong,
    "member_expression": _member,
    "method_definition": _method,
    "regex": _regex,
    "using_declaration": _always("a using declaration", 134),
}
