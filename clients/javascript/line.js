/**
 * A WebSocket that comes back: what was lost is opened again, later each time, and a path that died without
 * a word is found out by questions that nobody answers, sooner where the network may be another one.
 */

const LOOK_EVERY = 2_000;
const DEAD_AFTER = 6_000;
/** The time that a doubted server may take: if the doubt is wrong a new socket costs little ... */
const ANSWER_WITHIN = 1_500;
/** ... and as many of the path's round trips, for an answer that has to be sent again. */
const ROUND_TRIPS = 4;
/** A path that is bad but not dead does not get better by one socket after the other. */
const URGENT_EVERY = 10_000;
/** The most by which a doubt of the program's waits longer: what it doubts, others may doubt in the same moment. */
const SPREAD = 500;
const FIRST_DELAY = 500;
const OPEN = 1;
/** How a socket was closed that broke. */
const BROKEN = 1006;
/** The close code of a socket that may be dead: unlike a goodbye, it acknowledges nothing that the server sent. */
const ABANDONED = 4000;

/** @typedef {import("./types.js").Frame} Frame */
/** @typedef {import("./types.js").Socket} Socket */
/** @typedef {import("./types.js").SocketClass} SocketClass */

/**
 * @typedef {object} LineOptions
 * @property {SocketClass} WebSocket
 * @property {() => string} url where to, asked before each attempt
 * @property {() => string[]} protocols the subprotocols to offer
 * @property {() => Frame | null} question a frame to which a living server answers with `pong`, or null if there is none
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
  /** @type {ReturnType<typeof setTimeout> | undefined} Until the next attempt. */
  #retrying = undefined;
  /** Whether the server has named the time of the next attempt. */
  #isAppointed = false;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #checking = undefined;
  /** @type {number | null} */
  #unansweredSince = null;
  #askedAt = 0;
  #roundTrip = 0;
  #urgentAt = -Infinity;
  #networkType = networkOf()?.type;
  #failures = 0;
  #isClosed = false;

  /** @param {LineOptions} options */
  constructor(options) {
    this.#options = options;
    globalThis.addEventListener?.("online", this.#online);
    networkOf()?.addEventListener?.("change", this.#changed);
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

  /**
   * Find out now whether the server still answers: a socket over which it does not soon is replaced at once, and where
   * there is none the next attempt is made now, unless the server has named its time.
   */
  check() {
    this._check(SPREAD * Math.random());
    if (this.#isAppointed || this.#retrying === undefined || !this._mayBeUrgent()) return;
    this.#urgentAt = performance.now();
    this._hurry();
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
    networkOf()?.removeEventListener?.("change", this.#changed);
    clearTimeout(this.#retrying);
    this.#retrying = undefined;
    const socket = this.#socket;
    this._abandon(1000);
    if (socket === null) return Promise.resolve();
    return new Promise((resolve) => {
      socket.onclose = socket.onerror = () => resolve();
    });
  }

  /** @private */
  _connect() {
    this.#retrying = undefined;
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
    const frame = JSON.parse(data);
    if (frame.type === "pong" && this.#unansweredSince !== null) {
      this.#roundTrip = performance.now() - this.#unansweredSince;
    }
    this.#unansweredSince = null;
    this._checked();
    this.#options.heard(frame);
  }

  /**
   * @private
   * @param {number} longer milliseconds
   */
  _check(longer) {
    const asks = this._ask();
    if (!asks || this.#checking !== undefined || !this._mayBeUrgent()) return;
    const within = Math.max(ANSWER_WITHIN, ROUND_TRIPS * this.#roundTrip) + longer;
    this.#checking = setTimeout(() => {
      this.#urgentAt = performance.now();
      this._lost(null, true, 0);
    }, within);
  }

  /** @private */
  _mayBeUrgent() {
    return performance.now() - this.#urgentAt >= URGENT_EVERY;
  }

  /** @private @returns {boolean} false if there is nobody to ask */
  _ask() {
    const question = this.isOpen ? this.#options.question() : null;
    if (question === null) return false;
    this.#askedAt = performance.now();
    if (this.#unansweredSince === null) this.#unansweredSince = this.#askedAt;
    return this.say(question);
  }

  /** @private */
  _checked() {
    clearTimeout(this.#checking);
    this.#checking = undefined;
  }

  /**
   * What counts is the oldest question without an answer, not when anything was last heard: the timers
   * of a page in the background may run once a minute only.
   * @private
   */
  _look() {
    const now = performance.now();
    if (this.#unansweredSince !== null && now - this.#unansweredSince >= DEAD_AFTER) this._lost(null, this.isOpen);
    else if (now - this.#askedAt >= this.#options.askEvery() - LOOK_EVERY / 2) this._ask();
  }

  /**
   * @private
   * @param {number | null} code
   * @param {boolean} wasOpen
   * @param {number} [soon] the delay in place of the line's own
   */
  _lost(code, wasOpen, soon) {
    this._abandon(ABANDONED);
    const named = this.#options.lost(code, wasOpen);
    if (this.#isClosed) return;
    this.#isAppointed = named !== undefined;
    this.#retrying = setTimeout(() => this._connect(), named ?? soon ?? this._backOff());
  }

  /** @private */
  _backOff() {
    const delay = Math.min(this.#options.longestDelay, FIRST_DELAY * 2 ** this.#failures);
    this.#failures += 1;
    return delay * (0.5 + Math.random());
  }

  /**
   * @private
   * @param {number} code
   */
  _abandon(code) {
    clearInterval(this.#looking);
    this._checked();
    const socket = this.#socket;
    this.#socket = null;
    // On a dead path the closing handshake takes minutes; nobody waits for it.
    socket?.close(code);
  }

  /**
   * Do not wait for the next attempt.
   * @private
   */
  _hurry() {
    if (this.#retrying === undefined) return;
    clearTimeout(this.#retrying);
    this._connect();
  }

  #online = () => {
    this._hurry();
    this._check(0);
  };

  // Browsers tell of each new estimate of its speed as well.
  #changed = () => {
    const type = networkOf()?.type;
    if (type === this.#networkType) return;
    this.#networkType = type;
    this._check(0);
  };
}

/**
 * The network as some browsers tell of it.
 * @returns {EventTarget & { type?: string } | undefined}
 */
function networkOf() {
  return /** @type {any} */ (globalThis.navigator)?.connection;
}
