/**
 * One call, from the first ring to its end.
 *
 *   outgoing:  calling ──▶ ringing ──▶ active ──▶ over
 *   incoming:              ringing ──▶ active ──▶ over
 *
 * `calling` becomes `ringing` when a device of the other side is known to ring, which only the extended protocol
 * tells. Any state may be followed by `over`, and nothing follows that.
 */

export class Call {
  #answers;

  /** "calling" "ringing" "active" or "over". */
  state = "ringing";
  /** "" until it is known. Whoever knows it can enter the room. */
  roomId = "";
  /** The address of the call's page on the server's site. */
  page = "";
  /** What the owner of this phone calls the other side, as the server says it; "" if nothing. */
  name = "";
  /** What became of the other side's connection while the call is active: "here" or "reconnecting". */
  otherSide = "here";
  /** Why it is over, in the words of the protocol (reasons.js); "" before. */
  reason = "";
  /** Whether this device ended it. */
  isOwnEnd = false;
  /** Whether the server has lost its memory of the call: whether it goes on, its page alone knows. */
  isForgotten = false;
  /** When it was answered and when it ended, on the clock of Date.now(); null before. */
  answeredAt = null;
  endedAt = null;

  /**
   * @param {"incoming" | "outgoing"} direction
   * @param {{phone: string, deviceId: string}} peer deviceId: `*` while all devices of that phone are called
   * @param {object} answers what is done at accept(call), refuse(call) and hangUp(call)
   */
  constructor(direction, peer, answers) {
    this.direction = direction;
    this.peer = peer;
    /** Which device, or `*`, to call to try it again. */
    this.asked = direction === "outgoing" ? peer.deviceId : "*";
    this.#answers = answers;
  }

  get isIncoming() {
    return this.direction === "incoming";
  }

  get isOver() {
    return this.state === "over";
  }

  /** Milliseconds for which it was active; null: never. */
  get duration() {
    return this.answeredAt === null ? null : (this.endedAt ?? Date.now()) - this.answeredAt;
  }

  /** Accept a call that comes in. */
  accept() {
    this.#answers.accept(this);
  }

  /** Refuse a call that comes in. */
  refuse() {
    this.#answers.refuse(this);
  }

  /** End it, whatever state it is in: hang up, cancel, or refuse. */
  hangUp() {
    this.#answers.hangUp(this);
  }
}
