/**
 * The keyboard and the remote control. Of the latter only arrows, OK and Back are certain.
 */

import { elements, focusable } from "./dom.js";

const STEPS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };
const ACROSS = new Set(["ArrowLeft", "ArrowRight"]);
/** What browsers of televisions call their key. */
const BACK = new Set(["Escape", "GoBack", "BrowserBack", "XF86Back"]);

/**
 * @param {import("./view.js").View} view
 * @param {import("./panels.js").Panels} panels
 * @param {Object<string, function(): void>} shortcuts what single letters do while nobody types
 */
export function navigate(view, panels, shortcuts) {
  document.addEventListener("keydown", (event) => {
    if (event.isComposing || event.ctrlKey || event.altKey || event.metaKey) return;
    if (BACK.has(event.key)) {
      if (panels.current === "") return;
      event.preventDefault();
      panels.close();
    } else if (event.key in STEPS || event.key === "Enter") {
      step(event, view, panels);
    } else if (!event.repeat && !isTyping(event.target) && event.key.toLowerCase() in shortcuts) {
      shortcuts[event.key.toLowerCase()]();
    }
  });
}

function step(event, view, panels) {
  const scope = panels.current === "" ? document.body : elements[`${panels.current}-drawer`];
  const all = focusable(scope);
  const index = all.indexOf(document.activeElement);
  if (index === -1) {
    event.preventDefault();
    (panels.current === "" ? view.mainControl() : all[0])?.focus();
  } else if (event.key in STEPS && !isNeeded(all[index], event.key)) {
    event.preventDefault();
    all[index + stepOf(event.key)]?.focus();
  }
}

// The buttons stand in the direction in which one reads.
function stepOf(key) {
  const isMirrored = ACROSS.has(key) && document.documentElement.dir === "rtl";
  return isMirrored ? -STEPS[key] : STEPS[key];
}

function isTyping(element) {
  return element.matches("input, select, textarea");
}

/** Whether the element itself makes use of an arrow: to move in a text, to choose, to scroll. */
function isNeeded(element, key) {
  const isUp = key === "ArrowUp";
  if (ACROSS.has(key)) return isTyping(element);
  if (element.matches("textarea")) return element.selectionStart !== (isUp ? 0 : element.value.length);
  if (element.matches("[role=log]")) {
    return isUp ? element.scrollTop > 0 : element.scrollTop + element.clientHeight < element.scrollHeight - 1;
  }
  return false;
}
