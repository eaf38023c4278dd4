/**
 * A screen that stays on while the page is seen. Browsers allow that only to pages of a secure address.
 */

export class Awake {
  #isWanted = false;
  #isAsking = false;
  #lock = null;

  constructor() {
    document.addEventListener("visibilitychange", () => this._look());
  }

  /** Let the screen stay on, or go off as it likes. To be said again and again: the browser may take the lock away. */
  keep(isWanted) {
    this.#isWanted = isWanted;
    if (isWanted) this._look();
    else this._release();
  }

  // A page that goes out of view loses the lock.
  async _look() {
    const isHeld = this.#lock !== null && !this.#lock.released;
    if (!this.#isWanted || document.visibilityState !== "visible" || isHeld || this.#isAsking) return;
    this.#isAsking = true;
    try {
      this.#lock = await navigator.wakeLock.request("screen");
      this.#lock.addEventListener("release", () => this._look());
    } catch {
      // There are none here, or the battery is low.
    }
    this.#isAsking = false;
    if (!this.#isWanted) this._release();
  }

  _release() {
    this.#lock?.release();
    this.#lock = null;
  }
}
