/**
 * The PIN that ends a kiosk: keys for fingers, for the arrows and OK of a remote control, and for a keyboard.
 */

import { ERROR } from "../client/account.js";
import { duration } from "../shared/format.js";
import { el, fill, icon, put } from "../shared/elements.js";
import { sentenceOf } from "./sentences.js";

/** How many digits a PIN has. */
export const PIN_LENGTH = { least: 4, most: 8 };
/** Nobody is there any more after so many milliseconds. */
const CLOSED_AFTER = 60_000;
const BACK = ["Escape", "GoBack", "BrowserBack"];

export class PinPad {
  #elements;
  #unlock;
  #closed;
  #words = null;
  #problem = null;
  #touchedAt = 0;
  #isBusy = false;

  /**
   * @param {Object<string, HTMLElement>} elements of the page, by id
   * @param {(pin: string) => Promise<void>} unlock throws an AccountError
   * @param {(isForgotten: boolean) => void} closed it was closed, by somebody or because nobody touched it
   */
  constructor(elements, unlock, closed) {
    this.#elements = elements;
    this.#unlock = unlock;
    this.#closed = closed;
    const { pin, "pin-digits": digits, "pin-back": back } = elements;
    pin.addEventListener("submit", (event) => {
      event.preventDefault();
      this._submit();
    });
    pin.addEventListener("keydown", (event) => this._pressed(event));
    pin.addEventListener("focusin", () => this._touch());
    digits.addEventListener("input", () => this._set(digits.value));
    back.addEventListener("click", () => this.close(false));
  }

  get isOpen() {
    return !this.#elements.pin.hidden;
  }

  open() {
    this.#elements.pin.hidden = false;
    this.#problem = null;
    this._set("");
    this.#elements.pin.querySelector("[data-digit]").focus();
  }

  /** @param {boolean} isForgotten nobody has touched it for long */
  close(isForgotten) {
    if (!this.isOpen) return;
    this.#elements.pin.hidden = true;
    this._set("");
    this.#closed(isForgotten);
  }

  /** To be called every second, too. */
  show(words) {
    this.#words = words;
    const { "pin-keys": keys, "pin-problem": problem, "pin-digits": digits } = this.#elements;
    fill(keys, words.lang, () => this._keys(words));
    put(problem, this.#problem?.(words) ?? "");
    digits.setAttribute("aria-invalid", String(this.#problem !== null));
    if (this.isOpen && performance.now() - this.#touchedAt > CLOSED_AFTER) this.close(true);
  }

  _keys({ kiosk }) {
    const key = (properties, content) => el("button", { type: "button", class: "plain", ...properties }, content);
    const digit = (text) => key({ "data-digit": text, onclick: () => this._add(text) }, text);
    const erase = key({ "aria-label": kiosk.delete, onclick: () => this._add("") }, icon("erase"));
    return [...Array.from("123456789", digit), erase, digit("0"), key({ type: "submit", class: "main" }, "OK")];
  }

  _pressed(event) {
    const { key, target } = event;
    this._touch();
    if (BACK.includes(key)) {
      event.preventDefault();
      this.close(false);
    } else if (target !== this.#elements["pin-digits"] && (/^\d$/.test(key) || key === "Backspace")) {
      event.preventDefault();
      this._add(key === "Backspace" ? "" : key);
      this.#elements["pin-digits"].focus(); // where Enter sends it
    }
  }

  _touch() {
    this.#touchedAt = performance.now();
  }

  _add(digit) {
    const { value } = this.#elements["pin-digits"];
    this._set(digit === "" ? value.slice(0, -1) : value + digit);
  }

  _set(text) {
    this._touch();
    this.#elements["pin-digits"].value = text.replace(/\D/g, "").slice(0, PIN_LENGTH.most);
  }

  async _submit() {
    const pin = this.#elements["pin-digits"].value;
    if (this.#isBusy) return;
    if (pin.length < PIN_LENGTH.least) {
      this._say(({ devices }) => devices.pin_needed);
      return;
    }
    this.#isBusy = true;
    try {
      await this.#unlock(pin);
      this.close(false);
    } catch (error) {
      this._set("");
      this._say(problemOf(error));
    }
    this.#isBusy = false;
  }

  _say(problem) {
    this.#problem = problem;
    this.show(this.#words);
  }
}

function problemOf(error) {
  if (error.code === ERROR.CODE) return ({ kiosk }) => kiosk.wrong;
  if (error.code !== ERROR.RATE_LIMITED) return sentenceOf(error);
  const until = Date.now() + 1_000 * (error.retryAfter ?? 60);
  return ({ kiosk }) => (until > Date.now() ? kiosk.wait({ time: duration(until - Date.now()) }) : "");
}
