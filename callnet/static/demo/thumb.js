/**
 * A small picture: whoever drags it leaves it in the nearest corner of the view, whoever taps it wants it large.
 */

import { browser } from "../shared/memory.js";
import { elements } from "./dom.js";

/** Pixels that a finger may move while it taps. */
const STILL = 8;
const SETTLE_WITHIN = 180;
const CORNERS = ["top-right", "top-left", "bottom-right", "bottom-left"];

/** Put the small pictures where they were left. */
export function restoreCorner() {
  const kept = browser.get("corner");
  const usual = document.documentElement.dir === "rtl" ? "top-left" : "top-right";
  elements.view.dataset.corner = CORNERS.includes(kept) ? kept : usual;
}

/** Let an element be dragged and tapped while it has the class `thumb`. */
export function movable(element, tapped) {
  let from = null;

  element.addEventListener("pointerdown", (event) => {
    if (!element.matches(".thumb") || event.button !== 0 || event.target.closest("button")) return;
    element.setPointerCapture(event.pointerId);
    from = { x: event.clientX, y: event.clientY };
  });
  element.addEventListener("pointermove", ({ clientX, clientY }) => {
    if (from === null) return;
    const [x, y] = [clientX - from.x, clientY - from.y];
    if (Math.hypot(x, y) < STILL && !element.matches(".dragged")) return;
    element.classList.add("dragged");
    element.style.transform = `translate(${x}px, ${y}px)`;
  });
  element.addEventListener("pointerup", () => {
    if (from === null) return;
    if (element.matches(".dragged")) settle(element);
    else tapped();
    from = null;
  });
  element.addEventListener("pointercancel", () => {
    from = null;
    drop(element);
  });
}

function settle(element) {
  const before = element.getBoundingClientRect();
  const view = elements.view.getBoundingClientRect();
  const isLeft = before.left + before.width / 2 < view.left + view.width / 2;
  const isHigh = before.top + before.height / 2 < view.top + view.height / 2;
  const corner = `${isHigh ? "top" : "bottom"}-${isLeft ? "left" : "right"}`;
  elements.view.dataset.corner = corner;
  browser.set("corner", corner);
  drop(element);
  if (matchMedia("(prefers-reduced-motion: reduce)").matches) return;
  const after = element.getBoundingClientRect();
  const start = `translate(${before.left - after.left}px, ${before.top - after.top}px)`;
  element.animate([{ transform: start }, { transform: "none" }], { duration: SETTLE_WITHIN, easing: "ease-out" });
}

function drop(element) {
  element.classList.remove("dragged");
  element.style.transform = "";
}
