/**
 * What the frames of the signaling protocol mean for the call that a device is in, or none, and for a second one that
 * rings meanwhile, or is held.
 *
 * A frame that is about another call than these changes nothing. What is over for this device stays so: should a server
 * that has not heard of the end speak of it again, it is told again. So is the choice between two calls.
 *
 * The same rules are in `clients/python/callnet_client/calls.py`; tests/client_stories holds both to the same.
 */

import { Call } from "./call.js";
import { Ended } from "./ended.js";

/** How long after its welcome the server may still say what became of a call that it did not mention there. */
const DOUBT = 1_000;
/** A ring that the server does not end in time, because the connection is lost, ends this long after. */
const LATE = 3_000;
/** Seconds that a device rings if the server does not say. */
const RING_TIME = 60;
const LONGEST = RING_TIME * 1_000 + LATE;
/** The reasons with which a request ends by which the device has not left a call that rings it. */
const REFUSED_AT_ONCE = ["failed", "invalid", "self", "rate_limited", "shutting_down", "unavailable"];

/** @typedef {import("./types.js").Address} Address */
/** @typedef {import("./types.js").Answers} Answers */
/** @typedef {import("./types.js").Frame} Frame */
/** @typedef {import("./types.js").RememberedCall} RememberedCall */

export class Calls {
  #say;
  #changed;
  #during;
  #canWait;
  #asked = 0;
  #exchanged = 0;
  #request = "";
  #isExtended = false;
  /** Whether the answer to the call that the device has placed has an id. */
  #isNamed = false;
  /** Whether there was a welcome on this connection. */
  #isWelcomed = false;
  /** @type {Call | null} The call that the device has asked for or accepted on this connection. */
  #own = null;
  /** @type {Frame | null} The `called` that came while the server has yet to answer the request of the device. */
  #crossed = null;
  #ended = new Ended();
  /** @type {Map<Call, ReturnType<typeof setTimeout>>} The ends of calls that ring, and the doubts about others. */
  #clocks = new Map();
  /** @type {Answers} */
  #answers = {
    accept: (call, byItself, hold) => this._accept(call, byItself, hold),
    refuse: (call) => (isRung(call) ? this._hangUp(call) : undefined),
    hangUp: (call) => this._hangUp(call),
    signal: (call, data, ofPage) => this._signal(call, data, ofPage),
  };

  /** @type {Call | null} The call that the device is in. */
  present = null;
  /** @type {Call | null} The one beside it, which rings or is held. When the present one ends it takes its place. */
  #second = null;

  /**
   * @param {(frame: Frame) => boolean} say sends a frame, now or as soon as the server is back; a signal now or not at
   *   all, and returns whether it was now
   * @param {(call: Call) => void} changed is told of each change of a call
   * @param {(work: () => void) => void} during does some work, and has `changed` told only afterwards
   * @param {boolean} canWait whether a call may ring while another one is active; else it takes the place of that
   */
  constructor(say, changed, during, canWait) {
    this.#say = say;
    this.#changed = changed;
    this.#during = during;
    this.#canWait = canWait;
  }

  /** A call that rings while the present one is active, or null. */
  get waiting() {
    return this.#second?.state === "ringing" ? this.#second : null;
  }

  /** An active call that this device holds while it is in the present one, or null. */
  get held() {
    return this.#second?.state === "active" ? this.#second : null;
  }

  /**
   * Call a device, or with `*` all devices of a phone. The device leaves its calls.
   * @param {string} phone
   * @param {string} deviceId
   */
  place(phone, deviceId) {
    const rung = this.waiting ?? this.present;
    if (rung !== null && isRung(rung) && rung.peer.phone === phone) {
      rung.accept();
      return rung;
    }
    const call = this._beginOwn({ phone, deviceId });
    this.#say({ type: "call", to_phone: phone, to_device_id: deviceId, id: this.#request });
    this._note(call);
    return call;
  }

  /**
   * Take over a call of another device of the phone. The device leaves its calls.
   * @param {string} roomId
   */
  pull(roomId) {
    const call = this._beginOwn({ phone: "", deviceId: "" });
    call.roomId = roomId;
    this.#say({ type: "pull", room_id: roomId, id: this.#request });
    this._note(call);
    return call;
  }

  /**
   * Be in a call that this device was in before its program began anew, and that may be over by now.
   * @param {RememberedCall} remembered
   */
  resume({ direction, peer, roomId, page, name, answeredAt, isOnHold = false }) {
    const call = this._begin(direction, peer);
    Object.assign(call, { state: "active", roomId, page, name, answeredAt, isOnHold });
    this._note(call);
  }

  /**
   * A connection is open. What is asked for on an extended one is answered by its id there.
   * @param {boolean} isExtended
   */
  connected(isExtended) {
    this.#isExtended = isExtended;
    this.#isNamed = this.#isWelcomed = false;
    this.#own = this.#crossed = null;
    if (isExtended) return;
    // Here nobody says that the server knows of no call; nor would it that another one rings on for longer.
    for (const call of this._all()) {
      if (call.state === "active" || this.#clocks.has(call)) continue;
      this._startClock(call, LONGEST, () => {
        this._tellEnd(isRung(call), call.peer, call.roomId);
        this._end(call, "forgotten");
      });
    }
  }

  /** Go on with the held call, and hold the present one. */
  swap() {
    const { held } = this;
    if (held === null) return;
    this._tellResume(held);
    this._exchange();
    this._note(held);
  }

  /** @private */
  _exchange() {
    [this.present, this.#second] = [this.#second, this.present];
    if (this.#second !== null) this._note(this.#second);
  }

  /**
   * Take what the server says at the beginning of a connection of the call that the device is in, and of the one that it
   * holds. A second time on one connection it overrules neither what the server has yet to handle, nor what it rings.
   * @param {Record<string, any> | undefined} view
   * @param {Record<string, any> | undefined} held
   */
  welcomed(view, held) {
    const isAgain = this.#isWelcomed;
    this.#isWelcomed = true;
    if (isAgain && this._isAhead(view, held)) return;
    const stays = isAgain && this.#canWait && held === undefined;
    if (view !== undefined && view.room_id === this.held?.roomId) {
      if (this.present !== null && held?.room_id === this.present.roomId) {
        // The server does not know of an exchange.
        this._tellResume(this.present);
        [view, held] = [held, view];
      } else {
        // The other one has ended.
        [this.present, this.#second] = [this.held, this.present];
      }
    }
    // On another connection the server has a second call ring no more.
    if (this.waiting !== null && !stays) this._end(this.waiting, "busy");
    this._welcomed(view, stays);
    if (view === undefined && this.held !== null) this._doubt(this.held);
    else this._welcomedHeld(held);
  }

  /** @private @param {Record<string, any> | undefined} view */
  _welcomedHeld(view) {
    const { held } = this;
    if (held !== null && view?.room_id !== held.roomId) this.noteEnd(held);
    if (view === undefined) return;
    const peer = peerOf(view, "peer");
    if (this._isOver(view.room_id)) this._tellEnd(false, peer, view.room_id);
    else this._activateSeen(this.callIn(view.room_id) ?? this._add(view.direction, peer), view);
  }

  /**
   * Whether the server has yet to handle a call or an accept of the device.
   * @private @param {(Record<string, any> | undefined)[]} views
   */
  _isAhead(...views) {
    const own = this.#own;
    if (own === null || !this._all().includes(own)) return false;
    return own.state === "calling" || (own.isIncoming && views.every((view) => view?.room_id !== own.roomId));
  }

  /** @private @param {Record<string, any> | undefined} view @param {boolean} stays */
  _welcomed(view, stays) {
    const { present } = this;
    const withdrawn = view?.direction === "outgoing" ? view.peer_phone : "";
    if (view !== undefined && !isRing(view) && this._isOver(view.room_id, withdrawn)) {
      this._tellEnd(false, peerOf(view, "peer"), view.room_id);
      view = undefined;
    }
    const known = view !== undefined && present !== null && isAbout(view, present) ? present : null;
    if (view?.state === "active") {
      this._activateSeen(known ?? this._begin(view.direction, peerOf(view, "peer"), stays), view);
    } else if (view !== undefined && known === null && !isRing(view)) {
      const call = this._begin("outgoing", peerOf(view, "peer"));
      call.roomId = view.room_id;
      this._note(call);
    } else if (present !== null && known === null) {
      this._doubt(present);
    } else if (known !== null && !isRung(known)) {
      this._stopClock(known);
    }
    // What rings this device is told by `called`.
  }

  /**
   * Take a frame, whatever it is.
   * @param {Frame} frame
   */
  hear(frame) {
    const { present } = this;
    const { type } = frame;
    if (type === "calling_be_hangup" && frame.room_id) this.#ended.hear(frame.room_id);
    if (type === "called") {
      this._ring(frame);
    } else if (type === "call_success") {
      this._succeed(frame);
    } else if (present === null) {
      return;
    } else if (type === "call_ringing" || type === "call_refuse" || type === "call_failed") {
      if (this._isAsked(frame, present)) this._asked(frame, present);
    } else if (type === "error" && this.#request !== "" && frame.id === this.#request) {
      this._fail(present, "failed");
    } else if (type === "error" && this.held !== null && frame.id === `resume-${this.#exchanged}`) {
      const { held } = this;
      this._exchange();
      this._note(held);
    } else {
      const call = this.callIn(frame.room_id);
      if (call !== null) this._told(frame, call);
    }
  }

  /**
   * The page of a call has seen its end, and the server says nothing: perhaps it has not heard of it.
   * @param {Call} call
   */
  noteEnd(call) {
    if (call.isOver) return;
    this._tellEnd(false, call.peer, call.roomId);
    this._end(call, "over");
  }

  /**
   * The device has logged out, and with that left its calls.
   * @param {boolean} isOwn whether it has done so itself
   */
  revoked(isOwn) {
    for (const call of this._all()) this._end(call, "revoked", isOwn);
  }

  /** The device is closed: nothing more will happen to its calls. */
  left() {
    for (const call of this._all()) {
      this._stopClock(call);
      call._noted(true);
    }
  }

  // What the server says.

  /** @private @param {Frame} frame @param {Call} call */
  _asked({ type, room_id, reason }, call) {
    if (type === "call_ringing") {
      this._stopClock(call);
      this.#crossed = null;
      Object.assign(call, { state: "ringing", roomId: room_id });
      this._note(call);
    } else {
      if (room_id) this.#ended.hear(room_id);
      this._fail(call, reason ?? (type === "call_refuse" ? "refused" : "failed"));
    }
  }

  /**
   * End a call that the device asked for, and ring if the server goes on ringing the device.
   * @private @param {Call} call @param {string} reason
   */
  _fail(call, reason) {
    const crossed = this.#crossed;
    this.#crossed = null;
    this._end(call, reason);
    const isLeft = crossed === null || !REFUSED_AT_ONCE.includes(reason) || this.#ended.wasTold(crossed.room_id);
    if (!isLeft) this._ring(crossed);
  }

  /** @private @param {Frame} frame @param {Call} call */
  _told({ type, state, device_id, reason }, call) {
    if (type === "calling_be_hangup") {
      this._end(call, reason ?? "hangup");
    } else if (type === "peer_state") {
      if (state === "moved") call.peer = { phone: call.peer.phone, deviceId: device_id };
      if (state === "held" || state === "resumed") call.isOnHold = state === "held";
      else call.otherSide = state === "reconnecting" ? "reconnecting" : "here";
      this._note(call);
    }
  }

  /** @private @param {Frame} frame */
  _ring(frame) {
    const { present } = this;
    const peer = peerOf(frame, "from");
    const known = this.callIn(frame.room_id);
    if (this.#ended.has(frame.room_id)) {
      this._tellEnd(true, peer, frame.room_id);
    } else if (known !== null) {
      if (!known.isIncoming || known.state !== "active") return;
      this._tellAccept(known); // it has not heard that this device accepted
      this._stopClock(known);
      if (known.isForgotten) {
        known.isForgotten = false;
        this._note(known);
      }
    } else if (this.#canWait && present?.state === "active") {
      if (this.#second !== null) this._end(this.#second, "over");
      this._beRung(this._add("incoming", peer), frame);
    } else if (present === null || present.isIncoming || present.state === "active" || this.#clocks.has(present)) {
      // Who is rung is in no call, as far as the server knows.
      this._beRung(this._begin("incoming", peer), frame);
    } else if (present.state === "calling") {
      this.#crossed = frame; // the server decides
    }
  }

  /** @private @param {Call} call @param {Frame} frame */
  _beRung(call, frame) {
    const { room_id, page = "", from_name = "", auto_answer = false, expires_in = RING_TIME } = frame;
    const linkName = frame.link_name ?? "";
    const canHold = frame.can_hold ?? false;
    Object.assign(call, { roomId: room_id, page, name: from_name, autoAnswer: auto_answer, linkName, canHold });
    this._startClock(call, expires_in * 1_000 + LATE, () => this._end(call, "no_answer"));
    this._note(call);
  }

  /** @private @param {Frame} frame */
  _succeed(frame) {
    const { present } = this;
    const peer = peerOf(frame, "to");
    if (present !== null && this._isAsked(frame, present)) {
      this._activate(present, frame.room_id, frame.page, peer);
    } else if (this._isOver(frame.room_id, peer.phone)) {
      this._tellEnd(false, peer, frame.room_id);
    } else if (present === null && frame.id === undefined) {
      this._activate(this._begin("outgoing", peer), frame.room_id, frame.page, peer);
    }
  }

  /**
   * Whether a call is over for this device, which has not taken it over since.
   * @private @param {string} roomId @param {string} [phone]
   */
  _isOver(roomId, phone) {
    return (this.#ended.wasTold(roomId) && this.callIn(roomId) === null) || this.#ended.has(roomId, phone);
  }

  // The server has begun anew and knows of no call: media may flow all the same.
  /** @private @param {Call} call */
  _doubt(call) {
    this._startClock(call, DOUBT, () => {
      if (call.state === "active") {
        call.isForgotten = true;
        this._note(call);
      } else {
        this._end(call, "forgotten");
      }
    });
  }

  /** @private @param {Frame} frame @param {Call} call */
  _isAsked({ type, id, room_id, to_phone, to_device_id }, call) {
    if (call.isIncoming || call.state === "active") return false;
    if (id !== undefined) return id === this.#request;
    if (this._isOld({ type, room_id, to_phone })) return false;
    if (room_id && room_id === call.roomId) return true;
    const { phone, deviceId } = call.peer;
    if (to_phone === phone && (deviceId === "*" || deviceId === to_device_id)) return true;
    // The server gives back no address that it cannot accept.
    return type === "call_failed" && to_phone === "";
  }

  /**
   * Whether an answer without an id is to an earlier call: a server that cannot know whether that was heard says so
   * again on the next connection. It gives back no address that it cannot accept, nor perhaps the id.
   * @private @param {Frame} answer
   */
  _isOld({ type, room_id, to_phone }) {
    if (type !== "call_refuse" && type !== "call_failed") return this._isOver(room_id);
    return this.#ended.wasTold(room_id) || (this.#isNamed && to_phone !== "");
  }

  // What the person wants.

  /** @private @param {Call} call @param {boolean} byItself @param {boolean} hold */
  _accept(call, byItself, hold) {
    if (!isRung(call)) return;
    const holds = hold && call.canHold && call === this.waiting;
    this.#during(() => {
      this._tellAccept(call, byItself, holds);
      if (holds) this._exchange();
      else if (call !== this.present && this.present !== null) this._replace(this.present);
      this.#own = call;
      this._activate(call, call.roomId, call.page, call.peer);
    });
  }

  /** @private @param {Call} call */
  _hangUp(call) {
    if (call.isOver) return;
    const reason = call.state === "active" ? "hangup" : isRung(call) ? "refused" : "cancelled";
    this._tellEnd(isRung(call), call.peer, call.roomId);
    this._end(call, reason, true);
  }

  /** @private @param {Call} call @param {unknown} data @param {boolean} ofPage */
  _signal(call, data, ofPage) {
    const isEarly = ofPage && call.state === "ringing" && !call.isIncoming;
    if (call.state !== "active" && !(isEarly && call === this.present)) return false;
    const frame = { type: "signal", room_id: call.roomId, data };
    return this.#say(ofPage ? { ...frame, of_page: true } : frame);
  }

  /** @private @param {Call} call @param {boolean} [byItself] @param {boolean} [hold] */
  _tellAccept({ peer, roomId }, byItself = false, hold = false) {
    const frame = { type: "called_success", from_phone: peer.phone, from_device_id: peer.deviceId, room_id: roomId };
    this.#say({ ...frame, ...(byItself ? { auto_answer: true } : {}), ...(hold ? { hold } : {}) });
  }

  /** @private @param {Call} call */
  _tellResume({ roomId }) {
    this.#exchanged += 1;
    this.#say({ type: "resume", room_id: roomId, id: `resume-${this.#exchanged}` });
  }

  /** @private @param {boolean} wasRung @param {Address} peer @param {string} roomId */
  _tellEnd(wasRung, { phone, deviceId }, roomId) {
    this.#ended.add(roomId, phone);
    this.#say(
      wasRung
        ? { type: "called_refuse", from_phone: phone, from_device_id: deviceId, room_id: roomId }
        : { type: "calling_hangup", notified_phone: phone, notified_device_id: deviceId, room_id: roomId },
    );
  }

  // How a call begins, goes on, and ends.

  /** @private @param {Address} peer */
  _beginOwn(peer) {
    this.#second?.hangUp();
    this.present?.hangUp();
    const call = this._begin("outgoing", peer);
    call.state = "calling";
    this.#ended.beginOwn();
    this.#asked += 1;
    this.#request = `call-${this.#asked}`;
    this.#isNamed = this.#isExtended;
    this.#own = call;
    return call;
  }

  /**
   * Begin a call in place of the others.
   * @private @param {"incoming" | "outgoing"} direction @param {Address} peer
   * @param {boolean} [stays] one that rings goes on ringing beside it
   */
  _begin(direction, peer, stays = false) {
    const rung = (stays && this._all().find(isRung)) || null;
    if (rung === this.present) this.present = null;
    if (rung === this.#second) this.#second = null;
    for (const call of this._all()) this._end(call, "over");
    this.#request = "";
    this.#crossed = null;
    const begun = this._add(direction, peer);
    if (rung !== null) this.#second = rung;
    return begun;
  }

  /** @private @param {"incoming" | "outgoing"} direction @param {Address} peer */
  _add(direction, peer) {
    const call = new Call(direction, peer, this.#answers);
    if (this.present === null) this.present = call;
    else this.#second = call;
    return call;
  }

  /** @private @param {Call} call @param {Record<string, any>} view */
  _activateSeen(call, view) {
    call.isOnHold = view.on_hold ?? false;
    this._activate(call, view.room_id, view.page, peerOf(view, "peer"), view.answered_at);
  }

  /** @private @param {Call} call @param {string} roomId @param {string} page @param {Address} peer @param {number} [answeredAt] */
  _activate(call, roomId, page, peer, answeredAt) {
    this._stopClock(call);
    if (call.state !== "active") call.answeredAt = answeredAt ? answeredAt * 1_000 : Date.now();
    Object.assign(call, { roomId, peer, page: page ?? "", state: "active", isForgotten: false });
    this._note(call);
  }

  /**
   * End a call whose place another one takes: the server knows by that.
   * @private @param {Call} call
   */
  _replace(call) {
    this.#ended.add(call.roomId, call.peer.phone);
    this._end(call, "replaced", true);
  }

  /** @private @param {Call} call @param {string} reason @param {boolean} [isOwn] */
  _end(call, reason, isOwn = false) {
    if (call.isOver) return;
    this._stopClock(call);
    const { held } = this;
    if (call === this.present) this.present = this.#second;
    this.#second = null;
    Object.assign(call, { state: "over", reason, isOwnEnd: isOwn, endedAt: Date.now() });
    this._note(call);
    if (held !== null && held === this.present) this._note(held);
  }

  /** @private @param {Call} call */
  _note(call) {
    this.#changed(call);
    call._noted();
  }

  /** @private @param {Call} call @param {number} delay @param {() => void} act */
  _startClock(call, delay, act) {
    this._stopClock(call);
    this.#clocks.set(call, setTimeout(act, delay));
  }

  /** @private @param {Call} call */
  _stopClock(call) {
    clearTimeout(this.#clocks.get(call));
    this.#clocks.delete(call);
  }

  /** @private */
  _all() {
    return [this.#second, this.present].flatMap((call) => call ?? []);
  }

  /**
   * The call of a room, or null: the device is in none.
   * @param {string} roomId
   */
  callIn(roomId) {
    return [this.present, this.#second].find((call) => call?.roomId && call.roomId === roomId) ?? null;
  }
}

/** @param {Call} call */
function isRung(call) {
  return call.isIncoming && call.state === "ringing";
}

/** @param {Record<string, any>} view */
function isRing({ direction, state }) {
  return direction !== "outgoing" && state !== "active";
}

/**
 * With the answer an own call may have got another room id: that of the device which accepted.
 *
 * @param {Record<string, any>} view @param {Call} call
 */
function isAbout({ room_id, direction, peer_phone }, call) {
  if (call.roomId !== "" && (call.isIncoming || call.state === "active")) return call.roomId === room_id;
  return call.direction === direction && call.peer.phone === peer_phone;
}

/** @param {Record<string, any>} frame @param {string} prefix @returns {Address} */
function peerOf(frame, prefix) {
  return { phone: frame[`${prefix}_phone`], deviceId: frame[`${prefix}_device_id`] };
}
