"""Checks a page as an eye would: everything is to be in view, whole, and not covered."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, Final

from playwright.sync_api import Error, Page

MAIN_BUTTONS: Final = {
    "idle": "join",
    "waiting": "hangup",
    "connecting": "hangup",
    "connected": "hangup",
    "reconnecting": "hangup",
    "ended": "action",
    "full": "action",
    "error": "action",
}
"""The button that matters most in each state (protocol §3)."""

_AT_REST: Final = """() => Promise.allSettled(document.getAnimations()
    .filter((animation) => animation instanceof CSSTransition).map(({ finished }) => finished))"""
_WAKE: Final = """() => {
    for (const { contentDocument } of document.querySelectorAll("iframe")) {
        contentDocument?.dispatchEvent(new Event("pointermove"));
    }
    document.dispatchEvent(new Event("pointermove"));
}"""
"""Moves a hand over the page and the pages inside, so that the buttons do not step back soon."""
UNTIL_SEEN: Final = """while ("new" in document.body.dataset) await new Promise((done) => setTimeout(done, 50));"""
"""Waits until what has come up takes presses: before, the pointer goes through some of its buttons."""

_PAINTED_AND_AT_REST: Final = f"""async () => {{
    {UNTIL_SEEN}
    await new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)));
    await ({_AT_REST})();
}}"""

_LOOK: Final = f"""async (part) => {{
    ({_WAKE})();
    await ({_PAINTED_AND_AT_REST})();
    if (part) document.querySelector(part).scrollIntoView();
    const found = [];
    for (const check of [%s]) {{
        ({_WAKE})();
        found.push(...await check());
    }}
    return found;
}}"""

_FIND_FAULTS: Final = """(mainButtons) => {
    const faults = [];
    const name = (element) => element.id ? `#${element.id}` : `${element.tagName.toLowerCase()}.${element.className}`;
    const isSeen = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true })
        && element.getBoundingClientRect().width > 0;
    const exceedsAcross = (inner, outer) => inner.left < outer.left - 1 || inner.right > outer.right + 1;
    const exceedsDown = (inner, outer) => inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
    const exceeds = (inner, outer) => exceedsAcross(inner, outer) || exceedsDown(inner, outer);
    const screen = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
    const scrolls = (element) => ["auto", "scroll"].includes(getComputedStyle(element).overflowY);

    const root = document.documentElement;
    if (root.scrollWidth > innerWidth || root.scrollHeight > innerHeight) faults.push("the page scrolls");

    const isText = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "";
    const hasText = (element) => Array.prototype.some.call(element.childNodes, isText);
    const known = new Map([[null, []]]);
    const framesAround = (element) => {
        const outer = element.parentElement;
        if (!known.has(outer)) {
            const { overflowX, overflowY } = getComputedStyle(outer);
            const frames = framesAround(outer);
            const own = { outer, frame: outer.getBoundingClientRect(), doesScroll: scrolls(outer) };
            known.set(outer, overflowX === "visible" && overflowY === "visible" ? frames : [own, ...frames]);
        }
        return known.get(outer);
    };
    const elements = Array.from(document.querySelectorAll("#stage :not(.unseen, option)"))
        .filter((element) => hasText(element) || element.matches("button, input, select, textarea, .disc, .emblem"))
        .filter(isSeen);
    for (const element of elements) {
        const range = document.createRange();
        range.selectNodeContents(element);
        const boxes = [element.getBoundingClientRect()];
        if (hasText(element)) boxes.push(range.getBoundingClientRect());
        for (const box of boxes) {
            // What lies in a part that scrolls may be above or below what is in view.
            let isScrolled = false;
            for (const { outer, frame, doesScroll } of framesAround(element)) {
                isScrolled = isScrolled || doesScroll;
                if (!exceedsAcross(box, frame) && (isScrolled || !exceedsDown(box, frame))) continue;
                faults.push(`${name(element)} is cut by ${name(outer)}`);
            }
            if (exceedsAcross(box, screen) || (!isScrolled && exceedsDown(box, screen))) {
                faults.push(`${name(element)} leaves the screen`);
            }
        }
        if (hasText(element) && getComputedStyle(element).display !== "inline" && !scrolls(element)
            && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1)) {
            faults.push(`the text of ${name(element)} does not fit`);
        }
    }

    const parts = ["#panel", "#controls", "#status", "#notice", "#language"]
        .map((part) => document.querySelector(part));
    parts.push(...document.querySelectorAll(".drawer"));
    parts.push(...document.querySelectorAll(".thumb"));
    const seen = parts.filter(isSeen).map((part) => [name(part), part.getBoundingClientRect()]);
    for (const [i, [one, a]] of seen.entries()) {
        for (const [other, b] of seen.slice(i + 1)) {
            const isApart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
            if (!isApart) faults.push(`${one} and ${other} overlap`);
        }
    }

    const covered = (element) => {
        element.scrollIntoView({ block: "nearest" });
        const box = element.getBoundingClientRect();
        return !element.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2));
    };
    for (const button of document.querySelectorAll("button, .languages")) {
        const isAside = button.closest(".drawer") && !button.matches(".close");
        if (isSeen(button) && !isAside && covered(button)) faults.push(`${name(button)} is covered`);
    }
    const drawer = Array.from(document.querySelectorAll(".drawer")).find(isSeen);
    // On a narrow screen what is open lies over the buttons, and is closed first.
    const main = drawer && innerWidth <= 640 ? drawer.querySelector(".close")
        : document.getElementById(mainButtons[document.body.dataset.callState]);
    if (!isSeen(main)) faults.push(`${name(main)} is not to be seen`);
    return faults;
}"""


FAULTS: Final = f"() => ({_FIND_FAULTS})({json.dumps(MAIN_BUTTONS)})"
"""JavaScript of a function that describes the faults in the looks of the page in its present state."""

_TEXTS: Final = {"connected": "notices", "idle": "previews", "error": "messages"}

WORD_FAULTS: Final = f"""async () => {{
    const texts = ({json.dumps(_TEXTS)})[document.body.dataset.callState];
    if (!texts) return [];
    const findFaults = {FAULTS};
    const {{ firstWords }} = await import("/static/shared/words.js");
    const words = await firstWords();
    ({_WAKE})();
    const put = (id, text) => {{
        const element = document.getElementById(id);
        element.hidden = text === "";
        element.textContent = text;
    }};
    const used = ["title", "hint", "action", "second-action", "notice", "status-text", "preview-text"];
    const before = used.map((id) => [id, document.getElementById(id).textContent]);
    const restore = () => before.forEach(([id, text]) => put(id, text));
    const found = [];
    const look = () => {{
        found.push(...findFaults().map((fault) => `${{document.body.innerText}}: ${{fault}}`));
    }};
    if (texts === "notices") {{
        const [, longest] = Object.values(words.quality).map((text) => [text.length, text]).sort().pop();
        for (const notice of Object.values(words.notice)) {{
            put("notice", notice);
            put("status-text", `${{longest}} · 10:20:30`);
            look();
        }}
        restore();
        return found;
    }}
    if (texts === "previews") {{
        for (const preview of Object.values(words.preview)) {{
            put("preview-text", preview);
            look();
        }}
        restore();
        return found;
    }}
    for (const action of Object.values(words.action)) {{
        put("action", action);
        put("second-action", action);
        look();
    }}
    for (const [name, title] of Object.entries(words.title)) {{
        put("title", title);
        put("hint", words.hint[name] ?? "");
        look();
    }}
    for (const hint of Object.values(words.hint)) {{
        put("hint", hint);
        look();
    }}
    for (const reason of Object.values(words.ended)) {{
        put("hint", words.lasted({{ why: reason, time: "10:20:30" }}));
        look();
    }}
    restore();
    return found;
}}"""
"""The same for layout faults with each text that the page has for a state such as the present one.

