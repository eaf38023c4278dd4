/**
 * The room socket (docs/room.md): takes a seat, relays, and keeps trying while the network is away.
 */

const PING_EVERY = 2_000;
const DEAD_AFTER = 6_000;
const FULL_AGAIN_AFTER = 5_000;
const FIRST_DELAY = 500;
const LONGEST_DELAY = 8_000;
const HANGUP_WITHIN = 30_000;

const REFUSED = 4403;
const BAD_FRAME = 4400;
const TAKEN = 4409;

export class RoomSocket {
  #url;
  #seat;
  #handlers;
  #socket = null;
  #beating = null;
  #retrying = null;
  #unansweredSince = null;
  #failures = 0;
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
    this.#url = url;
    this.#seat = seat;
    this.#handlers = handlers;
    window.addEventListener("online", this.#online);
    this._connect();
  }

  /** Say something to the other page. It is lost if the socket is away just now. */
  relay(to, data) {
    this._say({ type: "relay", to, data });
  }

  /** End the call for both and leave. While the server is away this is tried for 30 s. */
  hangUp() {
    if (this.#closed) return;
    this.#handlers = null;
    if (this._isOpen()) {
      this._say({ type: "hangup" });
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
    window.removeEventListener("online", this.#online);
    clearTimeout(this.#retrying);
    this._abandon();
  }

  _connect() {
    const socket = new WebSocket(this.#url);
    const mine = (handle) => (event) => {
      if (socket === this.#socket) handle(event);
    };
    socket.onopen = mine(() => this._opened());
    socket.onmessage = mine(({ data }) => this._heard(JSON.parse(data)));
    socket.onclose = mine(({ code }) => this._lost(code));
    this.#socket = socket;
    this.#unansweredSince = performance.now();
    this.#beating = setInterval(() => this._beat(), PING_EVERY);
  }

  _opened() {
    this._say({ type: "join", ...this.#seat });
    if (this.#hangingUp) {
      this._say({ type: "hangup" });
      this.close();
    }
  }

  _heard(message) {
    this.#unansweredSince = null;
    switch (message.type) {
      case "room":
        this.#failures = 0;
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

  // What counts is the oldest question without an answer, not when anything was last heard: the timers
  // of a page in the background may run once a minute only.
  _beat() {
    const now = performance.now();
    if (this.#unansweredSince !== null && now - this.#unansweredSince >= DEAD_AFTER) {
      this._lost(null);
      return;
    }
    if (this._isOpen()) {
      this.#unansweredSince = this.#unansweredSince ?? now;
      this._say({ type: "ping" });
    }
  }

  _lost(code) {
    this._abandon();
    this.#handlers?.up(false);
    if (code === TAKEN || code === BAD_FRAME) {
      const handlers = this.#handlers;
      this.close();
      if (code === TAKEN) handlers?.taken();
      else handlers?.broken();
    } else if (code === REFUSED && this.#refusal !== "full") {
      this.close();
    } else {
      this.#retrying = setTimeout(() => this._connect(), this._delay(code));
    }
  }

  _delay(code) {
    if (code === REFUSED) return FULL_AGAIN_AFTER;
    const delay = Math.min(LONGEST_DELAY, FIRST_DELAY * 2 ** this.#failures);
    this.#failures += 1;
    return delay * (0.5 + Math.random());
  }

  _abandon() {
    clearInterval(this.#beating);
    const socket = this.#socket;
    this.#socket = null;
    // On a dead path the closing handshake takes minutes; nobody waits for it.
    socket?.close();
  }

  #online = () => {
    if (this.#socket !== null) return;
    clearTimeout(this.#retrying);
    this._connect();
  };

  _isOpen() {
    return this.#socket?.readyState === WebSocket.OPEN;
  }

  _say(message) {
    if (this._isOpen()) this.#socket.send(JSON.stringify(message));
  }
}
