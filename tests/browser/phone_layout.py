"""Checks phone and guest page as an eye would: all is whole, in view or scrollable to, and nothing covers the main
parts.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Final

from playwright.sync_api import Page

from tests.browser.layout import UNTIL_SEEN

MAIN_BUTTONS: Final = {
    "login": "login-submit",
    "pairing": "pairing-back",
    "home": "to-contacts",
    "kiosk": "kiosk-lock",
    "ringing": "accept",
    "calling": "cancel",
    "call": "call-page",  # whose own button hangs up
    "elsewhere": "here",
    "starting": "starting-hint",
    "incomplete": "incomplete-title",
    "door": "ring-now",
    "over": "again",
}
"""The button that matters most in each scene."""

_FIND_FAULTS: Final = """(mainButtons) => {
    const faults = [];
    const name = (element) => element.id ? `#${element.id}` : `${element.tagName.toLowerCase()}.${element.className}`;
    const isSeen = (element) => element.checkVisibility({ opacityProperty: true, visibilityProperty: true })
        && element.getBoundingClientRect().width > 0;
    const isWider = (inner, outer) => inner.left < outer.left - 1 || inner.right > outer.right + 1;
    const isHigher = (inner, outer) => inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
    const screen = { left: 0, top: 0, right: innerWidth, bottom: innerHeight };
    const longestWord = 12; // a longer one may not fit; names are what they are

    const root = document.documentElement;
    if (root.scrollWidth > innerWidth || root.scrollHeight > innerHeight) faults.push("the page scrolls");

    const isText = (node) => node.nodeType === Node.TEXT_NODE && node.data.trim() !== "";
    const hasText = (element) => Array.prototype.some.call(element.childNodes, isText);
    const known = new Map([[null, []]]);
    const framesAround = (element) => {
        const outer = element.parentElement;
        if (!known.has(outer)) {
            const { overflowY } = getComputedStyle(outer);
            const canScroll = overflowY === "auto" && outer.scrollHeight > outer.clientHeight;
            const frames = framesAround(outer);
            const own = { outer, around: outer.getBoundingClientRect(), canScroll };
            known.set(outer, overflowY === "visible" ? frames : [own, ...frames]);
        }
        return known.get(outer);
    };
    const brokenWords = function* (element) {
        if (element.matches("bdi, [dir=auto]")) return;
        const range = document.createRange();
        for (const node of Array.from(element.childNodes).filter(isText)) {
            for (const { 0: word, index } of node.data.matchAll(/[\\p{L}\\p{M}\\u00ad]+/gu)) {
                if (word.length > longestWord || /[\\u00ad\\u3040-\\u9fff\\uac00-\\ud7a3]/.test(word)) continue;
                range.setStart(node, index);
                range.setEnd(node, index + word.length);
                const tops = Array.from(range.getClientRects(), ({ top }) => top);
                if (Math.max(...tops) - Math.min(...tops) > 4) yield word;
            }
        }
    };
    const elements = Array.from(document.querySelectorAll("#stage :not(.aloud)"))
        .filter((element) => hasText(element) || element.matches("button, input, select, .disc, .emblem, .face"))
        .filter(isSeen);
    for (const element of elements) {
        for (const word of brokenWords(element)) faults.push(`${name(element)} breaks ${word}`);
        const isCutOnPurpose = getComputedStyle(element).textOverflow === "ellipsis";
        const range = document.createRange();
        range.selectNodeContents(element);
        const boxes = [element.getBoundingClientRect()];
        if (hasText(element) && !isCutOnPurpose) boxes.push(range.getBoundingClientRect());
        for (const box of boxes) {
            let scrolls = false;
            for (const { outer, around, canScroll } of framesAround(element)) {
                if (isWider(box, around) || (!canScroll && !scrolls && isHigher(box, around))) {
                    faults.push(`${name(element)} is cut by ${name(outer)}`);
                }
                scrolls = scrolls || canScroll;
            }
            if (isWider(box, screen) || (!scrolls && isHigher(box, screen))) {
                faults.push(`${name(element)} leaves the screen`);
            }
        }
        if (hasText(element) && !isCutOnPurpose && getComputedStyle(element).display !== "inline"
            && (element.scrollWidth > element.clientWidth + 1 || element.scrollHeight > element.clientHeight + 1)) {
            faults.push(`the text of ${name(element)} does not fit`);
        }
    }

    const parts = ["#self", "#menu", "#notice", ".panel:not([hidden])", "#ring .message", "#ring .answers", "#call-bar",
        "#call-page", "#kiosk-top", "#kiosk-main", "#pin"];
    const seen = parts.map((part) => document.querySelector(part)).filter((part) => part !== null && isSeen(part))
        .map((part) => [name(part), part.getBoundingClientRect()]);
    for (const [i, [one, a]] of seen.entries()) {
        for (const [other, b] of seen.slice(i + 1)) {
            const isApart = a.right <= b.left + 1 || b.right <= a.left + 1
                || a.bottom <= b.top + 1 || b.bottom <= a.top + 1;
            if (!isApart) faults.push(`${one} and ${other} overlap`);
        }
    }

    const mainButton = mainButtons[document.body.dataset.scene];
    const main = document.getElementById(mainButton);
    main.scrollIntoView({ block: "nearest" });
    const box = main.getBoundingClientRect();
    if (!isSeen(main)) faults.push(`#${mainButton} is not to be seen`);
    else if (!main.contains(document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2))) {
        faults.push(`#${mainButton} is covered`);
    }
    return faults;
}"""

FAULTS: Final = f"() => ({_FIND_FAULTS})({json.dumps(MAIN_BUTTONS)})"
"""JavaScript of a function that describes the faults in the looks of the phone as it is just now."""

WORD_FAULTS: Final = f"""async () => {{
    const findFaults = {FAULTS};
    const {{ firstWords, said }} = await import("/static/shared/words.js");
    const words = await firstWords();
    const name = "Alexandra Konstantinopoulou-Wassiljewa 王小明";
    const {{ own, outgoing, incoming, active }} = words.over;
    const ends = [own, outgoing, incoming, active].flatMap(Object.values)
        .map((reason) => words.lasted({{ why: said(reason, {{ name }}), time: "10:20:30" }}));
    const errors = [words.error, words.phone_rules].flatMap(Object.values)
        .map((error) => said(error, {{ count: 3600 }}));
    const place = document.body.dataset.scene === "home" ? "notice-text" : "login-problem";
    const element = document.getElementById(place);
    const before = element.textContent;
    const faults = [];
    for (const text of place === "notice-text" ? [...errors, ...ends] : errors) {{
        for (let outer = element; outer; outer = outer.parentElement) outer.hidden = false;
        element.textContent = text;
        faults.push(...findFaults().map((fault) => `${{text}}: ${{fault}}`));
    }}
    element.textContent = before;
    return faults;
}}"""
"""The same for layout faults with each sentence that the phone has for a scene such as the present one.