It puts all that the page can say where it would say it, in one go, so that the page does not come in between: connected
its notices, before a call what stands in for one's own picture, and where it does not go on all its messages; in other
states nothing is looked at.
"""


def faults(page: Page, wrong: str = "") -> Sequence[str]:
    """The faults in the looks of the page in its present state.

    :param wrong: JavaScript that is run just before, so that nothing of the page's comes in between.
    """
    found: Sequence[str] = page.evaluate(f"async () => {{ {UNTIL_SEEN} ({_WAKE})(); {wrong}; return ({FAULTS})(); }}")
    return found


def settle(page: Page) -> None:
    """Wait until a page has painted its state, and everything that fades or moves in it has come to rest."""
    page.evaluate(_PAINTED_AND_AT_REST)
    for frame in page.main_frame.child_frames:
        try:
            frame.evaluate(_AT_REST)
        except Error:
            if not frame.is_detached():  # else it was taken out of the page meanwhile
                raise


def look(page: Page, *checks: str, of: str = "") -> list[Any]:
    """Look at a page that has settled, while a hand moves over it. Returns all that the checks find.

    :param checks: JavaScript of functions that return lists.
    :param of: the selector of a part that is to be in view.
    """
    if page.main_frame.child_frames:
        settle(page)
    found: list[Any] = page.evaluate(_LOOK % ", ".join(checks), of)
    return found
