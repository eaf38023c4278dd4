/**
 * Picture and sound with one page load of the other side.
 *
 * Of the two pages one offers, always the same one; the other asks it to. No two offers ever cross,
 * because Chromium does not survive a rollback: it may gather no candidates after it, or show a frozen
 * picture for good. What is said through the room's relay:
 *
 *   negotiate                                the answerer asks for a new RTCPeerConnection
 *   restart    connection                    the answerer asks for an ICE restart
 *   offer      connection, round, sdp        `connection` names the offerer's RTCPeerConnection,
 *   answer     connection, round, sdp        `round` its offer
 *   candidate  connection, candidate
 *
 * What names another connection than the present one is of the past and dropped.
 */

const LOOK_EVERY = 500;
/** How long a disconnected connection may heal by itself. */
const HEAL_WITHIN = 2_000;
/** How long an attempt may take before a new RTCPeerConnection is built. */
const FIRST_PATIENCE = 8_000;
const LONGEST_PATIENCE = 20_000;
/** How often a page that has nothing yet asks for an offer. */
const ASK_EVERY = 2_000;
/** A connection that is younger than this is what the other side is asking for. */
const FRESH_FOR = 3_000;
const FAREWELL_WITHIN = 300;

export class Connection {
  #offers;
  #stream;
  #iceServers;
  #handlers;
  #peer = null;
  #channel = null;
  #id = null;
  #round = 0;
  #work = Promise.resolve();
  #looking;
  #reachable = true;
  #troubledSince = null;
  #attempt = null;
  #attemptedAt = 0;
  #builtAt = 0;
  #patience = FIRST_PATIENCE;

  /**
   * @param {object} options
   *   offers: whether this side makes the offers ·
   *   stream: the MediaStream to send, with at most one track of a kind ·
   *   iceServers: RTCIceServer list ·
   *   handlers: say(data) to the other page through the relay, changed() when `flowing` may have
   *   changed, picture(stream) with what the other side sends, heard(note) with what it told
   */
  constructor({ offers, stream, iceServers, handlers }) {
    this.#offers = offers;
    this.#stream = stream;
    this.#iceServers = iceServers;
    this.#handlers = handlers;
    this.#looking = setInterval(() => this._look(), LOOK_EVERY);
    if (!offers) this._renew();
  }

  /** Whether media flows. */
  get flowing() {
    return this.#peer?.connectionState === "connected" && this.#channel.readyState !== "closed";
  }

