/**
 * The countdown before this device answers by itself, which anybody in the room can stop.
 *
 * It needs somebody who can see and stop it: while the page is hidden, or is not connected, the call just rings.
 */

import { tab } from "../shared/memory.js";

/** Seconds of the countdown. */
const COUNTED = 10;

export class AutoAnswer {
  #changed;
  #isOn = false;
  #call = null;
  #isMeant = null;
  #left = 0;
  #ticking = null;
  /** The room of the last call whose countdown was stopped; after a reload, too, if the browser keeps that. */
  #stopped = tab.get("not-by-itself");

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
  }

  /** The seconds that are left; null: no call is about to be answered. */
  get left() {
    return this.#call === null ? null : this.#left;
  }

  /** Whether a call was answered so, in this tab. */
  hasAnswered({ roomId }) {
    return roomId !== "" && roomId === tab.get("answered-by-itself");
  }

  /**
   * Begin the countdown of the call that rings, or end one that has no call any more.
   * @param {boolean} isOn whether this device answers the people whom its phone has chosen for that
   */
  follow(device, isOn) {
    this.#isOn = isOn;
    const call = device?.call ?? null;
    const isMeant = () => call !== null && this._isMeant(device, call);
    const wanted = isMeant() ? call : null;
    if (wanted === this.#call) return;
    this._end();
    if (wanted !== null) this._begin(wanted, isMeant);
    this.#changed();
  }

  /** Let the call ring on. */
  stop() {
    if (this.#call === null) return;
    this.#stopped = this.#call.roomId;
    tab.set("not-by-itself", this.#stopped);
    this._end();
    this.#changed();
  }

  _isMeant(device, call) {
    const rings = call.isIncoming && call.state === "ringing" && call.autoAnswer;
    const isSeen = document.visibilityState === "visible" && device.state === "online";
    return rings && isSeen && this.#isOn && call.roomId !== this.#stopped;
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
