/**
 * A call by a link that rings: whoever has the link and says a name calls the phone of its owner, without an account.
 */

import { AccountError, ERROR, post } from "./account.js";
import { Line, socketClass, socketUrl } from "./line.js";
import { Teller } from "./teller.js";
import { Waiting } from "./waiting.js";

const EXTENDED = "callnet.v2";
const ASK_EVERY = 2_000;
const LONGEST_DELAY = 5_000;
const TOKEN_INVALID = 4401;
const DISPLACED = 4409;
const HANGUP = { type: "calling_hangup" };
/** Asked after a hang-up: its answer shows that the server has that. */
const PARTING = { type: "ping", id: "hangup" };
/** So long a hang-up is kept for a connection that comes back: by then the server has ended the call. */
const HANGUP_WITHIN = 30_000;
/** How long after its welcome the server may still say what became of a call that it did not mention there. */
const DOUBT = 2_000;
/** So long it rings without a connection: what became of it, the server alone knows. */
const PATIENCE = 30_000;

/**
 * Why it is over before it rang. A server of a version without guests knows no such path, and says 404 with ERROR.DATA.
 * @param {AccountError} error
 */
function reasonOf({ code, status }) {
  if (code === ERROR.RATE_LIMITED) return "rate_limited";
  return code === ERROR.DATA && status === 200 ? "invalid" : "unreachable";
}

/** @typedef {import("./types.js").Frame} Frame */
/** @typedef {import("./types.js").GuestCallEvents} GuestCallEvents */
/** @typedef {import("./types.js").GuestCallOptions} GuestCallOptions */
/** @typedef {import("./types.js").GuestCallState} GuestCallState */

/**
 * One call by a link, from the first ring to its end. It tells of GuestCallEvents. A link that is good and one that is
 * not look the same: both ring, and nobody answers.
 * @extends {Teller<GuestCallEvents>}
 */
export class GuestCall extends Teller {
  #options;
  #WebSocket;
  /** @type {Line | null} */
  #line = null;
  #hasRung = false;
  #isClosed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #doubting = undefined;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #patience = undefined;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #parting = undefined;
  /** @type {Waiting<GuestCallState>} */
  #waiting = new Waiting();

  /** @type {GuestCallState} */
  state = "off";
  /** With this `resume` takes it up again, for a day; "" until it has entered. Whoever has it is this guest. */
  token = "";
  /** "" until it was answered. Whoever knows it can enter the room. */
  roomId = "";
  /** The address of the call's page on the server's site, without the origin. */
  page = "";
  /**
   * Why it is over, as `Call.reason`; or "rate_limited" or "invalid" if it never rang, "unreachable" if it had no
   * connection, "elsewhere" if the guest is in it in another place; "" before.
   */
  reason = "";
  /** Whether the guest ended it. */
  isOwnEnd = false;
  /** Whether the server has lost its memory of the call: whether it goes on, its page alone knows. */
  isForgotten = false;
  /** Whether its connection is lost, or could not be made, and is tried again. */
  isLost = false;
  /**
   * Seconds after which to try again, if it was "rate_limited" and the server said so.
   * @type {number | null}
   */
  retryAfter = null;
  /**
   * When it was answered, on the clock of Date.now(); null before.
   * @type {number | null}
   */
  answeredAt = null;
  /**
   * When it ended, likewise.
   * @type {number | null}
   */
  endedAt = null;

  /** @param {GuestCallOptions} options */
  constructor(options) {
    super();
    this.#options = options;
    this.#WebSocket = socketClass(options.WebSocket);
  }

  /** Milliseconds for which it was active; null: never. */
  get duration() {
    return this.answeredAt === null ? null : (this.endedAt ?? Date.now()) - this.answeredAt;
  }

