/**
 * The code that the two people compare (verification.js, docs/verification.md).
 */

import { draw, elements, fill, put } from "./dom.js";
import { EMOJI } from "./emoji.js";

const NO_RUN = { state: "pending", code: null };
const BROKEN = { state: "broken", code: null };

export class VerificationPanel {
  #warn;
  #isOpen = false;
  #call = null;
  #run = null;
  /** Whether the person has looked at the code of this run, and whether at one of this call before. */
  #isSeen = false;
  #wasSeen = false;
  /** Whether a run of this call broke: the warning stays, since whoever is in between can have the pages begin another. */
  #wasBroken = false;
  /** What is drawn. */
  #state = "";
  #language = "";

  /** @param {function(): void} warn called when somebody may be in between: that does not wait until it is asked for */
  constructor(warn) {
    this.#warn = warn;
  }

  /** Tell whether the person sees it now. */
  look(isOpen) {
    this.#isOpen = isOpen;
  }

  show({ call }, words) {
    const run = call !== null && call.flowedAt !== null ? call.verification : null;
    if (call !== this.#call) this.#wasSeen = this.#isSeen = this.#wasBroken = false;
    if (run !== this.#run) {
      this.#wasSeen = this.#wasSeen || this.#isSeen;
      this.#isSeen = false;
      this.#state = "";
    }
    this.#call = call;
    this.#run = run;
    elements.verify.hidden = call === null || call.flowedAt === null;
    this.#wasBroken = this.#wasBroken || run?.state === "broken";
    this._showRun(this.#wasBroken ? BROKEN : (run ?? NO_RUN), words);
  }

  _showRun({ state, code }, { verification: texts, emojiNames, lang }) {
    const isBroken = state === "broken";
    const isNew = state === "shown" && this.#wasSeen;
    if (state === "shown" && this.#isOpen) this.#isSeen = true;
    put("verification-text", isNew ? `${texts.again} ${texts.shown}` : texts[state]);
    put("verification-title", isBroken ? texts.warning : texts.title);
    elements["verification-drawer"].classList.toggle("broken", isBroken);
    elements.verify.classList.toggle("broken", isBroken);
    for (const button of [elements.verify, elements.more]) button.classList.toggle("news", isNew && !this.#isSeen);
    draw("verify-icon", isBroken ? "alert" : "shield");
    this._drawCode(state, code ?? [], emojiNames, lang);
  }

  // What is the same already is not said again by a screen reader.
  _drawCode(state, code, names, language) {
    if (state === this.#state && language === this.#language) return;
    const isBrokenNow = state === "broken" && state !== this.#state;
    this.#state = state;
    this.#language = language;
    elements["verification-code"].hidden = code.length === 0;
    fill(elements["verification-code"], code.map((number) => signOf(EMOJI[number], names[number])));
    if (isBrokenNow) this.#warn();
  }
}

function signOf(sign, name) {
  const item = document.createElement("li");
  item.append(textIn("sign", sign), textIn("name", name));
  item.firstChild.setAttribute("aria-hidden", "true");
  return item;
}

function textIn(className, text) {
  const element = document.createElement("span");
  element.className = className;
  element.textContent = text;
  return element;
}
