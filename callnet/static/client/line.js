/**
 * A WebSocket that comes back: what was lost is opened again, later each time, and a path that died without
 * a word is found out by questions that nobody answers.
 */

const LOOK_EVERY = 2_000;
const DEAD_AFTER = 6_000;
const FIRST_DELAY = 500;

export class Line {
  #options;
  #socket = null;
  #looking = null;
  #retrying = null;
  #unansweredSince = null;
  #askedAt = 0;
  #failures = 0;
  #isClosed = false;

  /**
   * @param {object} options
   *   url(): where to, asked before each attempt · protocols(): the subprotocols to offer, none by default ·
   *   question(): a frame to which a living server answers with any other, or null if there is none ·
   *   askEvery(): milliseconds between two questions · longestDelay: milliseconds, the most between two attempts ·
   *   opened(protocol) with the subprotocol that was chosen, "" for none · heard(frame) ·
   *   lost(code, wasOpen): closed with this code, or null if it fell silent; returns the milliseconds until the
   *   next attempt, or undefined to leave that to the line
   */
  constructor(options) {
    this.#options = options;
    globalThis.addEventListener?.("online", this.#online);
    this._connect();
  }

  get isOpen() {
    return this.#socket?.readyState === 1;
  }

  /** Send a frame. Returns false if it cannot be sent just now: then it is not. */
  say(frame) {
    if (!this.isOpen) return false;
    this.#socket.send(JSON.stringify(frame));
    return true;
  }

  /** Find out now whether the server still answers. */
  ask() {
    const question = this.isOpen ? this.#options.question() : null;
    if (question === null) return;
    this.#askedAt = performance.now();
    if (this.#unansweredSince === null) this.#unansweredSince = this.#askedAt;
    this.say(question);
  }

  /** The server let us in: should it be lost, the next attempts come quickly again. */
  settle() {
    this.#failures = 0;
  }

  /** Close it for good; nothing is reported any more. */
  close() {
    this.#isClosed = true;
    globalThis.removeEventListener?.("online", this.#online);
    clearTimeout(this.#retrying);
    this._abandon();
  }

  _connect() {
    const { url, protocols = () => [] } = this.#options;
    const socket = new WebSocket(url(), protocols());
    let wasOpen = false;
    const mine = (handle) => (event) => {
      if (socket === this.#socket) handle(event);
    };
    socket.onopen = mine(() => {
      wasOpen = true;
      this._opened(socket.protocol);
    });
    socket.onmessage = mine(({ data }) => this._heard(data));
    socket.onclose = mine(({ code }) => this._lost(code, wasOpen));
    this.#socket = socket;
    this.#askedAt = this.#unansweredSince = performance.now();
    this.#looking = setInterval(() => this._look(), LOOK_EVERY);
  }

  _opened(protocol) {
    this.#options.opened(protocol);
    // Who can ask nothing cannot expect an answer.
    if (this.#options.question() === null) this.#unansweredSince = null;
  }

  _heard(data) {
    this.#unansweredSince = null;
    this.#options.heard(JSON.parse(data));
  }

  // What counts is the oldest question without an answer, not when anything was last heard: the timers
  // of a page in the background may run once a minute only.
  _look() {
    const now = performance.now();
    if (this.#unansweredSince !== null && now - this.#unansweredSince >= DEAD_AFTER) this._lost(null, this.isOpen);
    else if (now - this.#askedAt >= this.#options.askEvery() - LOOK_EVERY / 2) this.ask();
  }

  _lost(code, wasOpen) {
    this._abandon();
    const delay = this.#options.lost(code, wasOpen);
    if (this.#isClosed) return;
    this.#retrying = setTimeout(() => this._connect(), delay === undefined ? this._backOff() : delay);
  }

  _backOff() {
    const delay = Math.min(this.#options.longestDelay, FIRST_DELAY * 2 ** this.#failures);
    this.#failures += 1;
    return delay * (0.5 + Math.random());
  }

  _abandon() {
    clearInterval(this.#looking);
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
}
