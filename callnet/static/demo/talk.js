/**
 * Push to talk: who is muted is heard while they hold the space bar, unless that presses or writes something.
 */

const MOVES = /^(Tab|Arrow)/;

export class PushToTalk {
  #own;
  #may;
  #isHeld = false;
  /** Whether the focus was moved by keys: then the space bar presses what has it. A click leaves it anywhere. */
  #isLedByKeys = false;

  /**
   * @param {import("./own.js").Own} own
   * @param {function(): boolean} may whether there is somebody to talk to, and nothing else to press
   */
  constructor(own, may) {
    this.#own = own;
    this.#may = may;
    document.addEventListener("keydown", (event) => this._pressed(event), true);
    document.addEventListener("keyup", (event) => this._released(event), true);
    document.addEventListener("pointerdown", () => (this.#isLedByKeys = false), true);
    for (const kind of ["blur", "pagehide"]) window.addEventListener(kind, () => this._stop());
  }

  _pressed(event) {
    if (MOVES.test(event.key)) this.#isLedByKeys = true;
    if (event.key !== " ") return;
    if (!this.#isHeld && !event.repeat && this._isMeant(event)) {
      this.#isHeld = true;
      this.#own.toggleMute();
    }
    if (this.#isHeld) event.preventDefault();
  }

  _isMeant(event) {
    if (event.ctrlKey || event.altKey || event.metaKey || !this.#own.isMuted || !this.#may()) return false;
    return event.target.closest("button") === null || !this.#isLedByKeys;
  }

  _released(event) {
    if (event.key !== " " || !this.#isHeld) return;
    event.preventDefault();
    this._stop();
  }

  _stop() {
    if (!this.#isHeld) return;
    this.#isHeld = false;
    if (!this.#own.isMuted) this.#own.toggleMute();
  }
}
