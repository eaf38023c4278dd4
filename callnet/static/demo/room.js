/**
 * The room socket (docs/room.md): takes a seat, relays, and keeps trying while the network is away.
 */

import { Line } from "../client/line.js";

const PING = { type: "ping" };
const PING_EVERY = 2_000;
const FULL_AGAIN_AFTER = 5_000;
const LONGEST_DELAY = 8_000;
const HANGUP_WITHIN = 30_000;

const REFUSED = 4403;
const BAD_FRAME = 4400;
const TAKEN = 4409;

export class RoomSocket {
  #line;
  #seat;
  #handlers;
  #refusal = null;
  #hangingUp = false;
  #closed = false;

  /**
   * @param {string} url of the server's room socket
   * @param {{room_id: string, key: string, session: string}} seat what `join` says, the same each time
   * @param {object} handlers
   *   up(isUp): the server answers, or no longer does ·
   *   room(room), relay(from, data), refused(reason): as in docs/room.md ·
   *   taken(): the seat is held by a newer page · broken(): the server did not understand this page
   */
  constructor(url, seat, handlers) {
    this.#seat = seat;
    this.#handlers = handlers;
    this.#line = new Line({
      url: () => url,
      question: () => PING,
      askEvery: () => PING_EVERY,
      longestDelay: LONGEST_DELAY,
      opened: () => this._opened(),
      heard: (message) => this._heard(message),
      lost: (code) => this._lost(code),
    });
  }

  /** Say something to the other page. It is lost if the socket is away just now. */
  relay(to, data) {
    this.#line.say({ type: "relay", to, data });
  }

  /** Tell the server, for its figures, how it went to be connected (setup.js); returns whether that was possible. */
  report(media) {
    return this.#line.say({ ...PING, media });
  }

  /** End the call for both and leave. While the server is away this is tried for 30 s. */
  hangUp() {
    if (this.#closed) return;
    this.#handlers = null;
    if (this.#line.say({ type: "hangup" })) {
      this.close();
    } else {
      this.#hangingUp = true;
      setTimeout(() => this.close(), HANGUP_WITHIN);
    }
  }

  /** Leave without a word: the seat stays ours for a while. */
  close() {
    this.#closed = true;
    this.#handlers = null;
    this.#line.close();
  }

  _opened() {
    this.#line.say({ type: "join", ...this.#seat });
    if (this.#hangingUp) {
      this.#line.say({ type: "hangup" });
      this.close();
    }
  }

  _heard(message) {
    switch (message.type) {
      case "room":
        this.#line.settle();
        this.#handlers?.up(true);
        this.#handlers?.room(message);
        break;
      case "relay":
        this.#handlers?.relay(message.from, message.data);
        break;
      case "refused":
        this.#refusal = message.reason;
        this.#handlers?.refused(message.reason);
        break;
    }
  }

  _lost(code) {
    this.#handlers?.up(false);
    if (code === TAKEN || code === BAD_FRAME) {
      const handlers = this.#handlers;
      this.close();
      if (code === TAKEN) handlers?.taken();
      else handlers?.broken();
    } else if (code === REFUSED && this.#refusal !== "full") {
      this.close();
    }
    return code === REFUSED ? FULL_AGAIN_AFTER : undefined;
  }
}
