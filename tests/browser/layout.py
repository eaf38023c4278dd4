"""Looks at a page as an eye would: everything is to be in view, whole, and free of what lies over it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from playwright.sync_api import Page

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

_FIND_FAULTS: Final = """(mainButton) => {
    const faults = [];
    const name = (element) => element.id ? `#${element.id}` : `${element.tagName.toLowerCase()}.${element.className}`;
    const isSeen = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true })
        && element.getBoundingClientRect().width > 0;
    const exceeds = (inner, outer) => inner.left < outer.left - 1 || inner.top < outer.top - 1
        || inner.right > outer.right + 1 || inner.bottom > outer.bottom + 1;
    const screen = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };

    const root = document.documentElement;
    if (root.scrollWidth > innerWidth || root.scrollHeight > innerHeight) faults.push("the page scrolls");

    const hasText = (element) => Array.from(element.childNodes)
        .some((node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "");
    const elements = Array.from(document.querySelectorAll("#stage *"))
        .filter((element) => isSeen(element) && (hasText(element) || element.matches("button, input, .disc, .emblem")));
    for (const element of elements) {
        const range = document.createRange();
        range.selectNodeContents(element);
        const boxes = [element.getBoundingClientRect()];
        if (hasText(element)) boxes.push(range.getBoundingClientRect());
        for (const box of boxes) {
            if (exceeds(box, screen)) faults.push(`${name(element)} leaves the screen`);
            for (let outer = element.parentElement; outer; outer = outer.parentElement) {
                if (getComputedStyle(outer).overflow === "visible") continue;
                if (!exceeds(box, outer.getBoundingClientRect())) continue;
                faults.push(`${name(element)} is cut by ${name(outer)}`);
            }
        }
        if (hasText(element) && getComputedStyle(element).display !== "inline"
            && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1)) {
            faults.push(`the text of ${name(element)} does not fit`);
        }
    }

    const parts = Array.from(document.querySelectorAll("#panel, #controls, #status, #notice, #verification"));
    const self = document.querySelector("#self");
    if (["connected", "reconnecting"].includes(document.body.dataset.callState)) parts.push(self);
    const seen = parts.filter(isSeen).map((part) => [name(part), part.getBoundingClientRect()]);
    for (const [i, [one, a]] of seen.entries()) {
        for (const [other, b] of seen.slice(i + 1)) {
            const isApart = a.right <= b.left || b.right <= a.left || a.bottom <= b.top || b.bottom <= a.top;
            if (!isApart) faults.push(`${one} and ${other} overlap`);
        }
    }

    const main = document.getElementById(mainButton);
    const box = main.getBoundingClientRect();
    if (!isSeen(main)) faults.push(`#${mainButton} is not to be seen`);
    else if (!main.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2))) {
        faults.push(`#${mainButton} is covered`);
    }
    return faults;
}"""


_FIND_WORD_FAULTS: Final = f"""async ([mainButton, texts]) => {{
    const findFaults = {_FIND_FAULTS};
    const {{ wordsFor }} = await import("/static/demo/words.js");
    const {{ words }} = wordsFor(navigator.language);
    const put = (id, text) => {{
        const element = document.getElementById(id);
        element.hidden = text === "";
        element.textContent = text;
    }};
    const used = ["title", "hint", "action", "second-action", "notice", "status-text"];
    const before = used.map((id) => [id, document.getElementById(id).textContent]);
    const restore = () => before.forEach(([id, text]) => put(id, text));
    const found = [];
    const look = () => found.push(...findFaults(mainButton).map((fault) => `${{document.body.innerText}}: ${{fault}}`));
    if (texts === "notices") {{
        for (const notice of Object.values(words.notice)) {{
            put("notice", notice);
            put("status-text", `${{words.title.connected}} · 10:20:30`);
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
        put("hint", `${{reason}}${{words.lasted("10:20:30")}}`);
        look();
    }}
    restore();
    return found;
}}"""
"""Puts all that the page can say where it would say it, in one go, so that the page does not come in between."""


def faults(page: Page) -> Sequence[str]:
    """What is wrong with how the page looks in its present state."""
    found: Sequence[str] = page.evaluate(_FIND_FAULTS, MAIN_BUTTONS[_state(page)])
    return found


def word_faults(page: Page) -> Sequence[str]:
    """What would be wrong with any words that the page has for a state such as the present one.

    The page must be connected (then these are its notices) or have buttons to go on (all its messages).
    """
    state = _state(page)
    texts = "notices" if state == "connected" else "messages"
    found: Sequence[str] = page.evaluate(_FIND_WORD_FAULTS, [MAIN_BUTTONS[state], texts])
    return found


def _state(page: Page) -> str:
    return page.get_attribute("body", "data-call-state") or ""
