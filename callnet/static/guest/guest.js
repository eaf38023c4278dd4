/**
 * The page of guests without its looks: the link that has opened it, the guest's name, and the call.
 */

import { GuestCall } from "../client/guest.js";
import { browser } from "../shared/memory.js";

/** What the server says of the end of a call, in the words of the page; all else is an interruption. */
const ENDS = {
  before: ["busy", "refused", "no_answer", "unreachable", "rate_limited"],
  after: { hangup: "ended", over: "ended", too_long: "ended", moved: "ended", replaced: "ended" },
};

export class Guest {
  #changed;
  #secret;
  #name = browser.get("guest-name") ?? "";

  /** The GuestCall of this visit, or the last one; null: there was none. */
  call = null;
  /** What is wrong with the name, by a name of the words; "": nothing. */
  problem = "";

  /**
   * @param {string} secret of the link, "" if it is incomplete
   * @param {() => void} changed is called whenever something has changed
   */
  constructor(secret, changed) {
    this.#secret = secret;
    this.#changed = changed;
  }

  /** The name that was given last, in this browser if it remembers. */
  get name() {
    return this.#name;
  }

  /** "incomplete" the link · "door" a name is asked for · "calling" · "call" · "over" */
  get scene() {
    if (this.#secret === "") return "incomplete";
    if (this.call === null) return "door";
    return { ringing: "calling", active: "call", over: "over" }[this.call.state];
  }

  /** Ring, with a name. */
  ring(name) {
    this.problem = name === "" ? "no_name" : "";
    if (name !== "") {
      this.#name = name;
      browser.set("guest-name", name);
      this._ring(name);
    }
    this.#changed();
  }

  /** End the call, or stop calling. */
  hangUp() {
    const { call } = this;
    if (call?.state === "ringing") this.call = null;
    call?.hangUp();
    this.#changed();
  }

  /** How the call has ended, by a name of the words `over`. */
  get end() {
    const { reason, answeredAt } = this.call;
    if (answeredAt !== null) return ENDS.after[reason] ?? "lost";
    return ENDS.before.includes(reason) ? reason : "lost";
  }

  _ring(name) {
    const call = new GuestCall({ site: location.origin, secret: this.#secret, name });
    this.call = call;
    call.addEventListener("state", () => this._follow(call));
    call.ring();
  }

  _follow(call) {
    if (call !== this.call) return;
    if (call.reason === "invalid") {
      this.call = null;
      this.problem = "bad_name";
    }
    this.#changed();
  }
}
