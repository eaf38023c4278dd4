/**
 * Answering by itself: whether this device does, and the countdown before it, which anybody in the room can stop.
 *
 * It needs somebody who can see and stop it: while the page is hidden, or is not connected, the call just rings.
 */

import { browser, tab } from "../shared/memory.js";

/** Seconds of the countdown. */
const COUNTED = 10;

export class AutoAnswer {
  #changed;
  #call = null;
  #isMeant = null;
  #left = 0;
  #ticking = null;
  #stoppedAt = -Infinity;

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
  }

  /** Whether this device, in this browser, answers the people whom its phone has chosen for that. */
  isOn(account) {
    return browser.get(nameOf(account)) === true;
  }

  turn(account, isOn) {
    browser.set(nameOf(account), isOn || null);
    this.#changed();
  }

  /** Keep nothing of a device that has logged out. */
  forget(account) {
    browser.set(nameOf(account), null);
  }

  /** The seconds that are left; null: no call is about to be answered. */
  get left() {
    return this.#call === null ? null : this.#left;
  }

  /** Milliseconds since a countdown was stopped. */
  get stoppedFor() {
    return performance.now() - this.#stoppedAt;
  }

  /** Whether a call was answered so, in this tab. */
  hasAnswered({ roomId }) {
    return roomId !== "" && roomId === tab.get("answered-by-itself");
  }

  /** Begin the countdown of the call that rings, or end one that has no call any more. */
  follow(account, device) {
    const call = device?.call ?? null;
    const isMeant = () => call !== null && this._isMeant(account, device, call);
    const wanted = isMeant() ? call : null;
    if (wanted === this.#call) return;
    this._end();
    if (wanted !== null) this._begin(wanted, isMeant);
    this.#changed();
  }

  /** Let the call ring on. */
  stop() {
    if (this.#call === null) return;
    tab.set("not-by-itself", this.#call.roomId); // after a reload, too
    this.#stoppedAt = performance.now();
    this._end();
    this.#changed();
  }

  _isMeant(account, device, call) {
    const rings = call.isIncoming && call.state === "ringing" && call.autoAnswer;
    const isSeen = document.visibilityState === "visible" && device.state === "online";
    return rings && isSeen && this.isOn(account) && call.roomId !== tab.get("not-by-itself");
  }

  _begin(call, isMeant) {
    this.#call = call;
    this.#isMeant = isMeant;
    this.#left = COUNTED;
    this.#ticking = setInterval(() => this._tick(), 1_000);
  }

  // Seconds that were seen are counted: timers, and the clock, may stand still while the machine sleeps.
  _tick() {
    this.#left -= 1;
    const call = this.#call;
    const isMeant = this.#isMeant();
    if (this.#left <= 0 || !isMeant) this._end();
    if (this.#left <= 0 && isMeant) {
      tab.set("answered-by-itself", call.roomId);
      call.accept({ byItself: true });
    } else {
      this.#changed();
    }
  }

  _end() {
    clearInterval(this.#ticking);
    this.#call = null;
  }
}

function nameOf({ phone, deviceId }) {
  return `answers.${phone}.${deviceId}`;
}