It must be the home with a notice, or the form to log in, and all is put there in one go, so that the page does not come
in between.
"""

END_FAULTS: Final = f"""async () => {{
    const findFaults = {FAULTS};
    const {{ firstWords, said }} = await import("/static/shared/words.js");
    const {{ over, lasted }} = await firstWords();
    const elements = ["over-title", "over-hint"].map((id) => document.getElementById(id));
    const put = (...texts) => elements.forEach((element, i) => {{ element.textContent = texts[i]; }});
    const before = elements.map((element) => element.textContent);
    const faults = [];
    for (const {{ title, hint = "" }} of Object.values(over)) {{
        put(title, `${{said(hint, {{ count: 3600 }})}} ${{lasted({{ time: "10:20:30" }})}}`);
        faults.push(...findFaults().map((fault) => `${{title}}: ${{fault}}`));
    }}
    put(...before);
    return faults;
}}"""
"""The same for each end that the call of a guest may have. The page must show one."""


def faults(page: Page, wrong: str = "") -> Sequence[str]:
    """The faults in the looks of the phone as it is just now.

    :param wrong: JavaScript that is run just before, so that nothing of the page's comes in between.
    """
    found: Sequence[str] = page.evaluate(f"async () => {{ {UNTIL_SEEN} {wrong}; return ({FAULTS})(); }}")
    return found
