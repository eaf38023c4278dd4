/**
 * Letting another device in, in the settings: the letters that it shows, the question, and its name.
 *
 * A link with the letters, as in the QR code of that device, opens this by itself.
 */

import { ERROR } from "../client/account.js";
import { locale } from "../shared/format.js";
import { put } from "../shared/elements.js";
import { sentenceOf } from "./sentences.js";

const LINK = /^#pair=([\w-]{1,32})$/;
/** The answer to a phone that has enough devices (callnet/storage/enrolling.py): its errorCode has other reasons, too. */
const FULL = "the phone has the maximum number of devices created by logins";
/** The longest name of a device, in characters. */
const LONGEST = 50;

export class LettingIn {
  #elements;
  #phone;
  #changed;
  /** The letters of the link that has opened the page, until they are asked about; else null. */
  #linked = null;
  /** The letters of the last link that was asked about by itself: each costs a try. */
  #asked = null;
  /** Whether an answer is awaited. */
  #isBusy = false;
  /** Whether the letters can be typed. */
  #isOpen = false;
  /** The device that waits, with the letters that it shows; null: none. */
  #found = null;

  /**
   * @param {Object<string, HTMLElement>} elements of the page, by id
   * @param {import("./phone.js").Phone} phone
   * @param {() => void} changed something else is to be shown
   */
  constructor(elements, phone, changed) {
    this.#elements = elements;
    this.#phone = phone;
    this.#changed = changed;
    this._wire();
    this._readLink();
  }

  /** Whether a link has opened the page that is to be asked about now, if somebody is logged in. */
  get isLinked() {
    return this.#linked !== null && !this.#isBusy;
  }

  /** Ask about it. */
  askLinked() {
    const code = this.#linked;
    this.#linked = null;
    if (lettersOf(code) === this.#found?.code) return;
    this._open(true);
    this.#elements["let-in-code"].value = code;
    if (code === this.#asked) return;
    this.#asked = code;
    this._find();
  }

  /** Show it in these words. */
  show({ pairing }) {
    if (this.#phone.device === null) this.#isOpen = false;
    if (!this.#isOpen) this.#found = null;
    const found = this.#found;
    this.#elements["let-in"].setAttribute("aria-expanded", String(this.#isOpen));
    this.#elements["let-in-form"].hidden = !this.#isOpen || found !== null;
    this.#elements["let-in-ask"].hidden = found === null;
    if (found === null) return;
    const name = found.name || pairing.unnamed;
    put(this.#elements["let-in-question"], pairing.question({ name }));
    put(this.#elements["let-in-warning"], pairing.warning({ code: found.code }));
    put(this.#elements["let-in-since"], pairing.since({ time: ago(found.foundAt - found.age * 1_000) }));
    this.#elements["let-in-name"].placeholder = name;
  }

  _wire() {
    const on = (id, kind, handle) =>
      this.#elements[id].addEventListener(kind, (event) => {
        event.preventDefault();
        handle();
      });
    on("let-in", "click", () => this._open(!this.#isOpen));
    on("let-in-cancel", "click", () => this._open(false));
    on("let-in-form", "submit", () => this._find());
    on("let-in-ask", "submit", () => this._accept());
    on("let-in-refuse", "click", () => this._refuse());
    window.addEventListener("hashchange", () => {
      this._readLink();
      this.#changed();
    });
  }

  _readLink() {
    const [, code = null] = LINK.exec(location.hash) ?? [];
    if (code === null) return;
    this.#linked = code;
    history.replaceState(history.state, "", location.pathname + location.search); // a reload does not ask again
  }

  _open(isOpen) {
    this.#isOpen = isOpen;
    this.#found = null;
    this.#elements["let-in-code"].value = "";
    this.#changed();
    this.#elements[isOpen ? "let-in-code" : "let-in"].focus();
  }

  async _find() {
    const code = this.#elements["let-in-code"].value.trim();
    const found = await this._try(({ pairing }) => pairing.denied, (account) => account.waitingDevice(code));
    if (found === null || !this.#isOpen) return;
    this.#found = { ...found, code: lettersOf(code), foundAt: Date.now() };
    this.#elements["let-in-name"].value = found.name;
    this.#changed();
    // Not a button: who types on means the letters.
    this.#elements["let-in-ask"].focus();
    this.#elements["let-in-ask"].scrollIntoView({ block: "nearest" });
  }

  async _accept() {
    const { pairing_id: id } = this.#found;
    const field = this.#elements["let-in-name"];
    const name = field.value.trim() || field.placeholder;
    const deviceId = unusedName(name, this.#phone.devices ?? []);
    const accept = (account) => account.acceptPairing(id, deviceId).then(() => true);
    const denied = ({ pairing, error }, { message }) => (message === FULL ? pairing.full : error.device);
    if ((await this._try(denied, accept)) === null) return;
    this._open(false);
    this.#phone.say(({ pairing }) => pairing.accepted({ name: deviceId }));
    this.#phone.topics.read(["devices"]);
  }

  async _refuse() {
    const { pairing_id: id, name } = this.#found;
    const refuse = (account) => account.refusePairing(id).then(() => true);
    if ((await this._try(({ pairing }) => pairing.denied, refuse)) === null) return;
    this._open(false);
    this.#phone.say(({ pairing }) => pairing.declined({ name: name || pairing.unnamed }));
  }

  /**
   * Ask the account for something; null: it failed, and that was said, or something else is asked already.
   * @param {function} denied the sentence if the account may not do it, of the words and the error
   */
  async _try(denied, work) {
    if (this.#isBusy) return null;
    this.#isBusy = true;
    const { account } = this.#phone;
    try {
      return await work(account);
    } catch (error) {
      this.#isBusy = false; // a link that came meanwhile is asked about as soon as this is said
      const own = { [ERROR.DEVICE]: (words) => denied(words, error), [ERROR.CODE]: ({ pairing }) => pairing.wrong }[error.code];
      if (account === this.#phone.account) this.#phone.say(own ?? sentenceOf(error));
      return null;
    } finally {
      this.#isBusy = false;
    }
  }
}

/** The letters as the other device shows them, however they were typed. */
function lettersOf(text) {
  const letters = text.normalize("NFKC").toUpperCase().replace(/[^A-Z]/g, "");
  return `${letters.slice(0, 4)}\u2011${letters.slice(4)}`; // which breaks no line
}

/** A name that none of these devices has, as like this one as can be. */
function unusedName(name, devices) {
  const taken = devices.map(({ device_id: id }) => id);
  const cut = (length) => Array.from(name).slice(0, length).join("");
  for (let number = 2, next = cut(LONGEST); ; number += 1) {
    if (!taken.includes(next)) return next;
    next = `${cut(LONGEST - 4)} ${number}`;
  }
}

/** How long ago something was, in words; milliseconds as of Date.now(). */
function ago(time) {
  const minutes = Math.floor((Date.now() - time) / 60_000);
  return new Intl.RelativeTimeFormat(locale(), { numeric: "auto" }).format(-minutes, "minute");
}
