/**
 * Measures the RTCPeerConnection that is in use, and follows what that says of the link.
 */

import { LEVELS, newLink, next } from "./link.js";
import { measure } from "./measure.js";

export class Gauge {
  #peer = null;
  #report = null;
  #measuredAt = 0;
  #link = newLink();
  /** Whether nothing was due, and nothing has come since: a camera that is to go on has to open first. */
  #isLull = false;

  /** What was last measured (measure.js); every number is undefined before. */
  numbers = {};

  /** "good" "weak" "bad" */
  get quality() {
    return this.#link.quality;
  }

  /** How much picture may be sent: one of LEVELS (link.js). */
  get level() {
    return LEVELS[this.#link.level];
  }

  /** Whether there is nothing that less picture has to be sent for. */
  get isBest() {
    return this.#link.level === 0;
  }

  /**
   * Measure, about once a second; `now` is on the clock of performance.now(). `isDue`: whether the other side has anything
   * to send. Where it has not, a silence tells nothing of the link.
   *
   * Resolves to whether the quality or the level is another one.
   */
  async look(peer, now, isDue) {
    if (peer !== this.#peer) {
      this.#peer = peer;
      this.#report = null;
      this.numbers = {};
    }
    const report = await peer.getStats();
    if (peer !== this.#peer) return false;
    const before = this.#link;
    this.numbers = measure(report, this.#report, (now - this.#measuredAt) / 1_000);
    this.#isLull = !isDue || (this.#isLull && !this.numbers.isReceiving);
    if (this.#isLull) this.numbers.isReceiving = undefined;
    this.#report = report;
    this.#measuredAt = now;
    this.#link = next(before, this.numbers);
    return before.level !== this.#link.level || before.quality !== this.#link.quality;
  }
}
