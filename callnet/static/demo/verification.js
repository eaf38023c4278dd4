/**
 * The short code that two people compare, so that nobody is between them unseen: no DOM, no WebRTC.
 *
 * docs/verification.md has the protocol, clients/python/callnet_client/verification.py the same for other clients. One run for each
 * RTCPeerConnection, over the notes of its data channel; all other notes of the three kinds break it:
 *
 *   side      has              expects   then
 *   offerer   sent `commit`    nonce     sends `reveal`, shows the code
 *   answerer  nothing          commit    sends `nonce`
 *   answerer  sent `nonce`     reveal    shows the code, if it fits
 *
 * A run that shows its code, or is broken, expects nothing, and nothing that comes changes it.
 */

const KINDS = new Set(["commit", "nonce", "reveal"]);
const NONCE = 32;
const SIGNS = 6;
const COMMITMENT = "callnet verification commitment 1";
const CODE = "callnet verification 1";

/** Whatever any browser could take for a fingerprint. */
const FINGERPRINT = /a=[ \t]*fingerprint([^\r\n]*)/gi;
const SHA_256 = /^: *sha-256 +([0-9A-F]{2}(?::[0-9A-F]{2}){31}) *$/i;
const VALUE = /^[0-9a-f]{64}$/;

export class Verification {
  #offers;
  #handlers;
  #nonce = crypto.getRandomValues(new Uint8Array(NONCE));
  #work = Promise.resolve();
  #hasBegun = false;
  #fingerprints = null;
  #expected = "";
  #commitment = "";

  /** "pending", "shown", "broken": the people are to be warned, or "unavailable": this browser cannot do it here. */
  state = "pending";
  /** The places of six emoji in emoji.js while they are to be shown, else null. */
  code = null;

  /**
   * @param {object} options
   *   offers: whether this side makes the offers ·
   *   handlers: fingerprints() resolves to `{ours, theirs}`, the SHA-256 of both certificates as 64 hex digits, and
   *   rejects if they are not certain · say(note) to the other side · changed() when the state has changed
   */
  constructor({ offers, handlers }) {
    this.#offers = offers;
    this.#handlers = handlers;
  }

  /** The data channel is open. */
  begin() {
    if (this.#hasBegun) return;
    this.#hasBegun = true;
    this._enqueue(() => this._begin());
  }

  /** Take a note of the other side; returns whether it was one for this run. */
  hear(note) {
    const isMine = typeof note === "object" && note !== null && KINDS.has(note.kind);
    if (isMine) {
      this.begin();
      this._enqueue(() => this._take(note));
    }
    return isMine;
  }

  /**
   * A new description is in force: make sure that it is about the same certificates. If not, the code is taken back.
   * Resolves when that, and all that came before, is done.
   */
  recheck() {
    if (this.#hasBegun) this._enqueue(() => this._recheck());
    return this.#work;
  }

  /** Nothing is said or reported any more. */
  close() {
    this.#handlers = null;
  }

  // The steps run one after another, so what comes while something is computed waits for its turn.
  _enqueue(step) {
    const isOver = () => this.#handlers === null || this.state === "broken" || this.state === "unavailable";
    const fail = (error) => {
      if (isOver()) return;
      console.warn("verification:", error.message);
      this._become("broken");
    };
    this.#work = this.#work.then(() => (isOver() ? undefined : step())).catch(fail);
  }

  async _begin() {
    if (crypto.subtle === undefined) {
      this._become("unavailable");
      return;
    }
    this.#fingerprints = this._inOrder(await this.#handlers.fingerprints());
    this.#expected = this.#offers ? "nonce" : "commit";
    if (this.#offers) this._say({ kind: "commit", hash: await commitment(this.#fingerprints, toHex(this.#nonce)) });
  }

  async _take(note) {
    if (this.state === "shown") return;
    if (note.kind !== this.#expected) throw new Error(`a note out of order: ${note.kind}`);
    this.#expected = "";
    const value = note.kind === "commit" ? note.hash : note.nonce;
    if (typeof value !== "string" || !VALUE.test(value)) throw new Error(`a malformed note: ${note.kind}`);
    const ours = toHex(this.#nonce);
    switch (note.kind) {
      case "commit":
        this.#commitment = value;
        this.#expected = "reveal";
        this._say({ kind: "nonce", nonce: ours });
        break;
      case "nonce":
        await this._show(ours, value);
        this._say({ kind: "reveal", nonce: ours });
        break;
      case "reveal":
        if ((await commitment(this.#fingerprints, value)) !== this.#commitment) throw new Error("another nonce");
        await this._show(value, ours);
        break;
    }
  }

  async _show(offerers, answerers) {
    this._become("shown", await codeOf(this.#fingerprints, offerers, answerers));
  }

  async _recheck() {
    const { offerer, answerer } = this._inOrder(await this.#handlers.fingerprints());
    if (offerer !== this.#fingerprints.offerer || answerer !== this.#fingerprints.answerer) {
      throw new Error("another certificate");
    }
  }

  _inOrder({ ours, theirs }) {
    return this.#offers ? { offerer: ours, answerer: theirs } : { offerer: theirs, answerer: ours };
  }

  _become(state, code = null) {
    this.state = state;
    this.code = code;
    this.#handlers?.changed();
  }

  _say(note) {
    this.#handlers?.say(note);
  }
}

/**
 * The one SHA-256 fingerprint of a description (RFC 8122) as 64 hex digits. A second one, or one by another hash,
 * could be the one that a browser goes by: with such a description this throws.
 */
export function fingerprintIn(sdp) {
  const found = Array.from(sdp.matchAll(FINGERPRINT), ([, text]) => SHA_256.exec(text));
  const values = new Set(found.map((match) => match && match[1].toLowerCase()));
  const [value] = values;
  if (values.size !== 1 || !value) throw new Error("the description does not have one SHA-256 fingerprint, and no other");
  return value.split(":").join("");
}

/** What the offerer sends of its nonce before it has seen the other one. All values are 64 hex digits. */
export async function commitment({ offerer, answerer }, nonce) {
  return toHex(await hashOf(COMMITMENT, offerer, answerer, nonce));
}

/** The code that comes of both certificates and both nonces: six numbers from 0 to 63. */
export async function codeOf({ offerer, answerer }, offerers, answerers) {
  const bits = Array.from(await hashOf(CODE, offerer, answerer, offerers, answerers), (byte) =>
    byte.toString(2).padStart(8, "0"),
  ).join("");
  return Array.from({ length: SIGNS }, (_, place) => parseInt(bits.slice(place * 6, place * 6 + 6), 2));
}

/** The SHA-256 of bytes, in bytes. */
export async function sha256(bytes) {
  return new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
}

/** Bytes as hex digits. */
export function toHex(bytes) {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

function hashOf(label, ...values) {
  const pairs = values.join("").match(/../g);
  return sha256(Uint8Array.from([...new TextEncoder().encode(label), ...pairs.map((pair) => parseInt(pair, 16))]));
}
