"""Asks axe-core, which is kept in ``vendor/``, for parts of a page that are hard to use for people with impairments."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, partial
from pathlib import Path
from typing import Final, cast

from playwright.sync_api import Page

_AXE: Final = Path(__file__).parent / "vendor" / "axe.min.js"

CONTRAST: Final = "color-contrast"

_RUN: Final = """async ([rules, without]) => {
    if (!("axe" in window)) return null;
    const only = rules.length > 0 ? { runOnly: { type: "rule", values: rules } } : {};
    const off = Object.fromEntries(without.map((rule) => [rule, { enabled: false }]));
    const options = { resultTypes: ["violations"], selectors: false, iframes: false, rules: off, ...only };
    const { violations } = await axe.run(document, options);
    return violations.map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html).join(" | ")}`);
}"""


@cache
def _axe() -> str:
    return _AXE.read_text(encoding="utf-8")


def violations(page: Page, *rules: str, without: Sequence[str] = ()) -> Sequence[str]:
    """All violations that axe-core finds in the present state of the page. It does not look into frames.

    :param rules: of these rules alone; none: of all.
    :param without: but not of these.
    """
    run = partial(page.evaluate, _RUN, [list(rules), list(without)])
    found: Sequence[str] | None = run()
    if found is None:
        page.evaluate(_axe())
        found = run()
    return cast(Sequence[str], found)
