/**
 * The page of guests without its looks: the link that has opened it, the guest's name, and the call.
 */

import { GuestCall } from "../client/guest.js";
import { keepCall, keptCall } from "../shared/kept_call.js";
import { browser } from "../shared/memory.js";

/** What the server says of the end of a call, in the words of the page; all else is an interruption. */
const ENDS = {
  before: ["busy", "refused", "no_answer", "unreachable", "rate_limited"],
  after: { hangup: "ended", over: "ended", too_long: "ended", moved: "ended", replaced: "ended", elsewhere: "elsewhere" },
};
/** The key of an answered call. */
const KEPT = "guest-call";
const KEEP_EVERY = 30_000;

export class Guest {
  #changed;
  #secret;
  #name = browser.get("guest-name") ?? "";
  #keeping = null;

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

  /** "incomplete" the link · "door" a name is asked for · "calling" · "call" · "over" · "starting" it is asked whether
   * a call goes on */
  get scene() {
    if (this.#secret === "") return "incomplete";
    if (this.call === null) return "door";
    return { ringing: "calling", resuming: "starting", active: "call", over: "over" }[this.call.state];
  }

  /** Ring, with a name. */
  ring(name) {
    this.problem = name === "" ? "no_name" : "";
    if (name !== "") {
      this.#name = name;
      browser.set("guest-name", name);
      this._begin(name).ring();
    }
    this.#changed();
  }

  /** Be in the call again that this tab was in before a reload, if it was. */
  resume() {
    const before = keptCall(KEPT);
    if (before?.secret !== this.#secret) return;
    this._begin(this.#name).resume(before);
  }

  /** The page goes away: what rings is over, and a call waits for a reload, as long as the server does. */
  leave() {
    if (this.call?.state === "ringing") this.hangUp();
    else this.call?.close();
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

  _begin(name) {
    const call = new GuestCall({ site: location.origin, secret: this.#secret, name });
    this.call = call;
    call.addEventListener("state", () => this._follow(call));
    return call;
  }

  _follow(call) {
    if (call !== this.call) return;
    clearInterval(this.#keeping);
    if (call.state === "active") {
      this._keep(call);
      this.#keeping = setInterval(() => this._keep(call), KEEP_EVERY);
    } else if (call.state !== "resuming") {
      keepCall(KEPT, null);
    }
    if (call.reason === "invalid") {
      this.call = null;
      this.problem = "bad_name";
    }
    this.#changed();
  }
  _keep({ token, roomId, page, answeredAt }) {
    keepCall(KEPT, { secret: this.#secret, token, roomId, page, answeredAt });
  }
}
