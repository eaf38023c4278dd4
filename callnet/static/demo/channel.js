/**
 * The data channel `notes` of one RTCPeerConnection: over it the two pages tell each other something directly
 * (notes.js), and find out whether somebody is in between (verification.js).
 */

import { verificationOf } from "./fingerprints.js";
import { readNote } from "./notes.js";

/** Notes that are heard at once, and milliseconds for each after that. A page that draws more stands still, with its buttons. */
const MOST_AT_ONCE = 50;
const EACH = 50;

export class Channel {
  #channel;
  /** When the notes that were heard will have had their time, performance.now(). */
  #doneAt = 0;

  /** The run of the verification; another one for each RTCPeerConnection. */
  verification;

  /**
   * @param {RTCPeerConnection} peer
   * @param {boolean} offers whether this side makes the offers
   * @param {object} handlers opened(), closed(), heard(note): one that is not of the verification,
   *   verified(): that has changed, settled() resolves when the descriptions are in force
   */
  constructor(peer, offers, { opened, closed, heard, verified, settled }) {
    const channel = peer.createDataChannel("notes", { negotiated: true, id: 0 });
    this.verification = verificationOf(peer, { settled, offers, say: (note) => this.tell(note), changed: verified });
    channel.onopen = opened;
    channel.onclose = closed;
    channel.onmessage = ({ data }) => {
      if (!this._mayBeHeard()) return;
      const note = readNote(data);
      if (note !== null && !this.verification.hear(note)) heard(note);
    };
    this.#channel = channel;
  }

  get isOpen() {
    return this.#channel.readyState === "open";
  }

  get isClosed() {
    return this.#channel.readyState === "closed";
  }

  /** Tell the other page something; returns whether that was possible. */
  tell(note) {
    const { isOpen } = this;
    if (isOpen) this.#channel.send(JSON.stringify(note));
    return isOpen;
  }

  _mayBeHeard() {
    const now = performance.now();
    const doneAt = Math.max(this.#doneAt, now) + EACH;
    if (doneAt > now + MOST_AT_ONCE * EACH) return false;
    this.#doneAt = doneAt;
    return true;
  }
}
