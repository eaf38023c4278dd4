/**
 * The past calls of this phone, and how many of them were missed and not looked at yet.
 */

import { browser } from "../shared/memory.js";

const PAGE = 30;
/** The server shows no more at once. */
const MOST = 500;
/** Milliseconds from the end of a call until its row is there: the server writes it within a second. */
const WRITTEN_AFTER = 1_500;
/** A busy server writes it later: it is looked for again, after pauses that double up to this one. */
const LONGEST_PAUSE = 12_000;

export class Past {
  #account;
  #changed;
  #loading = 0;
  #soon = null;
  #next = null;
  #rows = [];
  /** The number of ended calls whose rows are not here yet, and the room of the newest row before these. */
  #awaited = 0;
  #before;

  isKnown = false;

  /**
   * @param {import("../client/index.js").Account} account
   * @param {() => void} changed
   */
  constructor(account, changed) {
    this.#account = account;
    this.#changed = changed;
  }

  /** Read the newest calls, as many as are shown. @throws {AccountError} */
  async load() {
    this.#loading += 1;
    await this._take(this.#loading, { limit: Math.min(Math.max(PAGE, this.#rows.length), MOST) }, []);
  }

  /** Read older calls, too. @throws {AccountError} */
  async loadMore() {
    await this._take(this.#loading, { limit: PAGE, after: this.#next }, this.#rows);
  }

  /** Delete a call. @throws {AccountError} */
  async delete(roomId) {
    await this.#account.deleteCall(roomId);
    await this.load();
  }

  /** Delete all calls. @throws {AccountError} */
  async deleteAll() {
    await this.#account.deleteCalls();
    await this.load();
  }

  /** A call has just ended: read the newest calls until there is a row for it, and for each that ended just before. */
  loadSoon() {
    if (this.#awaited === 0) this.#before = this.#rows[0]?.room_id;
    this.#awaited += 1;
    this._loadUntilThere(WRITTEN_AFTER);
  }

  _loadUntilThere(pause) {
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => {
      if (this._newer() >= this.#awaited) {
        this.#awaited = 0;
        return;
      }
      if (pause < LONGEST_PAUSE) this._loadUntilThere(2 * pause);
      else this.#awaited = 0;
      this.load().catch(() => {});
    }, pause);
  }

  /** The number of rows above the one that was the newest before the awaited calls ended. */
  _newer() {
    const index = this.#rows.findIndex((row) => row.room_id === this.#before);
    return index < 0 ? this.#rows.length : index;
  }

  /** Be read no more. */
  close() {
    this.#loading += 1;
    clearTimeout(this.#soon);
  }

  /** Whether there are older ones. */
  get hasMore() {
    return this.#next !== null;
  }

  /** How many were missed since somebody looked. */
  get missed() {
    const seen = browser.get(this._seen()) ?? 0;
    return this.#rows.filter((row) => isMissed(row) && row.started_at > seen).length;
  }

  /** Somebody looks. */
  see() {
    if (this.missed > 0) browser.set(this._seen(), this.#rows[0].started_at);
  }

  /**
   * The calls, the newest first: `{key, roomId, phone, name, isGuest, kind, outcome, startedAt, duration, byItself}`.
   * name: what a guest has typed, else ""; kind: "incoming" "outgoing" "missed" "refused"; outcome: the server's word;
   * times in milliseconds, duration null if nobody answered; byItself: nobody touched the device that answered.
   */
  calls() {
    return this.#rows.map((row) => ({
      key: `${row.room_id}-${row.direction}`,
      roomId: row.room_id,
      phone: row.peer_phone,
      name: row.guest ? row.peer_device_id : "",
      isGuest: row.guest,
      kind: kindOf(row),
      outcome: row.outcome,
      startedAt: row.started_at * 1_000,
      duration: row.answered_at === null ? null : (row.ended_at - row.answered_at) * 1_000,
      byItself: row.auto_answer,
    }));
  }

  async _take(mine, asked, before) {
    const { calls, next } = await this.#account.history(asked);
    if (mine !== this.#loading) return;
    this.#rows = [...before, ...calls];
    this.#next = next;
    this.isKnown = true;
    this.#changed();
  }

  _seen() {
    return `seen.${this.#account.phone}`;
  }
}

function isMissed({ direction, outcome }) {
  return direction === "incoming" && outcome === "missed";
}

function kindOf(row) {
  if (row.direction === "outgoing") return "outgoing";
  return row.outcome === "missed" || row.outcome === "refused" ? row.outcome : "incoming";
}