  /** Take what the other page said through the relay. */
  hear(data) {
    const isPresent = data.connection === this.#id;
    switch (data.kind) {
      case "negotiate":
        if (this.#offers && !this._isFresh()) this._renew();
        break;
      case "restart":
        if (this.#offers && isPresent && !this._isFresh()) this._restart();
        break;
      case "offer":
        if (!this.#offers) {
          if (!isPresent) this._build(data.connection);
          this._enqueue((peer) => this._answer(peer, data));
        }
        break;
      case "answer":
        if (this.#offers && isPresent) this._enqueue((peer) => this._take(peer, data));
        break;
      case "candidate":
        if (isPresent) this._enqueue((peer) => peer.addIceCandidate(data.candidate));
        break;
    }
  }

  /** Tell whether the relay reaches the other page just now. */
  reach(isReachable) {
    const isBack = isReachable && !this.#reachable;
    this.#reachable = isReachable;
    if (isBack && !this.flowing) {
      if (this.#peer === null) this._renew();
      else this._restart();
    }
  }

  /** Tell the other page something directly. It is lost while no media flows. */
  tell(note) {
    if (this.#channel?.readyState === "open") this.#channel.send(JSON.stringify(note));
  }

  /** Close it for good; nothing is reported any more. */
  close() {
    this._silence();
    this._drop();
  }

  /** Close it for good, once `note` had time to reach the other page. */
  closeAfter(note) {
    this.tell(note);
    this._silence();
    setTimeout(() => this._drop(), FAREWELL_WITHIN);
  }

  _silence() {
    clearInterval(this.#looking);
    this.#handlers = { say() {}, changed() {}, picture() {}, heard() {} };
  }

  // Repairing: a restart for what has flowed before, a new RTCPeerConnection for what does not come up.

  _look() {
    if (this.flowing) this.#attempt = null;
    if (this.flowing || !this.#reachable) return;
    const now = performance.now();
    if (this.#channel?.readyState === "closed") {
      if (this.#attempt !== "renew") this._renew();
    } else if (this.#attempt === null && this._hasFailed(now)) {
      this._restart();
    }
    const patience = this.#peer === null ? ASK_EVERY : this.#patience;
    if (this.#attempt !== null && now - this.#attemptedAt >= patience) {
      this.#patience = Math.min(LONGEST_PATIENCE, this.#patience * 1.5);
      this._renew();
    }
  }

  _hasFailed(now) {
    if (this.#peer?.connectionState === "failed") return true;
    return this.#troubledSince !== null && now - this.#troubledSince >= HEAL_WITHIN;
  }

  _renew() {
    if (this.#offers) {
      this._build(randomId());
      this._enqueue((peer) => this._offer(peer));
    } else {
      this._begin("renew");
      this.#handlers.say({ kind: "negotiate" });
    }
  }

  _restart() {
    this._begin("restart");
    if (this.#offers) {
      this.#builtAt = performance.now();
      this.#peer.restartIce();
      this._enqueue((peer) => this._offer(peer));
    } else {
      this.#handlers.say({ kind: "restart", connection: this.#id });
    }
  }

  _begin(attempt) {
    this.#attempt = attempt;
    this.#attemptedAt = performance.now();
  }

  _isFresh() {
    return this.#peer !== null && performance.now() - this.#builtAt < FRESH_FOR;
  }

  // One RTCPeerConnection.

  _build(id) {
    this._drop();
    const peer = new RTCPeerConnection({ iceServers: this.#iceServers, bundlePolicy: "max-bundle" });
    const channel = peer.createDataChannel("notes", { negotiated: true, id: 0 });
    const picture = new MediaStream();
    const mine = (handle) => (event) => {
      if (peer === this.#peer) handle(event);
    };
    peer.onconnectionstatechange = mine(() => this._changed());
    peer.onicecandidate = mine(({ candidate }) => {
      if (candidate) this.#handlers.say({ kind: "candidate", connection: id, candidate: candidate.toJSON() });
    });
    peer.ontrack = mine(({ track }) => {
      picture.addTrack(track);
      this.#handlers.picture(picture);
    });
    channel.onopen = mine(() => this._changed());
    channel.onclose = mine(() => this._changed());
    channel.onmessage = mine(({ data }) => this.#handlers.heard(JSON.parse(data)));
    this.#peer = peer;
    this.#channel = channel;
    this.#id = id;
    this.#round = 0;
    this.#troubledSince = null;
    this.#builtAt = performance.now();
    this._begin("renew");
    if (this.#offers) {
      for (const kind of ["audio", "video"]) {
        peer.addTransceiver(this._track(kind) ?? kind, { direction: "sendrecv", streams: [this.#stream] });
      }
    }
    this._changed();
  }

  _drop() {
    const peer = this.#peer;
    this.#peer = null;
    this.#channel = null;
    this.#id = null;
    // What was begun on a closed RTCPeerConnection may never settle: its steps are left behind.
    this.#work = Promise.resolve();
    peer?.close();
  }

  _changed() {
    if (this.flowing) {
      this.#attempt = null;
      this.#troubledSince = null;
      this.#patience = FIRST_PATIENCE;
    } else if (this.#peer?.connectionState === "disconnected") {
      this.#troubledSince = this.#troubledSince ?? performance.now();
    }
    this.#handlers.changed();
  }

  async _offer(peer) {
    await peer.setLocalDescription(await peer.createOffer());
    if (peer !== this.#peer) return;
    this.#round += 1;
    this._describe("offer");
  }

  async _answer(peer, { round, sdp }) {
    await peer.setRemoteDescription({ type: "offer", sdp });
    for (const transceiver of peer.getTransceivers()) {
      transceiver.direction = "sendrecv";
      await transceiver.sender.replaceTrack(this._track(transceiver.receiver.track.kind));
      // Sound and picture of one stream are kept in step.
      transceiver.sender.setStreams?.(this.#stream);
    }
    await peer.setLocalDescription(await peer.createAnswer());
    if (peer !== this.#peer) return;
    this.#round = round;
    this._describe("answer");
  }

  async _take(peer, { round, sdp }) {
    if (round !== this.#round || peer.signalingState !== "have-local-offer") return;
    await peer.setRemoteDescription({ type: "answer", sdp });
  }

  _describe(kind) {
    const { sdp } = this.#peer.localDescription;
    this.#handlers.say({ kind, connection: this.#id, round: this.#round, sdp });
  }

  _track(kind) {
    return this.#stream.getTracks().find((track) => track.kind === kind) ?? null;
  }

  // The steps of a connection run one after another. What a failed one leaves undone the watchdog repairs.
  _enqueue(step) {
    const peer = this.#peer;
    const report = (error) => console.warn("connection:", error.name, error.message);
    this.#work = this.#work.then(() => (peer === this.#peer ? step(peer) : undefined)).catch(report);
  }
}

/** 128 random bits as 32 hex digits. */
export function randomId() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}
