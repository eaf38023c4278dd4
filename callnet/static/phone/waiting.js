/**
 * Being let in by another device of one's phone: letters and a QR code to show, new ones whenever they are too old.
 *
 * A tab that is loaded again waits on: another device may let it in, or have done so, in this very moment.
 */

import { ERROR } from "../client/account.js";
import { Pairing } from "../client/pairing.js";
import { duration } from "../shared/format.js";
import { drawCode } from "../shared/link.js";
import { tab } from "../shared/memory.js";
import { nameFrom } from "./device_name.js";
import { put } from "../shared/elements.js";
import { beginScene } from "../shared/presses.js";
import * as identity from "./identity.js";
import { sentenceOf } from "./sentences.js";

/** Seconds until it is tried again while there is no code to be had. */
const AGAIN = 5;

/** The link by which the operator makes a browser a device (`callnet account invite`). */
const INVITATION = /^#join=([\w-]{32})$/;
/** Seconds between two questions of an invited device: it is let in already. */
const INVITED_INTERVAL = 1;

/**
 * Have this tab wait, if such a link has opened it: it is let in as soon as it asks, and the person says yes. Until then it
 * stays the device that it is.
 * @param {() => boolean} isBusy whether there is a call, which a link does not end
 */
export function takeInvitation(isBusy) {
  window.addEventListener("hashchange", () => {
    if (INVITATION.test(location.hash) && !isBusy()) location.reload();
  });
  const [, secret = null] = INVITATION.exec(location.hash) ?? [];
  if (secret === null) return;
  tab.set("pairing", { secret, userCode: "", expiresAt: 0, interval: INVITED_INTERVAL });
  if (!Waiting.isKept) return; // a browser that keeps nothing: the link can be copied to another one
  history.replaceState(history.state, "", location.pathname + location.search);
}

/** This tab, as it waits. */
export class Waiting {
  #changed;
  #isClosed = false;

  /** The Pairing that is shown; null: there is none, and `problem` may say why. */
  pairing = null;
  /** A sentence (sentences.js), or null. */
  problem = null;
  isRefused = false;
  /** Whether a link was to let it in that is of no use: it was used, it is too old, or its device was removed. */
  isSpent = false;
  /** The phone of which this tab is to become a device, by a link: the person is asked; null: nothing is to be asked. */
  asked = null;
  /** Agree to that. */
  agree = () => {};

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
  }

  /** Whether this tab waited before it was loaded again. */
  static get isKept() {
    return tab.get("pairing") !== null;
  }

  /** Wait. @returns {Promise<import("../client/index.js").Account | null>} logged in; null: nothing came of it */
  async account() {
    while (!this.#isClosed && !this.isRefused && !this.isSpent) {
      try {
        const pairing = await this._begin();
        this._tell(pairing, null);
        if (this.#isClosed) pairing.close();
        else tab.set("pairing", pairing.begun);
        const account = await pairing.finished();
        if (account !== null) tab.set("pairing", null);
        return account;
      } catch (error) {
        const isOver = [ERROR.DEVICE, ERROR.CODE].includes(error.code);
        if (isOver) tab.set("pairing", null);
        this.isSpent = isOver && this.isInvited;
        this.isRefused = error.code === ERROR.DEVICE && !this.isSpent;
        if (this.isRefused) this._tell(null, ({ pairing }) => pairing.refused);
        else if (!isOver) await this._lack(error);
      }
    }
    return null;
  }

  /** Whether it is let in by a link, and shows no letters. */
  get isInvited() {
    return this.pairing?.userCode === "";
  }

  /** Wait no longer. */
  close() {
    this.#isClosed = true;
    this.pairing?.close();
    tab.set("pairing", null);
  }

  _begin() {
    const agree = ({ phone }) => this._agree(phone);
    const options = { site: location.origin, name: nameFrom(navigator.userAgent), keep: identity.keep, agree };
    const kept = tab.get("pairing");
    return kept === null ? Pairing.begin(options) : Pairing.resume(options, kept);
  }

  // Letters somebody has read here; a link anybody can make, for a phone of their own.
  _agree(phone) {
    if (!this.isInvited) return true;
    return new Promise((resolve) => {
      this.agree = () => {
        this.asked = null;
        this.#changed();
        resolve(true);
      };
      this.asked = phone;
      this.#changed();
    });
  }

  _lack(error) {
    this._tell(null, sentenceOf(error));
    return new Promise((resolve) => setTimeout(resolve, 1_000 * Math.max(AGAIN, error.retryAfter ?? 0)));
  }

  _tell(pairing, problem) {
    [this.pairing, this.problem] = [pairing, problem];
    if (!this.#isClosed) this.#changed();
  }
}

/** The view of it. */
export class WaitingView {
  #elements;
  #drawn = null;
  #ticking = null;

  /** @param {Object<string, HTMLElement>} elements of the page, by id */
  constructor(elements) {
    this.#elements = elements;
  }

  /** @param {Waiting | null} waiting null: it does not wait */
  show(waiting, words) {
    clearInterval(this.#ticking);
    if (waiting === null) return;
    const { pairing, problem, isRefused, isInvited, asked } = waiting;
    const { title, hint, invited, back } = words.pairing;
    put(this.#elements["pairing-title"], isInvited ? words.log_in : title);
    put(this.#elements["pairing-hint"], isInvited ? (asked === null ? "" : invited({ phone: asked })) : hint);
    put(this.#elements["pairing-back"], isInvited ? words.person.done : back);
    const agree = this.#elements["pairing-agree"];
    if (agree.hidden && asked !== null) beginScene();
    agree.hidden = asked === null;
    const hasCode = Boolean(pairing?.userCode); // an invited device shows none
    this.#elements["pairing-shown"].hidden = !hasCode;
    this.#elements["pairing-again"].hidden = !isRefused;
    put(this.#elements["pairing-problem"], problem === null ? "" : problem(words));
    if (!hasCode) return;
    put(this.#elements["pairing-code"], pairing.userCode);
    if (pairing !== this.#drawn) drawCode(this.#elements["pairing-picture"], pairing.link);
    this.#drawn = pairing;
    const count = () => {
      const time = duration(pairing.expiresAt - Date.now());
      put(this.#elements["pairing-left"], words.pairing.left({ time }));
    };
    count();
    this.#ticking = setInterval(count, 1_000);
  }
}
