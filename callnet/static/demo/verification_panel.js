/**
 * The button and the panel with the code that the two people compare (verification.js, docs/verification.md).
 */

import { EMOJI } from "./emoji.js";

export class VerificationPanel {
  #words;
  #isChinese;
  #button = document.getElementById("verify");
  #panel = document.getElementById("verification");
  #call = null;
  #run = null;
  /** Whether the person has looked at the code of this run, and whether at one of this call before. */
  #isSeen = false;
  #wasSeen = false;
  #state = "";

  constructor({ lang, words }) {
    this.#words = words.verification;
    this.#isChinese = lang === "zh-CN";
    const close = document.getElementById("verification-close");
    put("verify-label", this.#words.button);
    close.setAttribute("aria-label", this.#words.close);
    this.#button.addEventListener("click", () => this._open(this.#panel.hidden));
    close.addEventListener("click", () => this._close());
    document.addEventListener("keydown", ({ key }) => {
      if (key === "Escape" && !this.#panel.hidden) this._close();
    });
  }

  /** @param {import("./call.js").Call | null} call */
  show(call) {
    const run = call !== null && call.flowedAt !== null ? call.verification : null;
    if (call !== this.#call) this.#wasSeen = this.#isSeen = false;
    if (run !== this.#run) {
      this.#wasSeen = this.#wasSeen || this.#isSeen;
      this.#isSeen = false;
      this.#state = "";
    }
    this.#call = call;
    this.#run = run;
    this.#button.hidden = run === null;
    if (run === null) this._open(false);
    else this._showRun(run);
  }

  _showRun({ state, code }) {
    if (state !== this.#state) {
      this.#state = state;
      this._showCode(code ?? []);
      // A warning does not wait until somebody asks for it.
      if (state === "broken") this._open(true);
    }
    if (state === "shown" && !this.#panel.hidden) this.#isSeen = true;
    const isNew = state === "shown" && this.#wasSeen;
    put("verification-text", isNew ? `${this.#words.again} ${this.#words.shown}` : this.#words[state]);
    put("verification-title", state === "broken" ? this.#words.warning : this.#words.title);
    this.#panel.classList.toggle("broken", state === "broken");
    this.#button.classList.toggle("broken", state === "broken");
    this.#button.classList.toggle("news", isNew && !this.#isSeen);
    document.getElementById("verify-icon").setAttribute("href", state === "broken" ? "#i-alert" : "#i-shield");
  }

  _showCode(code) {
    const list = document.getElementById("verification-code");
    list.hidden = code.length === 0;
    list.textContent = "";
    for (const [sign, english, chinese] of code.map((number) => EMOJI[number])) {
      const item = document.createElement("li");
      item.append(textIn("sign", sign), textIn("name", this.#isChinese ? chinese : english));
      item.firstChild.setAttribute("aria-hidden", "true");
      list.append(item);
    }
  }

  _open(isOpen) {
    this.#panel.hidden = !isOpen;
    this.#button.setAttribute("aria-expanded", String(isOpen));
    if (isOpen && this.#run !== null) this._showRun(this.#run);
  }

  _close() {
    this._open(false);
    this.#button.focus();
  }
}

function textIn(className, text) {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = text;
  return element;
}

// What is the same already is not said again by a screen reader.
function put(id, text) {
  const element = document.getElementById(id);
  if (element.textContent !== text) element.textContent = text;
}
