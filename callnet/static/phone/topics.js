/**
 * What the account service has to say of a phone, by topic: read when it has changed, and again if that failed for now;
 * and which of several answers counts.
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

/** The order of answers, which may overtake each other. */
export class Answers {
  #asked = 0;
  #latest = {};

  /**
   * Take note of a question. Returns a function: whether its answer, which has come, is to be taken over. It is not after
   * the answer to a later question about the same, nor while a later change of the same is under way.
   * @param {string} name of what is asked for
   * @param {boolean} isChange whether it changes that
   */
  ask(name, isChange) {
    const mine = (this.#asked += 1);
    if (isChange) this.#latest[name] = mine;
    return () => {
      if (this.#latest[name] > mine) return false;
      this.#latest[name] = mine;
      return true;
    };
  }
}
