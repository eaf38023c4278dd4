/**
 * What the account service has to say of a phone, by topic: read when it has changed, and again if that failed for now.
 */

import { ERROR } from "../client/account.js";

/** Errors after which the same can be read. */
const PASSING = [ERROR.UNREACHABLE, ERROR.INTERNAL, ERROR.RATE_LIMITED];

export class Topics {
  #readers;
  /** What could not be read, and from when on it can be, in milliseconds of Date.now(), by topic. */
  #unread = new Map();

  /** @param {Object<string, () => Promise<unknown>>} readers by topic */
  constructor(readers) {
    this.#readers = readers;
  }

  /** Read these. @param {import("../client/types.js").Topic[]} topics */
  read(topics) {
    // Who has added this phone is read with its contacts.
    for (const topic of new Set(topics.map((one) => (one === "added" ? "contacts" : one)))) this._read(topic);
  }

  /** Read all of it. */
  readAll() {
    this.read(Object.keys(this.#readers));
  }

  /** Read what could not be read. */
  readAgain() {
    const now = Date.now();
    for (const [topic, time] of Array.from(this.#unread)) if (time <= now) this._read(topic);
  }

  async _read(topic) {
    this.#unread.delete(topic);
    try {
      await this.#readers[topic]?.();
    } catch (error) {
      if (PASSING.includes(error.code)) this.#unread.set(topic, Date.now() + 1_000 * (error.retryAfter ?? 0));
    }
  }
}
