/**
 * What the frames of the signaling protocol mean for the call that a device is in, or none, and for a second one that
 * rings meanwhile.
 *
 * A frame that is about another call than these changes nothing. What this device has ended stays so:
 * should the server speak of it again, because it has not heard of the end, it is told again.
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
  #request = "";
  #isExtended = false;
  /** Whether the answer to the call that the device has placed has an id. */
  #isNamed = false;
  #ended = new Ended();
  /**
   * The ends of calls that ring, and the doubts about others.
   * @type {Map<Call, ReturnType<typeof setTimeout>>}
   */
  #clocks = new Map();
  /** @type {Answers} */
  #answers = {
    accept: (call, byItself) => this._accept(call, byItself),
    refuse: (call) => (isRung(call) ? this._hangUp(call) : undefined),
    hangUp: (call) => this._hangUp(call),
    signal: (call, data, ofPage) => this._signal(call, data, ofPage),
  };

  /**
   * The call that the device is in, or null.
   * @type {Call | null}
   */
  present = null;
  /**
   * A call that rings while the present one is active, or null. When that ends it takes its place.
   * @type {Call | null}
   */
  waiting = null;

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
  resume({ direction, peer, roomId, page, name, answeredAt }) {
    const call = this._begin(direction, peer);
    Object.assign(call, { state: "active", roomId, page, name, answeredAt });
    this._note(call);
  }

  /**
   * A connection is open. What is asked for on an extended one is answered by its id there.
   * @param {boolean} isExtended
   */
  connected(isExtended) {
    this.#isExtended = isExtended;
    this.#isNamed = false;
  }

  /**
   * Take what the server says at the beginning of a connection of the call that the device is in.
   * @param {Record<string, any> | undefined} view
   */
  welcomed(view) {
    // On another connection the server has a second call ring no more.
    if (this.waiting !== null) this._end(this.waiting, "busy");
    const { present } = this;
    const isEnded = view !== undefined && this.#ended.has(view.room_id, view.direction === "outgoing" ? view.peer_phone : "");
    if (isEnded) this._tellEnd(view.direction === "incoming" && view.state === "ringing", peerOf(view, "peer"), view.room_id);
    if (view === undefined || isEnded) {
      if (present !== null) this._doubt(present);
    } else if (view.state === "active") {
      const call = present !== null && isAbout(view, present) ? present : this._begin(view.direction, peerOf(view, "peer"));
      this._activate(call, view.room_id, view.page, peerOf(view, "peer"), view.answered_at);
    } else if (view.direction === "outgoing" && !(present !== null && isAbout(view, present))) {
      const call = this._begin("outgoing", peerOf(view, "peer"));
      call.roomId = view.room_id;
      this._note(call);
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
    if (type === "called") {
      this._ring(frame);
    } else if (type === "call_success") {
      this._succeed(frame);
    } else if (present === null) {
      return;
    } else if (type === "call_ringing" || type === "call_refuse" || type === "call_failed") {
      if (this._isAsked(frame, present)) this._asked(frame, present);
    } else if (type === "error" && this.#request !== "" && frame.id === this.#request) {
      this._end(present, "failed");
    } else {
      const call = this._callIn(frame.room_id);
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

  /** The device has logged out, and with that left its calls. */
  revoked() {
    for (const call of this._all()) this._end(call, "revoked", true);
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
      Object.assign(call, { state: "ringing", roomId: room_id });
      this._note(call);
    } else {
      if (room_id) this.#ended.hear(room_id);
      this._end(call, reason ?? (type === "call_refuse" ? "refused" : "failed"));
    }
  }

  /** @private @param {Frame} frame @param {Call} call */
  _told({ type, state, device_id, reason }, call) {
    if (type === "calling_be_hangup") {
      this._end(call, reason ?? "hangup");
    } else if (type === "peer_state") {
      if (state === "moved") call.peer = { phone: call.peer.phone, deviceId: device_id };
      call.otherSide = state === "reconnecting" ? "reconnecting" : "here";
      this._note(call);
    }
  }

  /** @private @param {Frame} frame */
  _ring(frame) {
    const { present } = this;
    const peer = peerOf(frame, "from");
    const known = this._callIn(frame.room_id);
    if (this.#ended.has(frame.room_id)) {
      this._tellEnd(true, peer, frame.room_id);
    } else if (known !== null) {
      // It has not heard that this device accepted.
      if (known.isIncoming && known.state === "active") this._tellAccept(known);
    } else if (this.#canWait && present?.state === "active") {
      if (this.waiting !== null) this._end(this.waiting, "over");
      this.waiting = new Call("incoming", peer, this.#answers);
      this._beRung(this.waiting, frame);
    } else if (present === null || present.isIncoming || present.state === "active") {
      // Who is rung is in no call, as far as the server knows.
      this._beRung(this._begin("incoming", peer), frame);
    }
    // Of a device that calls and is called at the same time the server decides.
  }

  /** @private @param {Call} call @param {Frame} frame */
  _beRung(call, frame) {
    const { room_id, page = "", from_name = "", auto_answer = false, expires_in = RING_TIME } = frame;
    const linkName = frame.link_name ?? "";
    Object.assign(call, { roomId: room_id, page, name: from_name, autoAnswer: auto_answer, linkName });
    this._startClock(call, expires_in * 1_000 + LATE, () => this._end(call, "no_answer"));
    this._note(call);
  }

  /** @private @param {Frame} frame */
  _succeed(frame) {
    const { present } = this;
    const peer = peerOf(frame, "to");
    if (present !== null && this._isAsked(frame, present)) {
      this._activate(present, frame.room_id, frame.page, peer);
    } else if (this.#ended.has(frame.room_id, peer.phone)) {
      this._tellEnd(false, peer, frame.room_id);
    } else if (present === null && frame.id === undefined) {
      this._activate(this._begin("outgoing", peer), frame.room_id, frame.page, peer);
    }
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
    if (type !== "call_refuse" && type !== "call_failed") return false;
    return this.#ended.wasTold(room_id) || (this.#isNamed && to_phone !== "");
  }

  // What the person wants.

  /** @private @param {Call} call @param {boolean} byItself */
  _accept(call, byItself) {
    if (!isRung(call)) return;
    this.#during(() => {
      this._tellAccept(call, byItself);
      if (call !== this.present && this.present !== null) this._replace(this.present);
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
    if (call !== this.present || (call.state !== "active" && !isEarly)) return false;
    const frame = { type: "signal", room_id: call.roomId, data };
    return this.#say(ofPage ? { ...frame, of_page: true } : frame);
  }

  /** @private @param {Call} call @param {boolean} [byItself] */
  _tellAccept({ peer, roomId }, byItself = false) {
    const frame = { type: "called_success", from_phone: peer.phone, from_device_id: peer.deviceId, room_id: roomId };
    this.#say(byItself ? { ...frame, auto_answer: true } : frame);
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
    this.waiting?.hangUp();
    this.present?.hangUp();
    const call = this._begin("outgoing", peer);
    call.state = "calling";
    this.#ended.beginOwn();
    this.#asked += 1;
    this.#request = `call-${this.#asked}`;
    this.#isNamed = this.#isExtended;
    return call;
  }

  /** @private @param {"incoming" | "outgoing"} direction @param {Address} peer */
  _begin(direction, peer) {
    for (const call of this._all()) this._end(call, "over");
    this.#request = "";
    return (this.present = new Call(direction, peer, this.#answers));
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
    if (call === this.present) this.present = this.waiting;
    this.waiting = null;
    Object.assign(call, { state: "over", reason, isOwnEnd: isOwn, endedAt: Date.now() });
    this._note(call);
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
    return [this.waiting, this.present].flatMap((call) => call ?? []);
  }

  /** @private @param {string} roomId */
  _callIn(roomId) {
    return this._all().find((call) => call.roomId !== "" && call.roomId === roomId) ?? null;
  }
}

/** @param {Call} call */
function isRung(call) {
  return call.isIncoming && call.state === "ringing";
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
