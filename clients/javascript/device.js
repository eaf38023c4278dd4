/**
 * One device on the signaling socket: it is there for calls as long as it is connected, and comes back by itself.
 *
 * It offers the extended protocol (docs/extended-protocol.md) and makes do with the base protocol, on which nobody
 * says who comes and goes, and a device that begins anew in a call that it accepted is not told of it.
 */

import { AccountError, ERROR } from "./account.js";
import { Calls } from "./calls.js";
import { Line, socketClass, socketUrl } from "./line.js";
import { Teller } from "./teller.js";
import { Waiting } from "./waiting.js";

const EXTENDED = "callnet.v2";
const LONGEST_DELAY = 15_000;
/** How often to ask whether the server lives, in a call and otherwise; the server may name another time for the latter. */
const ASK_IN_CALL = 2_000;
const ASK_EVERY = 20_000;

const TOKEN_INVALID = 4401;
const DISPLACED = 4409;

/** How often to look whether the token is to be renewed, while the device is connected. */
const RENEW_EVERY = 3_600_000;
/** The number of failed attempts after which another login shows which protocol the server knows. */
const FAILURES = 8;
/** A token that was refused so soon after it was issued will be refused again: the server needs time. */
const TOO_SOON = 5_000;

/** After these a login with the same words cannot succeed: the person has to say something else. */
/** @type {number[]} */
const HOPELESS = [ERROR.PHONE, ERROR.DEVICE, ERROR.CODE, ERROR.DATA];
/** With another status the answer is about the path, the host or the page that asks, which are the operator's. */
const ABOUT_LOGIN = 200;

/** @typedef {import("./account.js").Account} Account */
/** @typedef {import("./call.js").Call} Call */

/** @typedef {import("./types.js").CallOfPhone} CallOfPhone */
/** @typedef {import("./types.js").DeviceEvents} DeviceEvents */
/** @typedef {import("./types.js").DeviceOptions} DeviceOptions */
/** @typedef {import("./types.js").DeviceState} DeviceState */
/** @typedef {import("./types.js").Frame} Frame */
/** @typedef {import("./types.js").RememberedCall} RememberedCall */

/** @type {DeviceState[]} The states that last until somebody does something. */
const RESTING = ["off", "elsewhere", "denied"];

/**
 * A device, which is to be told to connect. It tells of DeviceEvents.
 * @extends {Teller<DeviceEvents>}
 */
export class Device extends Teller {
  #account;
  #site;
  #isToExtend;
  #hasCallWaiting;
  #WebSocket;
  /** @type {Line | null} */
  #line = null;
  #calls;
  #offers = false;
  #isExtended = false;
  /** How many attempts in a row have not opened. */
  #failed = 0;
  #askEvery = ASK_EVERY;
  /** @type {Frame[]} */
  #unsaid = [];
  /** @type {number | undefined} */
  #reconnectIn = undefined;
  #loggedInAt = -TOO_SOON;
  /** @type {ReturnType<typeof setTimeout> | undefined} Until the login is tried again. */
  #loggingIn = undefined;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #renewing = undefined;
  /** Counts connect() and close(): what was begun before the last of them is not gone on with. */
  #turn = 0;
  /** @type {Waiting<DeviceState>} */
  #waiting = new Waiting();

  /** @type {DeviceState} */
  state = "off";
  /**
   * Why it is "denied".
   * @type {AccountError | null}
   */
  denial = null;
  /**
   * The active calls of other devices of the phone, by the last welcome; `pull` takes one over.
   * @type {CallOfPhone[]}
   */
  callsOfPhone = [];

