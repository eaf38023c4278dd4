/**
 * What is opened beside a call: one drawer at a time. It has the focus while it is open, and gives it back.
 */

import { elements, focusable, isShown } from "./dom.js";

/** What a drawer has, and is not opened for. */
const ASIDE = ".close, [readonly], [role=log], #reactions";

export class Panels {
  #current = "";
  #opener = null;
  #changed;

  /** @param {function(string): void} changed called with the name of what is open now, "" for nothing */
  constructor(changed) {
    this.#changed = changed;
    for (const opener of document.querySelectorAll("[data-opens]")) {
      opener.addEventListener("click", () => this.toggle(opener.dataset.opens));
    }
    for (const button of document.querySelectorAll(".drawer .close")) {
      button.addEventListener("click", () => this.close());
    }
    // On a television and on a phone there is a way back, which is to lead back to the call.
    window.addEventListener("popstate", () => this.close());
  }

  /** The name of the drawer that is open, "" if none is. */
  get current() {
    return this.#current;
  }

  toggle(name) {
    if (this.#current === name) this.close();
    else this.open(name);
  }

  open(name) {
    if (this.#current === "") this.#opener = document.activeElement;
    this._show(name);
    if (!history.state?.isBeside) history.pushState({ isBeside: true }, "");
    const all = focusable(elements[`${name}-drawer`]);
    // Of a page that is out of view nothing can have it.
    (all.find((one) => !one.closest(ASIDE)) ?? all[0])?.focus();
  }

  close() {
    if (this.#current === "") return;
    this._show("");
    if (this.#opener !== null && isShown(this.#opener)) this.#opener.focus();
    this.#opener = null;
  }

  _show(name) {
    this.#current = name;
    for (const drawer of document.querySelectorAll(".drawer")) drawer.hidden = drawer.id !== `${name}-drawer`;
    for (const opener of document.querySelectorAll("[data-opens]")) {
      opener.setAttribute("aria-expanded", String(opener.dataset.opens === name));
    }
    document.body.classList.toggle("beside", name !== "");
    this.#changed(name);
  }
}
