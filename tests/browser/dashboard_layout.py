"""Looks at the dashboard as an eye would: nothing is cut, leaves the screen sideways or lies over something else."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from playwright.sync_api import Page

FAULTS: Final = """() => {
    const faults = [];
    const name = (element) => element.id ? `#${element.id}` : `${element.tagName.toLowerCase()}.${element.className}`;
    const isSeen = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true })
        && element.getBoundingClientRect().width > 0 && !element.closest(".aloud");
    const isWider = (inner, outer) => inner.left < outer.left - 1 || inner.right > outer.right + 1;
    const isHigher = (inner, outer) => inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
    const scrolls = (element) => getComputedStyle(element).overflowY === "auto";
    const screen = { left: 0, right: innerWidth };

    if (document.documentElement.scrollWidth > innerWidth) faults.push("the page scrolls sideways");

    const hasText = (element) => Array.from(element.childNodes)
        .some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "");
    const known = new Map([[null, []]]);
    const boxesAround = (element) => {
        const outer = element.parentElement;
        if (!known.has(outer)) {
            const isLast = scrolls(outer);
            const isHigh = !isLast && outer.matches("td, .tile, .panel, dialog, header, #away");
            const isWhole = isHigh || outer.matches("td, th, .tile, .panel, dialog, header, #away");
            const own = { outer, around: outer.getBoundingClientRect(), isWhole, isHigh };
            known.set(outer, isLast ? [own] : [own, ...boxesAround(outer)]);
        }
        return known.get(outer);
    };
    const elements = Array.from(document.querySelectorAll("body *"))
        .filter((element) => !element.matches("option, script, noscript, svg *")
            && (hasText(element) || element.matches("button, input, select, svg, table, .panel, .tile"))
            && isSeen(element));
    for (const element of elements) {
        const boxes = [element.getBoundingClientRect()];
        if (hasText(element)) {
            const range = document.createRange();
            range.selectNodeContents(element);
            boxes.push(range.getBoundingClientRect());
        }
        for (const box of boxes) {
            if (isWider(box, screen)) faults.push(`${name(element)} leaves the screen`);
            for (const { outer, around, isWhole, isHigh } of boxesAround(element)) {
                if (isWhole && isWider(box, around)) faults.push(`${name(element)} is wider than ${name(outer)}`);
                if (isHigh && isHigher(box, around)) faults.push(`${name(element)} is higher than ${name(outer)}`);
            }
        }
        const isBlock = getComputedStyle(element).display !== "inline";
        if (hasText(element) && isBlock && element.scrollWidth > element.clientWidth + 1) {
            faults.push(`the text of ${name(element)} does not fit`);
        }
    }

    const groups = ["header > *, .tools > *", "header, #away, .tile, .panel, footer", "footer > *",
        "#question > *, .choices > *", ".tile > *", ".panel > *", "td.doing > *", ".process > ul > li"];
    for (const group of groups) {
        const seen = Array.from(document.querySelectorAll(group)).filter(isSeen)
            .map((part) => [part, part.getBoundingClientRect()]);
        for (const [i, [one, a]] of seen.entries()) {
            for (const [other, b] of seen.slice(i + 1)) {
                const isApart = a.right <= b.left + 1 || b.right <= a.left + 1
                    || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
                // Rows that are scrolled out of sight may have the place of what is below their list.
                if (isApart || one.contains(other) || one.closest(".scroll") !== other.closest(".scroll")) continue;
                faults.push(`${name(one)} and ${name(other)} overlap`);
            }
        }
    }
    return Array.from(new Set(faults));
}"""
"""JavaScript of a function that describes the faults in the looks of the dashboard as it is just now."""

EXTREME_FAULTS: Final = f"""() => {{
    const findFaults = {FAULTS};
    const parts = document.querySelectorAll("header, .pill, .tile, .tile dt, .value, .panel, th, td");
    const boxes = () => Array.from(parts, (element) => element.getBoundingClientRect())
        .map(({{ left, top, width, height }}) => [left, top, width, height].map(Math.round).join(" "));
    const kept = [];
    const put = (selector, text) => {{
        for (const element of document.querySelectorAll(selector)) {{
            kept.push([element, element.textContent]);
            element.textContent = text;
        }}
    }};
    // Units are long in some languages: the page then makes them small.
    const putValue = (text) => {{
        put(".value", text);
        for (const element of document.querySelectorAll(".value")) element.classList.toggle("long", text.length > 7);
    }};
    const faults = [];
    const before = boxes();
    for (const value of ["0", "88,888", "888 ms", "888.8M", "500+", "888,8 Mio.", "888 मि॰से॰", "888.8 مليون"]) {{
        putValue(value);
        put("#time", "00:44:44");
        put("td.call .upper", "ringing 0:00");
        const after = boxes();
        const moved = Array.from(parts).find((_, index) => after[index] !== before[index]);
        if (moved) faults.push(`${{value}}: ${{moved.tagName.toLowerCase()}}.${{moved.className}} has moved`);
        faults.push(...findFaults());
    }}
    put("td.who .upper", "+999999999999999");
    put("td.who .lower", "W".repeat(50));
    put("td.at .upper", "2001:0db8:85a3:08d3:1319:8a2e:0370:7348");
    put("td.call .upper", "ringing 88:88:88");
    put("td.at .lower", "88:88:88, extended, in call 888888888888");
    put("#failures td.who span", `+999999999999999 · ${{"W".repeat(50)}}`);
    put("td.why .upper", "ended by the operator, or a stop");
    put(".more", "4409 connected elsewhere: 88,888, 4413 reads too slowly: 88,888");
    put(".process .state", "no answer within 0.8 s: it died of signal 9 and is started again in 10 s");
    put("#said", `The tokens of all devices of +999999999999999 are revoked.`);
    put("#devices-all", "Revoke all of +999999999999999");
    put("#question-text", `+999999999999999 · ${{"W".repeat(50)}} and 110 are told that it is over.`);
    faults.push(...findFaults());
    for (const [element, text] of kept.reverse()) element.textContent = text;
    return faults;
}}"""
"""The same for layout faults with numbers, phones, names and addresses of extreme length, and what would move when a
number changes.

It puts the longest and the shortest that may stand there, in one go, so that the page does not come in between.
"""


def faults(page: Page, wrong: str = "") -> Sequence[str]:
    """The faults in the looks of the dashboard as it is just now.

    :param wrong: JavaScript that is run just before, so that nothing of the page's comes in between.
    """
    found: Sequence[str] = page.evaluate(f"() => {{ {wrong}; return ({FAULTS})(); }}")
    return found
