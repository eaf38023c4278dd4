/**
 * What the frames of the signaling protocol mean for the one call that a device is in, or none.
 *
 * A frame that is about another call than the present one changes nothing. What this device has ended stays so:
 * should the server speak of it again, because it has not heard of the end, it is told again.
 */

import { Call } from "./call.js";

/** How long after its welcome the server may still say what became of a call that it did not mention there. */
const DOUBT = 1_000;
/** A ring that the server does not end in time, because the connection is lost, ends this long after. */
const LATE = 3_000;
/** Seconds that a device rings if the server does not say. */
const RING_TIME = 60;
const REMEMBERED = 50;

export class Calls {
  #say;
  #changed;
  #isExtended = false;
  #asked = 0;
  #request = "";
  #ended = [];
  /** The phone that a call was taken back from before its room was known. */
  #withdrawn = "";
  #expiry = null;
  #answers = {
    accept: (call) => this._accept(call),
    refuse: (call) => this._refuse(call),
    hangUp: (call) => this._hangUp(call),
  };

  /** The call that the device is in, or null. */
  present = null;

  /**
   * @param {(frame: object) => void} say sends a frame, now or as soon as the server is back
   * @param {(call: Call) => void} changed is told of each change of a call
   */
  constructor(say, changed) {
    this.#say = say;
    this.#changed = changed;
  }

  /** Call a device, or with `*` all devices of a phone. The device leaves the call it is in. */
  place(phone, deviceId) {
    const { present } = this;
    if (present !== null && present.isIncoming && present.state === "ringing" && present.peer.phone === phone) {
      present.accept();
      return present;
    }
    present?.hangUp();
    const call = this._begin("outgoing", { phone, deviceId });
    call.state = "calling";
    this.#withdrawn = "";
    this.#asked += 1;
    this.#request = `call-${this.#asked}`;
    const frame = { type: "call", to_phone: phone, to_device_id: deviceId };
    this.#say(this.#isExtended ? { ...frame, id: this.#request } : frame);
    this.#changed(call);
    return call;
  }

  /** Be in a call that this device was in before its program began anew, and that may be over by now. */
  resume({ direction, peer, roomId, page, name, answeredAt }) {
    const call = this._begin(direction, peer);
    Object.assign(call, { state: "active", roomId, page, name, answeredAt });
    this.#changed(call);
  }

  /** Take note of a new connection, and of which protocol it speaks. */
  connected(isExtended) {
    this.#isExtended = isExtended;
  }

  /** Take what the server says at the beginning of a connection of the call that the device is in. */
  welcomed(view) {
    const { present } = this;
    if (view === undefined) {
      if (present !== null) this._doubt(present);
    } else if (this._hasEnded(view.room_id, view.direction === "outgoing" ? view.peer_phone : "")) {
      this._tellEnd(view.direction === "incoming" && view.state === "ringing", peerOf(view, "peer"), view.room_id);
    } else if (view.state === "active") {
      const call = this._isAbout(view) ? present : this._begin(view.direction, peerOf(view, "peer"));
      this._activate(call, view.room_id, view.page, peerOf(view, "peer"), view.answered_at);
    } else if (view.direction === "outgoing" && !this._isAbout(view)) {
      const call = this._begin("outgoing", peerOf(view, "peer"));
      call.roomId = view.room_id;
      this.#changed(call);
    }
    // What rings this device is told by `called`.
  }

  /** Take a frame. */
  hear(frame) {
    switch (frame.type) {
      case "called":
        this._ring(frame);
        break;
      case "call_ringing":
        if (this._isAsked(frame)) this._ringing(frame);
        break;
      case "call_success":
        this._succeed(frame);
        break;
      case "call_refuse":
        if (this._isAsked(frame)) this._end(this.present, frame.reason ?? "refused");
        break;
      case "call_failed":
        if (this._isAsked(frame)) this._end(this.present, frame.reason ?? "failed");
        break;
      case "calling_be_hangup":
        if (this.present?.roomId === frame.room_id) this._end(this.present, frame.reason ?? "hangup");
        break;
      case "peer_state":
        if (this.present?.roomId === frame.room_id) this._look(frame);
        break;
    }
  }

  /** The page of a call has seen its end, and the server says nothing: perhaps it has not heard of it. */
  noteEnd(call) {
    if (call.isOver) return;
    this._tellEnd(false, call.peer, call.roomId);
    this._end(call, "over");
  }

  // What the server says.

  _ring(frame) {
    const { present } = this;
    const peer = peerOf(frame, "from");
    if (this._hasEnded(frame.room_id)) {
      this._tellEnd(true, peer, frame.room_id);
    } else if (present?.roomId === frame.room_id) {
      // It has not heard that this device accepted.
      if (present.state === "active") this._tellAccept(present);
    } else if (present === null || present.state === "active") {
      // Who is rung is in no call, as far as the server knows.
      if (present !== null) this._end(present, "over");
      const call = this._begin("incoming", peer);
      Object.assign(call, { roomId: frame.room_id, page: frame.page ?? "", name: frame.from_name ?? "" });
      const expiresIn = (frame.expires_in ?? RING_TIME) * 1_000;
      this.#expiry = setTimeout(() => this._end(call, "no_answer"), expiresIn + LATE);
      this.#changed(call);
    }
    // Of a device that calls and is called at the same time the server decides.
  }

  _ringing({ room_id }) {
    this.present.state = "ringing";
    this.present.roomId = room_id;
    this.#changed(this.present);
  }

  _succeed(frame) {
    const { present } = this;
    const peer = peerOf(frame, "to");
    if (this._isAsked(frame)) {
      this._activate(present, frame.room_id, frame.page, peer);
    } else if (this._hasEnded(frame.room_id, peer.phone)) {
      this._tellEnd(false, peer, frame.room_id);
    } else if (present === null && frame.id === undefined) {
      this._activate(this._begin("outgoing", peer), frame.room_id, frame.page, peer);
    }
  }

  _activate(call, roomId, page, peer, answeredAt) {
    clearTimeout(this.#expiry);
    const isNew = call.state !== "active";
    Object.assign(call, { roomId, peer, page: page ?? "", state: "active", isForgotten: false });
    if (isNew) call.answeredAt = answeredAt ? answeredAt * 1_000 : Date.now();
    this.#changed(call);
  }

  _look({ state, device_id }) {
    if (state === "moved") this.present.peer = { phone: this.present.peer.phone, deviceId: device_id };
    this.present.otherSide = state === "reconnecting" ? "reconnecting" : "here";
    this.#changed(this.present);
  }

  // The server has begun anew and knows of no call: media may flow all the same.
  _doubt(call) {
    setTimeout(() => {
      if (call.isOver || call !== this.present) return;
      if (call.state === "active") {
        call.isForgotten = true;
        this.#changed(call);
      } else {
        this._end(call, "forgotten");
      }
    }, DOUBT);
  }

  _hasEnded(roomId, phone = "") {
    return this.#ended.includes(roomId) || (phone !== "" && phone === this.#withdrawn);
  }

  _isAbout({ room_id, direction, peer_phone }) {
    const { present } = this;
    if (present === null || present.direction !== direction) return false;
    return present.roomId === "" ? present.peer.phone === peer_phone : present.roomId === room_id;
  }

  _isAsked({ id, to_phone, to_device_id }) {
    const { present } = this;
    if (present === null || present.isIncoming || present.state === "active") return false;
    if (id !== undefined) return id === this.#request;
    const { phone, deviceId } = present.peer;
    return to_phone === phone && (deviceId === "*" || deviceId === to_device_id);
  }

  // What the person wants.

  _accept(call) {
    if (call !== this.present || !call.isIncoming || call.state !== "ringing") return;
    clearTimeout(this.#expiry);
    this._tellAccept(call);
    call.state = "active";
    call.answeredAt = Date.now();
    this.#changed(call);
  }

  _refuse(call) {
    if (call.isIncoming && call.state === "ringing") this._hangUp(call);
  }

  _hangUp(call) {
    if (call.isOver) return;
    const isRung = call.isIncoming && call.state === "ringing";
    const reason = call.state === "active" ? "hangup" : isRung ? "refused" : "cancelled";
    this._tellEnd(isRung, call.peer, call.roomId);
    call.isOwnEnd = true;
    this._end(call, reason);
  }

  _tellAccept({ peer, roomId }) {
    this.#say({ type: "called_success", from_phone: peer.phone, from_device_id: peer.deviceId, room_id: roomId });
  }

  _tellEnd(isRung, { phone, deviceId }, roomId) {
    if (roomId === "") this.#withdrawn = phone;
    else this.#ended = [roomId, ...this.#ended.filter((room) => room !== roomId)].slice(0, REMEMBERED);
    this.#say(
      isRung
        ? { type: "called_refuse", from_phone: phone, from_device_id: deviceId, room_id: roomId }
        : { type: "calling_hangup", notified_phone: phone, notified_device_id: deviceId, room_id: roomId },
    );
  }

  _begin(direction, peer) {
    if (this.present !== null) this._end(this.present, "over");
    this.present = new Call(direction, peer, this.#answers);
    this.#request = "";
    return this.present;
  }

  _end(call, reason) {
    if (call.isOver) return;
    if (call === this.present) {
      this.present = null;
      clearTimeout(this.#expiry);
    }
    Object.assign(call, { state: "over", reason, endedAt: Date.now() });
    this.#changed(call);
  }
}

function peerOf(frame, prefix) {
  return { phone: frame[`${prefix}_phone`], deviceId: frame[`${prefix}_device_id`] };
}
