/**
 * A seat in a room (docs/room.md): takes it, relays, and keeps trying while the network is away.
 */

import { Line, socketClass, socketUrl } from "./line.js";
import { Teller } from "./teller.js";

/** @typedef {import("./types.js").MediaSetup} MediaSetup */
/** @typedef {import("./types.js").RoomEvents} RoomEvents */
/** @typedef {import("./types.js").RoomOptions} RoomOptions */

const PING = { type: "ping" };
const PING_EVERY = 2_000;
const FULL_AGAIN_AFTER = 5_000;
const LONGEST_DELAY = 8_000;
const HANGUP_WITHIN = 30_000;

const REFUSED = 4403;
const BAD_FRAME = 4400;
const TAKEN = 4409;

/** 32 random hex digits, as keys of seats and names of sessions have. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * One client in a room. The server lets in only who says the site's own Origin, as a page of the site does by itself;
 * a program without a page gives a WebSocket that says it (docs/javascript-client.md). It tells of RoomEvents.
 * @extends {Teller<RoomEvents>}
 */
export class Room extends Teller {
  #url;
  #WebSocket;
  /** @type {Line | null} */
  #line = null;
  #refusal = "";
  #isLeaving = false;
  #isClosed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #giveUp = undefined;

  /** @param {RoomOptions} options */
  constructor({ site, roomId, key = randomId(), session = randomId(), WebSocket }) {
    super();
    this.#url = socketUrl(site, "/room");
    this.#WebSocket = socketClass(WebSocket);
    this.roomId = roomId;
    /** To be kept for as long as the client is to have the seat, and told nobody. */
    this.key = key;
    /** By which the other client knows this one; of the two the one with the greater session makes all offers. */
    this.session = session;
  }

  /** Take the seat, and keep it. Once it was closed a room is over: another visit is another Room. */
  join() {
    this.#line = new Line({
      WebSocket: this.#WebSocket,
      url: () => this.#url,
      protocols: () => [],
      question: () => PING,
      askEvery: () => PING_EVERY,
      longestDelay: LONGEST_DELAY,
      opened: () => this._opened(),
      heard: (message) => this._heard(message),
      lost: (code) => this._lost(code),
    });
  }

  /**
   * Say something to the other client.
   * @param {string} to its session
   * @param {unknown} data whatever JSON can say
   * @returns {boolean} whether it could be sent; what is said while a socket is away is lost
   */
  relay(to, data) {
    return this._say({ type: "relay", to, data });
  }

  /**
   * Tell the server, for its figures, how it went to be connected.
   * @param {MediaSetup} media
   * @returns {boolean} whether it could be sent
   */
  report(media) {
    return this._say({ ...PING, media });
  }

  /** Find out now whether the server still answers: nothing comes from the other client, or the network has changed. */
  check() {
    this.#line?.check();
  }

  /** End the call for both and leave. Until the server answers this is tried, for 30 s. */
  hangUp() {
    if (this.#isClosed || this.#isLeaving) return;
    this.#isLeaving = true;
    this.#giveUp = setTimeout(() => this.close(), HANGUP_WITHIN);
    this._sayHangUp();
  }

  /** Leave without a word: the seat stays ours for a while. */
  close() {
    this.#isClosed = true;
    clearTimeout(this.#giveUp);
    this.#line?.close();
  }

  /** @private */
  _opened() {
    this.#line?.say({ type: "join", room_id: this.roomId, key: this.key, session: this.session });
    if (this.#isLeaving) this._sayHangUp();
  }

  /**
   * The path may have died a moment ago: the answer to a question asked after it shows that the server has it.
   * @private
   */
  _sayHangUp() {
    this.#line?.say({ type: "hangup" });
    this.check();
  }

  /** @private @param {any} message */
  _heard(message) {
    if (this.#isLeaving && (message.type === "pong" || message.type === "refused")) this.close();
    switch (message.type) {
      case "room":
        this.#line?.settle();
        this._tell("reach", true);
        this._tell("room", message);
        break;
      case "relay":
        this._tell("relay", { from: message.from, data: message.data });
        break;
      case "refused":
        this.#refusal = message.reason;
        this._tell("refused", message.reason);
        break;
    }
  }

  /** @private @param {number | null} code */
  _lost(code) {
    this._tell("reach", false);
    if (code === TAKEN || code === BAD_FRAME) {
      this._tell("refused", code === TAKEN ? "taken" : "broken");
      this.close();
    } else if (code === REFUSED && this.#refusal !== "full") {
      this.close();
    }
    return code === REFUSED ? FULL_AGAIN_AFTER : undefined;
  }

  /** @private @param {import("./types.js").Frame} frame */
  _say(frame) {
    return !this.#isLeaving && (this.#line?.say(frame) ?? false);
  }

  /**
   * Who has left is told no more.
   * @protected
   * @param {keyof RoomEvents} type
   * @param {unknown} detail
   * @override
   */
  _tell(type, detail) {
    if (!this.#isClosed && !this.#isLeaving) super._tell(type, detail);
  }
}
