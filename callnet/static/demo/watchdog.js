/**
 * Decides when a connection over which no media flows is to be repaired, and how: a "restart" of ICE for what has
 * flowed before, to "renew" the RTCPeerConnection for what does not come up. Times are milliseconds on one clock.
 */

/** How long a disconnected connection may heal by itself. */
const HEAL_WITHIN = 2_000;
/** How long an attempt may take before a new RTCPeerConnection is built. */
const FIRST_PATIENCE = 8_000;
const LONGEST_PATIENCE = 20_000;
/** How often a page that has nothing yet asks for an offer. */
const ASK_EVERY = 2_000;
/** How long after a change of the network a silence is taken for its consequence. */
const DOUBT_FOR = 5_000;

export class Watchdog {
  #attempt = null;
  #attemptedAt = 0;
  #patience = FIRST_PATIENCE;
  #troubledSince = null;
  #doubtedUntil = 0;
  #wasSilent = false;

  /** An attempt begins, "restart" or "renew". */
  begin(attempt, now) {
    this.#attempt = attempt;
    this.#attemptedAt = now;
    this.#doubtedUntil = 0;
    if (attempt === "renew") this.#troubledSince = null;
  }

  /** Media flows, or flows again. */
  flows() {
    this.#attempt = null;
    this.#troubledSince = null;
    this.#patience = FIRST_PATIENCE;
  }

  /** The browser misses the other side. */
  misses(now) {
    this.#troubledSince = this.#troubledSince ?? now;
  }

  /** The network has changed, perhaps, or the relay has ended. */
  doubt(now) {
    this.#doubtedUntil = now + DOUBT_FOR;
  }

  /**
   * What is to be begun now: "" nothing, "restart" or "renew".
   *
   * @param {object} seen flowing: whether media does · isSilent: whether nothing has come lately although it did
   *   before · isRelayed: whether media goes over a TURN server · isFailed, isClosed: of the RTCPeerConnection ·
   *   isMissing: there is none yet
   */
  look(now, { flowing, isSilent, isRelayed, isFailed, isClosed, isMissing }) {
    if (flowing) this.#attempt = null;
    // A relay that was restarted knows nothing of the call, and a browser takes long to see that.
    if (isRelayed && isSilent && !this.#wasSilent) this.doubt(now);
    this.#wasSilent = isSilent;
    // The network has changed and nothing comes any more: until the browser sees this, too, is not waited.
    const isCut = isSilent && now < this.#doubtedUntil;
    if (flowing) return isCut ? "restart" : "";
    if (isClosed && this.#attempt !== "renew") return "renew";
    if (this.#attempt === null) return isCut || isFailed || this._hasTroubles(now) ? "restart" : "";
    const patience = isMissing ? ASK_EVERY : this.#patience;
    if (now - this.#attemptedAt < patience) return "";
    this.#patience = Math.min(LONGEST_PATIENCE, this.#patience * 1.5);
    return "renew";
  }

  _hasTroubles(now) {
    return this.#troubledSince !== null && now - this.#troubledSince >= HEAL_WITHIN;
  }
}