  /**
   * @param {Account} account which logs in by itself when the device connects, if it has not
   * @param {DeviceOptions} options
   */
  constructor(account, { site = account.site, extended = true, callWaiting = false, WebSocket } = {}) {
    super();
    this.#account = account;
    this.#site = site;
    this.#isToExtend = extended;
    this.#hasCallWaiting = callWaiting;
    this.#WebSocket = socketClass(WebSocket);
    this.#calls = new Calls(
      (frame) => this._say(frame),
      (call) => this._tell("call", call),
      (work) => this._during(work),
      callWaiting,
    );
  }

  /** The call that it is in, or null. */
  get call() {
    return this.#calls.present;
  }

  /**
   * A second call that rings while `call` is active (the option `callWaiting`), or null. To accept it ends the other one,
   * and when that ends otherwise this one is `call`.
   */
  get waitingCall() {
    return this.#calls.waiting;
  }

  /**
   * An active call that this device holds while it is in another one, `call`; or null. When that ends this one is `call`.
   * To place or pull a call ends both.
   */
  get heldCall() {
    return this.#calls.held;
  }

  /** Whether the extended protocol is spoken. */
  get isExtended() {
    return this.#isExtended;
  }

  /** Connect, or come back from elsewhere. */
  connect() {
    this._leave();
    this.denial = null;
    if (!this._become("connecting")) return;
    if (this.#account.isLoggedIn) this._dial();
    else this._logIn(() => this.#account.login());
  }

  /** Leave; the promise is kept when the connection is gone. A call goes on for the time that the server allows. */
  close() {
    const gone = this._leave();
    this._become("off");
    this.#calls.left();
    return gone;
  }

  /** Find out now whether the server still answers: the person is back, or the machine has slept. */
  check() {
    this.#line?.check();
  }

  /**
   * Wait for one of these states, or for one that lasts until somebody does something.
   * @param {...DeviceState} states
   * @returns {Promise<DeviceState>} the state that it then has: one of these, or "off", "elsewhere" or "denied"
   */
  until(...states) {
    return this.#waiting.until(this.state, [...states, ...RESTING]);
  }

  /**
   * Call a device of a phone, or with `*` all of them. It leaves its calls; if it is just being rung by that phone it
   * accepts.
   * @param {string} phone
   * @param {string} [deviceId]
   * @returns {Call | null} null if it is not online, or its connection is closing: nothing was done
   */
  place(phone, deviceId = "*") {
    return this._canAsk() ? this._during(() => this.#calls.place(phone, deviceId)) : null;
  }

  /**
   * Take over a call that another device of the phone is in (`callsOfPhone`).
   * @param {string} roomId
   * @returns {Call | null} the call, which is "calling" until this device has it; null as for `place`, or if the
   *   extended protocol is not spoken: nothing was done
   */
  pull(roomId) {
    return this._canAsk() && this.#isExtended ? this._during(() => this.#calls.pull(roomId)) : null;
  }

  /**
   * Go on with `heldCall`, and hold the call that it is in. Without one nothing is done. If the device is not online the
   * server is told when it is.
   * A call that cannot be held any more, because the other side speaks the base protocol by now, ends.
   */
  swap() {
    this._during(() => this.#calls.swap());
  }

  /**
   * Be in a call again that was remembered while the program began anew, and that may be over by now. On the extended
   * protocol the server tells of it anyway.
   * @param {RememberedCall} call
   */
  resume(call) {
    this._during(() => this.#calls.resume(call));
  }

  /**
   * Take note that the page of a call has seen its end.
   * @param {Call} call
   */
  noteEnd(call) {
    this.#calls.noteEnd(call);
  }

  /** @private */
  _leave() {
    this.#turn += 1;
    clearTimeout(this.#loggingIn);
    clearInterval(this.#renewing);
    const gone = this.#line?.close();
    this.#line = null;
    return gone ?? Promise.resolve();
  }

  /** @private */
  _dial() {
    this.#offers = this.#isToExtend;
    this.#renewing = setInterval(() => this._renew(), RENEW_EVERY);
    this.#line = new Line({
      WebSocket: this.#WebSocket,
      url: () => socketUrl(this.#site, `/socket.io?token=${encodeURIComponent(this.#account.token ?? "")}${this._wish()}`),
      protocols: () => (this.#offers ? [EXTENDED] : []),
      question: () => (this.#isExtended ? { type: "ping" } : null),
      askEvery: () => (this.call === null ? this.#askEvery : ASK_IN_CALL),
      longestDelay: LONGEST_DELAY,
      opened: (protocol) => this._opened(protocol),
      heard: (frame) => this._during(() => this._heard(frame)),
      lost: (code, wasOpen) => this._lost(code, wasOpen),
    });
  }

  /**
   * What it asks of an extended server.
   * @private
   */
  _wish() {
    return this.#offers && this.#hasCallWaiting ? "&call_waiting=1" : "";
  }

  /** @private @param {string} protocol */
  _opened(protocol) {
    this.#isExtended = protocol === EXTENDED;
    if (this.#isExtended) this.#account._isExtended = true;
    this.#calls.connected(this.#isExtended);
    if (!this.#isExtended) this._ready();
  }

  /**
   * The extended server has looked at the token only when it says its welcome.
   * @private
   */
  _ready() {
    this.#line?.settle();
    // What is said from now on is newer.
    const unsaid = this.#unsaid;
    this.#unsaid = unsaid.filter((frame) => !this._send(frame));
    if (this.state !== "online" && this._become("online")) this._renew();
  }

  /** @private */
  _renew() {
    this.#account.renew().catch(() => {}); // if it could not be renewed it is good for another day
  }

  /** @private @param {Frame} frame */
  _heard(frame) {
    switch (frame.type) {
      case "welcome":
        if (frame.ping_every) this.#askEvery = frame.ping_every * 1_000;
        this.callsOfPhone = frame.calls_of_phone;
        this.#calls.welcomed(frame.call ?? undefined, frame.held_call ?? undefined);
        this._ready();
        break;
      case "presence":
        this._tell("presence", frame);
        break;
      case "missed":
        this._tell("missed", frame.calls);
        break;
      case "changed":
        this._tell("changed", frame.what);
        break;
      case "signal": {
        const call = this.#calls.callIn(frame.room_id);
        if (call !== null) this._tell("signal", { call, data: frame.data });
        break;
      }
      case "going_away":
        this.#reconnectIn = frame.reconnect_in * 1_000;
        break;
      default:
        this.#calls.hear(frame);
    }
  }

  /** @private @param {number | null} code @param {boolean} wasOpen */
  _lost(code, wasOpen) {
    // A server that knows only the base protocol fails the attempt of a browser that offers another. So do a bad line and
    // a server that is full: who has shown that it knows the extended one is offered nothing less.
    if (this.#isToExtend) this.#offers = wasOpen || this.#account._isExtended || !this.#offers;
    this.#failed = wasOpen ? 0 : this.#failed + 1;
    if (code === DISPLACED) {
      this._leave();
      this._become("elsewhere");
    } else if (code === TOKEN_INVALID) {
      this._leave();
      this._beRefused();
    } else {
      this._become("offline");
      // One that refuses the token of who offers nothing does so without a word that a browser shows.
      if (!wasOpen && !this.#isToExtend) this._try(() => this.#account.ask("/account/settings"));
      // The operator may have gone back to the seed's, which a login shows.
      const hasFailed = this.#failed > 0 && this.#failed % FAILURES === 0;
      if (hasFailed && this.#isToExtend && this.#account.secret !== null) this._try(() => this.#account.loginAgain());
    }
    const reconnectIn = this.#reconnectIn;
    this.#reconnectIn = undefined;
    return reconnectIn;
  }

  // Logging in.

  /** @private */
  _beRefused() {
    if (this.#account.token === null) {
      this._stop("off"); // It has logged out itself.
    } else {
      if (!this._become("offline")) return;
      if (performance.now() - this.#loggedInAt < TOO_SOON) this._logInLater(null);
      else this._logIn();
    }
  }

  /** @private */
  async _logIn(login = () => this.#account.loginAgain()) {
    const turn = this.#turn;
    const error = await this._try(login);
    if (turn !== this.#turn) return;
    if (error === null) {
      this.#loggedInAt = performance.now();
      this._dial();
    } else {
      this._logInLater(error.retryAfter);
    }
  }

  /**
   * The server has no such device any more, so it has no calls.
   * @private
   * @param {"off" | "denied"} state
   */
  _stop(state) {
    this._leave();
    this._during(() => {
      this.#calls.revoked(state === "off");
      this._become(state);
    });
  }

  /**
   * Ask the account service something. A device that may not log in any more is denied, and one that has logged out itself
   * is off.
   * @private
   * @param {() => Promise<unknown>} ask
   * @returns {Promise<AccountError | null>} what came of it
   */
  async _try(ask) {
    const turn = this.#turn;
    try {
      await ask();
      return null;
    } catch (error) {
      if (!(error instanceof AccountError)) throw error;
      if (turn !== this.#turn) return error;
      if (error.code === ERROR.TOKEN && this.#account.token === null) {
        this._stop("off");
      } else if (error.status === ABOUT_LOGIN && HOPELESS.includes(error.code)) {
        this.denial = error;
        this._stop("denied");
      }
      return error;
    }
  }

  /** @private @param {number | null} seconds */
  _logInLater(seconds) {
    const jitter = 0.5 + Math.random();
    const delay = seconds === null ? LONGEST_DELAY * jitter : (seconds + jitter) * 1_000;
    this.#loggingIn = setTimeout(() => this._logIn(), delay);
  }

  // Saying and telling.

  /**
   * Whether the server would hear now. Who asks for a call later may not want it any more.
   * @private
   */
  _canAsk() {
    return this.state === "online" && this.#line?.isOpen === true;
  }

  /** @private @param {Frame} frame @returns {boolean} whether it was said now */
  _say(frame) {
    const isSaid = this.state === "online" && this._send(frame);
    // What the other side was to hear would come too late.
    if (isSaid || frame.type === "signal") return isSaid;
    // Of exchanges the last one alone counts.
    if (frame.type === "resume") this.#unsaid = this.#unsaid.filter(({ type }) => type !== "resume");
    this.#unsaid.push(frame);
    return false;
  }

  /** @private @param {Frame} frame */
  _send(frame) {
    const { id, ...plain } = frame;
    return this.#line?.say(this.#isExtended || id === undefined ? frame : plain) ?? false;
  }

  /**
   * @private
   * @param {DeviceState} state
   * @returns {boolean} whether it still is so: whoever hears of it may have closed it, or have it connect
   */
  _become(state) {
    if (this.state !== state) {
      this.state = state;
      this._tell("state", state);
      this.#waiting.tell(state);
    }
    return this.state === state;
  }
}
