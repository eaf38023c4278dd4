/**
 * Making elements, and putting what changes on the page without taking the focus or a press from anybody.
 */

import { isPressed } from "./presses.js";

const SVG = "http://www.w3.org/2000/svg";
/** Milliseconds between two looks whether a press is over. */
const LOOK_EVERY = 50;

/**
 * Make an element.
 * @param {string} name
 * @param {object} properties `class`, `data-…`, `aria-…` and other attributes; `on…`: what to do at an event;
 *   true and false: whether an attribute is there
 * @param {...(Node | string)} children
 */
export function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else if (value === true) element.setAttribute(key, "");
    else if (value !== false) element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** A picture of the page's symbols. */
export function icon(name) {
  const svg = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** Let OK open a choice, where only arrows and OK are at hand. */
export function openByEnter(select) {
  select.addEventListener("keydown", ({ key }) => {
    if (key === "Enter") select.showPicker?.();
  });
}

const shown = new WeakMap();
/** Timers of what is to be filled when a press is over, by element. */
const waiting = new WeakMap();

/** What is known by this `data-key`, or null. */
function find(key, within) {
  return Array.from(within.querySelectorAll("[data-key]")).find((element) => element.dataset.key === key) ?? null;
}

/** Let what is known by this `data-key` have the focus, if it is there. */
export function focusOn(key) {
  find(key, document)?.focus();
}

/**
 * Fill an element with what `build` makes of `content`, if that is something else than before. What had the focus
 * is known again by its `data-key`, and what was typed stays. It waits while something there is pressed.
 */
export function fill(container, content, build) {
  clearTimeout(waiting.get(container));
  const text = JSON.stringify(content);
  if (shown.get(container) === text) return;
  if (isPressed(container)) {
    waiting.set(container, setTimeout(() => fill(container, content, build), LOOK_EVERY));
    return;
  }
  const focused = document.activeElement;
  const hadFocus = container.contains(focused);
  const typed = Array.from(container.querySelectorAll("input")).filter((one) => one.value !== one.defaultValue);
  const made = build(content);
  shown.set(container, text); // now: what could not be built is tried again
  container.textContent = "";
  container.append(...made);
  for (const { dataset, value } of typed) {
    const again = find(dataset.key, container);
    if (again !== null) again.value = value;
  }
  if (!hadFocus) return;
  const next = find(focused.dataset.key, container) ?? container.querySelector("button");
  (next ?? container.closest("[tabindex]"))?.focus();
}

/** Put a text there; an empty one is not shown at all. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
  element.hidden = text === "";
}
