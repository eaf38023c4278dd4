/**
 * What is known of callnet, and of whoever looks: the key, and what was asked for with it.
 */

import { Away, OldKey, WrongKey, numbers, order, report } from "./daemon.js";
import { numbersIn } from "./exposition.js";
import { History } from "./figures.js";
import { tab } from "./shared/memory.js";

/** The most that is asked for. */
const MOST = { calls: 500, failures: 200, devices: 200 };
/** How long a look may take, in milliseconds, before callnet is no longer shown as ready. */
const PROMPT = 1_000;

export class Facts {
  #onChange;
  /** That which this tab was given before, if any: whether it still is one is found out by using it. */
  #key = tab.get("key");

  /** `starting`, `well`, `late`: the answer is due, or `away`: there was none. The rest is what was known last then. */
  link = "starting";
  /** When it answered last, in milliseconds since 1970. */
  answeredAt = null;
  /** What `/readyz` tells. */
  report = null;
  history = new History();
  /** Why there is no key, if that takes words: an error that says so. */
  keyProblem = null;
  /** Whether a key is being tried. */
  isTrying = false;
  /** From when on the log has lines, or null. */
  level = null;
  /** Whose devices are listed: null: nobody's, empty: everybody's. */
  phone = null;

  /** @param {function(): void} onChange */
  constructor(onChange) {
    this.#onChange = onChange;
    this.clear();
  }

  /** Forget what only the key shows. */
  clear() {
    this.lists = { calls: null, failures: null, nodes: null, devices: null };
    /** Why each of them is not known, or is old: an error that says so, or null. */
    this.problems = { calls: null, failures: null, nodes: null, devices: null };
    this.level = null;
    this.phone = null;
  }

  get hasKey() {
    return this.#key !== null;
  }

  /** Ask for everything. Tells whether there was an answer. */
  async look() {
    const late = setTimeout(() => this._wait(), PROMPT);
    try {
      const [told, text] = await Promise.all([report(), numbers()]);
      if (this.link === "away") this.level = null;
      this.report = told;
      this.history.add(Date.now() / 1000, numbersIn(text));
      if (this.hasKey) await this._lookInside();
      this.link = "well";
      this.answeredAt = Date.now();
    } catch (error) {
      if (!(error instanceof Away)) throw error;
      this.link = "away";
    } finally {
      clearTimeout(late);
    }
    this.#onChange();
    return this.link === "well";
  }

  /** Try a key, and keep it for this tab if it is the right one. */
  async unlock(key) {
    this.isTrying = true;
    this.keyProblem = null;
    this.#onChange();
    try {
      const { level } = await order(key, "log-level", {});
      this.#key = key;
      this.level = level;
      tab.set("key", key);
    } catch (error) {
      this.keyProblem = error;
    }
    this.isTrying = false;
    this.#onChange();
  }

  /** Forget the key. */
  forget(why = null) {
    tab.set("key", null);
    this.#key = null;
    this.keyProblem = why;
    this.clear();
    this.#onChange();
  }

  /**
   * Have something done with the key.
   * @param {string} name the path after `/api/`
   * @param {object} fields
   * @throws {Away | Refused} an error that says what went wrong
   */
  async order(name, fields) {
    const key = this.#key;
    try {
      return await order(key, name, fields);
    } catch (error) {
      if (error instanceof WrongKey && key === this.#key) this.forget(new OldKey());
      throw error;
    }
  }

  /** Log from another level on. */
  async chooseLevel(level) {
    ({ level: this.level } = await this.order("log-level", { level }));
    this.#onChange();
  }

  _wait() {
    if (this.link !== "well") return;
    this.link = "late";
    this.#onChange();
  }

  async _lookInside() {
    const wanted = { calls: { limit: MOST.calls }, failures: { limit: MOST.failures }, nodes: {} };
    if (this.phone !== null) {
      wanted.devices = { limit: MOST.devices, ...(this.phone === "" ? {} : { phone: this.phone }) };
    }
    const asked = Object.entries(wanted).map(([name, fields]) => this._list(name, fields));
    await Promise.all([...asked, ...(this.level === null ? [this._askLevel()] : [])]);
  }

  async _askLevel() {
    try {
      ({ level: this.level } = await this.order("log-level", {}));
    } catch (error) {
      if (error instanceof Away) throw error; // else the lists say what is wrong
    }
  }

  async _list(name, fields) {
    try {
      const answer = await this.order(name, fields);
      const isMeant = name !== "devices" || (fields.phone ?? "") === this.phone;
      if (!this.hasKey || !isMeant) return;
      const list = answer[name];
      this.lists[name] = { list, isWhole: list.length < (fields.limit ?? Infinity), silent: answer.silent };
      this.problems[name] = null;
    } catch (error) {
      if (error instanceof Away) throw error;
      this.problems[name] = error instanceof WrongKey ? null : error;
    }
  }
}
