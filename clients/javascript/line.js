/**
 * A WebSocket that comes back: what was lost is opened again, later each time, and a path that died without
 * a word is found out by questions that nobody answers.
 */

const LOOK_EVERY = 2_000;
const DEAD_AFTER = 6_000;
const FIRST_DELAY = 500;
const OPEN = 1;
/** How a socket was closed that broke. */
const BROKEN = 1006;

/** @typedef {import("./types.js").Frame} Frame */
/** @typedef {import("./types.js").Socket} Socket */
/** @typedef {import("./types.js").SocketClass} SocketClass */

/**
 * @typedef {object} LineOptions
 * @property {SocketClass} WebSocket
 * @property {() => string} url where to, asked before each attempt
 * @property {() => string[]} protocols the subprotocols to offer
 * @property {() => Frame | null} question a frame to which a living server answers with any other, or null if there is none
 * @property {() => number} askEvery milliseconds between two questions
 * @property {number} longestDelay milliseconds, the most between two attempts
 * @property {(protocol: string) => void} opened with the subprotocol that was chosen, "" for none
 * @property {(frame: any) => void} heard
 * @property {(code: number | null, wasOpen: boolean) => number | undefined} lost closed with this code, or null if it
 *   fell silent; returns the milliseconds until the next attempt, or undefined to leave that to the line
 */

/**
 * The class to open sockets with: the given one, else that of the browser or of Node.js.
 * @param {SocketClass | undefined} given
 * @returns {SocketClass}
 */
export function socketClass(given) {
  const found = given ?? globalThis.WebSocket;
  if (found === undefined) {
    throw new Error(
      "callnet-client needs a WebSocket, and Node.js 20 and 21 have none by themselves: " +
        "start it with `node --experimental-websocket`, or give a class as the option WebSocket",
    );
  }
  return found;
}

/**
 * The address of a WebSocket of a site.
 * @param {string} site its origin
 * @param {string} path
 */
export function socketUrl(site, path) {
  const url = new URL(path, site);
  url.protocol = url.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

export class Line {
  #options;
  /** @type {Socket | null} */
  #socket = null;
  /** @type {ReturnType<typeof setInterval> | undefined} */
  #looking = undefined;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #retrying = undefined;
  /** @type {number | null} */
  #unansweredSince = null;
  #askedAt = 0;
  #failures = 0;
  #isClosed = false;

  /** @param {LineOptions} options */
  constructor(options) {
    this.#options = options;
    globalThis.addEventListener?.("online", this.#online);
    this._connect();
  }

  get isOpen() {
    return this.#socket?.readyState === OPEN;
  }

  /**
   * Send a frame. Returns false if it cannot be sent just now: then it is not.
   * @param {Frame} frame
   */
  say(frame) {
    if (this.#socket?.readyState !== OPEN) return false;
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

  /**
   * Close it for good; nothing is reported any more.
   * @returns {Promise<void>} of the moment at which the socket is gone
   */
  close() {
    this.#isClosed = true;
    globalThis.removeEventListener?.("online", this.#online);
    clearTimeout(this.#retrying);
    const socket = this.#socket;
    this._abandon();
    if (socket === null) return Promise.resolve();
    return new Promise((resolve) => {
      socket.onclose = socket.onerror = () => resolve();
    });
  }

  /** @private */
  _connect() {
    const { WebSocket, url, protocols } = this.#options;
    const socket = new WebSocket(url(), protocols());
    let wasOpen = false;
    /** @param {(event: any) => void} handle */
    const mine = (handle) => (/** @type {any} */ event) => {
      if (socket === this.#socket) handle(event);
    };
    socket.onopen = mine(() => {
      wasOpen = true;
      this._opened(socket.protocol);
    });
    socket.onmessage = mine(({ data }) => this._heard(data));
    socket.onclose = mine(({ code }) => this._lost(code, wasOpen));
    // Of an attempt that failed Node.js 20 tells the error and not the end.
    socket.onerror = mine(() => this._lost(BROKEN, wasOpen));
    this.#socket = socket;
    this.#askedAt = this.#unansweredSince = performance.now();
    this.#looking = setInterval(() => this._look(), LOOK_EVERY);
  }

  /**
   * @private
   * @param {string} protocol
   */
  _opened(protocol) {
    this.#options.opened(protocol);
    // Who can ask nothing cannot expect an answer.
    if (this.#options.question() === null) this.#unansweredSince = null;
  }

  /**
   * @private
   * @param {string} data
   */
  _heard(data) {
    this.#unansweredSince = null;
    this.#options.heard(JSON.parse(data));
  }

  /**
   * What counts is the oldest question without an answer, not when anything was last heard: the timers
   * of a page in the background may run once a minute only.
   * @private
   */
  _look() {
    const now = performance.now();
    if (this.#unansweredSince !== null && now - this.#unansweredSince >= DEAD_AFTER) this._lost(null, this.isOpen);
    else if (now - this.#askedAt >= this.#options.askEvery() - LOOK_EVERY / 2) this.ask();
  }

  /**
   * @private
   * @param {number | null} code
   * @param {boolean} wasOpen
   */
  _lost(code, wasOpen) {
    this._abandon();
    const delay = this.#options.lost(code, wasOpen);
    if (this.#isClosed) return;
    this.#retrying = setTimeout(() => this._connect(), delay === undefined ? this._backOff() : delay);
  }

  /** @private */
  _backOff() {
    const delay = Math.min(this.#options.longestDelay, FIRST_DELAY * 2 ** this.#failures);
    this.#failures += 1;
    return delay * (0.5 + Math.random());
  }

  /** @private */
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
