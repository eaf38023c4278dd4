"""Asks axe-core, which is kept in ``vendor/``, for parts of a page that are hard to use for people with impairments."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Final, cast

from playwright.sync_api import Page

_AXE: Final = Path(__file__).parent / "vendor" / "axe.min.js"

CONTRAST: Final = "color-contrast"

_WORDS: Final = "/name|label|title|alt|lang|empty|unique|scrollable/"
"""The rules, by their ids, that a page may break in one language and keep in another."""

_RUN: Final = f"""async ([rules, isOfWords]) => {{
    if (!("axe" in window)) return null;
    const ofWords = () => axe.getRules().map(({{ ruleId }}) => ruleId).filter((id) => {_WORDS}.test(id));
    const values = isOfWords ? ofWords() : rules;
    const only = values.length > 0 ? {{ runOnly: {{ type: "rule", values }} }} : {{}};
    const options = {{ resultTypes: ["violations"], selectors: false, iframes: false, preload: false, ...only }};
    const {{ violations }} = await axe.run(document, options);
    const places = (nodes) => nodes.map(({{ html }}) => html).join(" | ");
    return violations.map(({{ id, help, nodes }}) => `${{id}}: ${{help}}: ${{places(nodes)}}`);
}}"""


@cache
def _axe() -> str:
    return _AXE.read_text(encoding="utf-8")


def violations(page: Page, *rules: str) -> Sequence[str]:
    """All violations that axe-core finds in the present state of the page. It does not look into frames.

    :param rules: of these rules alone; none: of all.
    """
    return _violations(page, [list(rules), False])


def violations_of_words(page: Page) -> Sequence[str]:
    """The same of the rules that a page may break in one language and keep in another."""
    return _violations(page, [[], True])


def _violations(page: Page, asked: object) -> Sequence[str]:
    run = partial(page.evaluate, _RUN, asked)
    found: Sequence[str] | None = run()
    if found is None:
        page.evaluate(_axe())
        found = run()
    return cast(Sequence[str], found)