  /** Ring, once. */
  async ring() {
    if (this.state !== "off") return;
    this._become("ringing");
    this._wait();
    const { site, secret, name } = this.#options;
    try {
      this.token = (await post(site, "/links/enter", { secret, name })).guest_token;
    } catch (error) {
      if (!(error instanceof AccountError)) throw error;
      this.retryAfter = error.retryAfter;
      this._end(reasonOf(error));
      return;
    }
    if (!this.#isClosed) this._dial();
  }

  /**
   * Take up again, within the time that the server allows, a call that was answered and then closed, as by a reload. It is
   * "resuming" until the server says that it goes on.
   * @param {Pick<GuestCall, "token" | "roomId" | "page" | "answeredAt">} before
   */
  resume({ token, roomId, page, answeredAt }) {
    if (this.state !== "off") return;
    Object.assign(this, { token, roomId, page, answeredAt });
    this.#hasRung = true;
    this._become("resuming");
    this._wait();
    this._dial();
  }

  /** End it, whatever state it is in. Until the server has heard of it, this is kept for half a minute. */
  hangUp() {
    if (this.state === "off" || this.state === "over") return;
    this._hangUp(this.state === "ringing" ? "cancelled" : "hangup", true);
  }

  /** The page of the call has seen its end. */
  noteEnd() {
    if (this.state === "active") this._hangUp("over", false);
  }

  /**
   * Leave without a word; a call goes on for the time that the server allows.
   * @returns {Promise<void>} of the moment at which the connection is gone
   */
  close() {
    const gone = this._leave();
    this.#waiting.tell(this.state, true);
    return gone ?? Promise.resolve();
  }

  /**
   * Wait for one of these states, or for the end.
   * @param {...GuestCallState} states
   * @returns {Promise<GuestCallState>} the state that it then has: one of these, "over", or the present one if it was
   *   closed
   */
  until(...states) {
    return this.#waiting.until(this.state, [...states, "over"]);
  }

  /** @private */
  _dial() {
    this.#line = new Line({
      WebSocket: this.#WebSocket,
      url: () => socketUrl(this.#options.signaling ?? this.#options.site, `/socket.io/guest?token=${encodeURIComponent(this.token)}`),
      protocols: () => [EXTENDED],
      question: () => ({ type: "ping" }),
      askEvery: () => ASK_EVERY,
      longestDelay: LONGEST_DELAY,
      opened: () => {},
      heard: (frame) => this._during(() => this._heard(frame)),
      lost: (code) => {
        if (this.state === "over") return undefined;
        if (code === TOKEN_INVALID) this._end("failed");
        else if (code === DISPLACED) this._end("elsewhere");
        else this._lose();
        return undefined;
      },
    });
  }

  /** @private @param {Frame} frame */
  _heard(frame) {
    if (this.state === "over") {
      if (frame.type === "welcome") this._sayHangUp();
      else if (frame.type === "pong" && frame.id === PARTING.id) this._leave();
      return;
    }
    switch (frame.type) {
      case "welcome":
        this.#line?.settle();
        this._welcomed(frame);
        break;
      case "call_success":
        this._answered(frame);
        break;
      case "call_refuse":
      case "call_failed":
      case "calling_be_hangup":
        this._end(frame.reason);
        break;
    }
  }

  /** @private @param {Frame} frame */
  _welcomed(frame) {
    this._stopTimers();
    if (frame.state !== "idle") this.isForgotten = false;
    if (!this.#hasRung) this.#hasRung = this.#line?.say({ type: "ring" }) ?? false;
    else if (frame.state === "idle") this.#doubting = setTimeout(() => this._forget(), DOUBT);
    else if (this.state === "resuming") this._become("active");
    if (!this.isLost) return;
    this.isLost = false;
    this._become(this.state);
  }

  /** @private @param {Frame} frame */
  _answered({ room_id, page }) {
    if (this.state !== "ringing" && this.state !== "resuming") return;
    Object.assign(this, { roomId: room_id, page, answeredAt: this.answeredAt ?? Date.now() });
    this._become("active");
  }

  /** @private */
  _lose() {
    if (this.isLost) return;
    this.isLost = true;
    if (this.#hasRung && this.state === "ringing") this._wait();
    this._become(this.state);
  }

  /** @private */
  _wait() {
    this.#patience = setTimeout(() => this._end("unreachable"), PATIENCE);
  }

  /** @private */
  _forget() {
    this.isForgotten = true;
    if (this.state === "active") this._become("active");
    else this._end("forgotten");
  }

  /** @private @param {string} reason @param {boolean} isOwn */
  _hangUp(reason, isOwn) {
    this._sayHangUp();
    this._end(reason, isOwn, !this.#hasRung);
  }

  /** @private */
  _sayHangUp() {
    if (!this.#hasRung) return;
    this.#line?.say(HANGUP);
    this.#line?.say(PARTING);
  }

  /** @private @param {string} reason @param {boolean} [isOwn] @param {boolean} [isKnown] whether the server knows */
  _end(reason, isOwn = false, isKnown = true) {
    if (this.state === "over") return;
    Object.assign(this, { reason, isOwnEnd: isOwn, endedAt: Date.now() });
    if (isKnown) {
      this._leave();
    } else {
      this._stopTimers();
      this.#parting = setTimeout(() => this._leave(), HANGUP_WITHIN);
    }
    this._become("over");
  }

  /** @private */
  _leave() {
    this.#isClosed = true;
    this._stopTimers();
    const gone = this.#line?.close();
    this.#line = null;
    return gone;
  }

  /** @private */
  _stopTimers() {
    clearTimeout(this.#doubting);
    clearTimeout(this.#patience);
    clearTimeout(this.#parting);
  }

  /** @private @param {GuestCallState} state */
  _become(state) {
    this.state = state;
    this._tell("state", state);
    this.#waiting.tell(state);
  }
}
