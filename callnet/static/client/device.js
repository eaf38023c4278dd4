/**
 * One device on the signaling socket: it is there for calls as long as it is connected, and comes back by itself.
 *
 * It offers the extended protocol (docs/extended-protocol.md) and makes do with the base protocol, on which nobody
 * says who comes and goes, and a device that begins anew in a call that it accepted is not told of it.
 *
 * Events, each with what it is about as `detail`:
 *   state: its own, see `state` · call: a Call that has changed · presence: `{phone, device_id, online}` ·
 *   missed: the calls that nobody answered while it was away
 */

import { ERROR } from "./account.js";
import { Calls } from "./calls.js";
import { Line } from "./line.js";

const EXTENDED = "callnet.v2";
const LONGEST_DELAY = 15_000;
/** How often to ask whether the server lives, in a call and otherwise; the server may name another time for the latter. */
const ASK_IN_CALL = 2_000;
const ASK_EVERY = 20_000;

const TOKEN_INVALID = 4401;
const DISPLACED = 4409;

/** A token that was refused so soon after it was issued will be refused again: the server needs time. */
const TOO_SOON = 5_000;

/** After these a login with the same words cannot succeed: the person has to say something else. */
const HOPELESS = [ERROR.PHONE, ERROR.DEVICE, ERROR.CODE, ERROR.DATA];

export class Device extends EventTarget {
  #account;
  #site;
  #line = null;
  #calls;
  #offers = true;
  #isExtended = false;
  #askEvery = ASK_EVERY;
  #unsaid = [];
  #reconnectIn = undefined;
  #loggedInAt = -TOO_SOON;
  /** Counts connect() and close(): what was begun before the last of them is not gone on with. */
  #turn = 0;

  /**
   * "off" · "connecting" before the first connection · "online" · "offline": it comes back by itself ·
   * "elsewhere": the same device has connected somewhere else, and this one stays away ·
   * "denied": the device may not log in any more, `denial` says why
   */
  state = "off";
  /** The AccountError of "denied". */
  denial = null;

  /**
   * @param {import("./account.js").Account} account that is logged in
   * @param {string} site the origin of the signaling socket, such as `https://example.org:8080`
   */
  constructor(account, site) {
    super();
    this.#account = account;
    this.#site = site;
    this.#calls = new Calls(
      (frame) => this._say(frame),
      (call) => this._tell("call", call),
    );
  }

  /** The call that it is in, or null. */
  get call() {
    return this.#calls.present;
  }

  /** Whether the extended protocol is spoken. */
  get isExtended() {
    return this.#isExtended;
  }

  /** Connect, or come back from elsewhere. */
  connect() {
    this._leave();
    this._become("connecting");
    if (this.#account.isLoggedIn) this._dial();
    else this._logIn();
  }

  /** Leave. A call goes on for the time that the server allows. */
  close() {
    this._leave();
    this._become("off");
  }

  /** Find out now whether the server still answers: the person is back, or the machine has slept. */
  check() {
    this.#line?.ask();
  }

  /**
   * Call a device of a phone, or with `*` all of them.
   * @returns {import("./call.js").Call | null} null if it is not online: nothing was done
   */
  place(phone, deviceId = "*") {
    return this.state === "online" ? this.#calls.place(phone, deviceId) : null;
  }

  /** Be in a call again that was remembered; see Calls. */
  resume(call) {
    this.#calls.resume(call);
  }

  /** Take note that the page of a call has seen its end. */
  noteEnd(call) {
    this.#calls.noteEnd(call);
  }

  _leave() {
    this.#turn += 1;
    this.#line?.close();
    this.#line = null;
  }

  _dial() {
    this.#line = new Line({
      url: () => this._url(),
      protocols: () => (this.#offers ? [EXTENDED] : []),
      question: () => (this.#isExtended ? { type: "ping" } : null),
      askEvery: () => (this.call === null ? this.#askEvery : ASK_IN_CALL),
      longestDelay: LONGEST_DELAY,
      opened: (protocol) => this._opened(protocol),
      heard: (frame) => this._heard(frame),
      lost: (code, wasOpen) => this._lost(code, wasOpen),
    });
  }

  _url() {
    const url = new URL("/socket.io", this.#site);
    url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
    url.searchParams.set("token", this.#account.token ?? "");
    return url.href;
  }

  _opened(protocol) {
    this.#isExtended = protocol === EXTENDED;
    this.#calls.connected(this.#isExtended);
    if (!this.#isExtended) this._ready();
  }

  // The extended server has looked at the token only when it says its welcome.
  _ready() {
    this.#line.settle();
    this._become("online");
    const unsaid = this.#unsaid;
    this.#unsaid = [];
    for (const frame of unsaid) this._say(frame);
    // A token that could not be renewed is good for another day.
    this.#account.renew().catch(() => {});
  }

  _heard(frame) {
    switch (frame.type) {
      case "welcome":
        if (frame.ping_every) this.#askEvery = frame.ping_every * 1_000;
        this.#calls.welcomed(frame.call);
        this._ready();
        break;
      case "presence":
        this._tell("presence", frame);
        break;
      case "missed":
        this._tell("missed", frame.calls);
        break;
      case "going_away":
        this.#reconnectIn = frame.reconnect_in * 1_000;
        break;
      default:
        this.#calls.hear(frame);
    }
  }

  _lost(code, wasOpen) {
    // A server that knows only the base protocol fails the attempt of a browser that offers another.
    this.#offers = wasOpen || this.#isExtended || !this.#offers;
    if (code === DISPLACED) {
      this.#line.close();
      this._become("elsewhere");
    } else if (code === TOKEN_INVALID) {
      this.#line.close();
      this._become("offline");
      if (performance.now() - this.#loggedInAt < TOO_SOON) this._logInLater(null);
      else this._logIn();
    } else {
      this._become("offline");
    }
    const reconnectIn = this.#reconnectIn;
    this.#reconnectIn = undefined;
    return reconnectIn;
  }

  async _logIn() {
    const turn = this.#turn;
    let error = null;
    try {
      await this.#account.login();
    } catch (caught) {
      error = caught;
    }
    if (turn !== this.#turn) return;
    if (error === null) {
      this.#loggedInAt = performance.now();
      this._dial();
    } else if (HOPELESS.includes(error.code)) {
      this.denial = error;
      this._become("denied");
    } else {
      this._logInLater(error.retryAfter);
    }
  }

  _logInLater(seconds) {
    const turn = this.#turn;
    const delay = seconds === null ? LONGEST_DELAY * (0.5 + Math.random()) : seconds * 1_000;
    setTimeout(() => {
      if (turn === this.#turn) this._logIn();
    }, delay);
  }

  _say(frame) {
    if (this.state !== "online" || !this.#line.say(frame)) this.#unsaid.push(frame);
  }

  _become(state) {
    if (this.state === state) return;
    this.state = state;
    this._tell("state", state);
  }

  _tell(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
