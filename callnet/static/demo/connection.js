/**
 * Picture and sound with one page load of the other side.
 *
 * Of the two pages one offers, always the same one; the other asks it to. No offer is ever rolled back,
 * because Chromium does not survive that: it may gather no candidates after it, or show a frozen
 * picture for good. What is said through the room's relay:
 *
 *   negotiate                                the answerer asks for a new RTCPeerConnection
 *   restart    connection                    the answerer asks for an ICE restart
 *   offer      connection, round, sdp        `connection` names the offerer's RTCPeerConnection,
 *   answer     connection, round, sdp        `round` its offer, 1 for the first; either may come twice
 *   candidate  connection, candidate
 *
 * An answer with the connection null is to the first offer, whatever that is (early.js).
 * What names another connection than the present one is of the past and dropped. The offer has the lines of
 * lines.js, in their order, and the data channel `notes`, negotiated with id 0 (notes.js).
 */

import { randomId } from "../client/room.js";
import { Channel } from "./channel.js";
import { apart, asAnswer, asControlled, fit, isOfOne } from "./early.js";
import { Gauge } from "./gauge.js";
import { Lines } from "./lines.js";
import { Watchdog } from "./watchdog.js";

const LOOK_EVERY = 500;
const MEASURE_EVERY = 1_000;
/** An offer that is younger than this is what the other side is asking for. */
const FRESH_FOR = 3_000;
/**
 * The callee hears of the early answer before the caller can hear of the offer, and so before that is controlled. It
 * leaves the first check to the caller, and begins when that says that it has, or after this.
 */
const CHECKS_AFTER = 100;
const FAREWELL_WITHIN = 300;
/** After a candidate another one may be near. */
const SETTLED_AFTER = 200;
/** A browser has found a first address of its own device long before. */
const FOUND_WITHIN = 4_000;

export class Connection {
  #offers;
  #stream;
  #tracks;
  #configuration;
  #handlers;
  #peer = null;
  #lines = null;
  #channel = null;
  #id = null;
  #round = 0;
  #work = Promise.resolve();
  #looking;
  #watchdog = new Watchdog();
  #gauge = new Gauge();
  #measuredAt = 0;
  #offeredAt = 0;
  #reachable = true;
  /** Whether that page is not there yet: what is said reaches whoever accepts. */
  #isAhead = false;
  #hasMoved = false;
  #settling;
  /** Until the callee checks the candidates of the early answer. */
  #checking;
  /** Since when the browser looks for an address of this device and has found none; null: it has. */
  #seekingSince = null;

  /** Whether the other page has said anything through the relay. */
  isAnswered = false;

  /**
   * @param {object} options
   *   offers: whether this side makes the offers ·
   *   stream: the MediaStream that the other side plays camera and microphone as; what it has is sent ·
   *   iceServers: RTCIceServer list · relayOnly: whether nothing but a TURN server may be used, which hides
   *   where this side is ·
   *   handlers: say(data) to the other page through the relay, isDue() whether that has anything to send,
   *   changed() when `flowing`, `quality` or `isPictureHeld` may have changed, missed() when nothing comes any more,
   *   expected(stream) and picture(stream) with camera and microphone of the other side before they come and as they do,
   *   screen(stream) with the screen that it may share, heard(note) with what it told (notes.js),
   *   verified() when the verification has changed, channel(channel) with an RTCDataChannel that it opened,
   *   dropped() when an RTCPeerConnection is given up for another one, and its channels with it
   */
  constructor({ offers, stream, iceServers, relayOnly, handlers }) {
    this.#offers = offers;
    this.#stream = stream;
    this.#tracks = { microphone: trackOf(stream, "audio"), camera: trackOf(stream, "video"), screen: null };
    const iceTransportPolicy = relayOnly ? "relay" : "all";
    this.#configuration = { iceServers, iceTransportPolicy, bundlePolicy: "max-bundle" };
    this.#handlers = handlers;
    this.#looking = setInterval(() => this._look(), LOOK_EVERY);
  }

  /** Ask for an offer, as the side that answers. The other one waits until it is asked. */
  begin() {
    if (!this.#offers) this._renew();
  }

  /** Make ready for a page that is not there yet: make the offer, or answer before there is one (early.js). */
  prepare() {
    this.#isAhead = true;
    this.#reachable = false;
    if (this.#offers) {
      this._renew();
    } else {
      this._build(null);
      this._enqueue(async (peer) => {
        const offer = await peer.createOffer();
        // Firefox refuses that; it loses little over a conflict of roles.
        await peer.setLocalDescription(asControlled(offer)).catch(() => peer.setLocalDescription(offer));
      });
    }
  }

  /** That page is there from now on, or hears of the offer. */
  expect() {
    this.#isAhead = false;
    this.#reachable = true;
    this.#offeredAt = performance.now();
    if (this.#seekingSince !== null) this.#seekingSince = this.#offeredAt;
    this.#watchdog.begin("renew", this.#offeredAt);
  }

  /**
   * Whether this device has no address at which the other one could reach it. A browser takes no loopback address
   * for one: where there is no other it goes on looking, and does not say that it has come to the end.
   */
  get isStranded() {
    return this.#seekingSince !== null && performance.now() - this.#seekingSince > FOUND_WITHIN;
  }

  /** Whether media flows. */
  get flowing() {
    return this._state === "connected" && !this.#channel.isClosed;
  }

  /** How good the connection is while media flows: "good" "weak" "bad". */
  get quality() {
    return this.#gauge.quality;
  }

  /** Whether this side's picture is not sent, so that its sound gets through. */
  get isPictureHeld() {
    return !this.#gauge.level.isOn;
  }

  /** Resolves to what was measured a moment ago (measure.js). */
  async stats() {
    return this.#gauge.numbers;
  }

  /**
   * Send another track from now on, or null for none.
   *
   * @param {"microphone" | "camera" | "screen"} kind
   */
  use(kind, track) {
    this.#tracks[kind] = track;
    return this._enqueue(() => this.#lines?.use(kind, track));
  }

  /** Use these servers, an RTCIceServer list, from the next restart on. */
  serve(iceServers) {
    this.#configuration = { ...this.#configuration, iceServers };
    this.#peer?.setConfiguration?.(this.#configuration);
  }

  /** Whether somebody is in between (verification.js), another object for each RTCPeerConnection; null without one. */
  get verification() {
    return this.#channel?.verification ?? null;
  }

  /** Take what the other page said through the relay. */
  hear(data) {
    if (typeof data !== "object" || data === null) return;
    this.isAnswered = true;
    const isPresent = data.connection === this.#id;
    switch (data.kind) {
      case "negotiate":
        if (this.#offers) this._grant(() => this._renew());
        break;
      case "restart":
        if (this.#offers && isPresent) this._grant(() => this._restart());
        break;
      case "offer":
        if (!this.#offers) {
          if (this.#id === null && this._isAnsweredBy(data)) this.#id = data.connection;
          else if (!isPresent) this._build(data.connection);
          this._enqueue((peer) => this._answer(peer, data));
        }
        break;
      case "answer":
        if (this.#offers && (isPresent || data.connection === null)) this._enqueue((peer) => this._take(peer, data));
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
    // What was said before may have gone into a socket that was dead already.
    if (isBack && (!this.flowing || this.#hasMoved || this._isSilent)) this._restart();
  }

  /** Tell that this device may be on another network (network.js). The old path serves until there is a new one. */
  move(isCertain) {
    if (!isCertain) this.#watchdog.doubt(performance.now());
    else if (!this.#reachable) this.#hasMoved = true;
    else if (this.#peer !== null) this._restart();
  }

  /** Tell the other page something directly; returns whether that was possible. */
  tell(note) {
    return this.#channel?.tell(note) ?? false;
  }

  /** Open a channel to the other page besides the notes; null: that is not possible now. */
  open(label) {
    return this.flowing ? this.#peer.createDataChannel(label) : null;
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
    const nothing = () => {};
    this.#handlers = Object.fromEntries(Object.keys(this.#handlers).map((name) => [name, nothing]));
  }

  /**
   * An RTCPeerConnectionState, or undefined. Firefox before 113 tells of ICE alone: that DTLS is up, too, shows in the
   * channel.
   */
  get _state() {
    const { connectionState, iceConnectionState } = this.#peer ?? {};
    if (connectionState !== undefined) return connectionState;
    if (iceConnectionState !== "connected" && iceConnectionState !== "completed") return iceConnectionState;
    return this.#channel.isOpen ? "connected" : "connecting";
  }

  /** Whether nothing has come lately although it was due, and did before. */
  get _isSilent() {
    return this.#gauge.numbers.isReceiving === false;
  }

  // Repairing. Without the relay there is nobody to agree with.

  _look() {
    const now = performance.now();
    if (this.flowing) this._measure(now);
    if (!this.#reachable) return;
    const { path, pathRemote } = this.#gauge.numbers;
    const seen = {
      flowing: this.flowing,
      isSilent: this._isSilent,
      isRelayed: path === "relay" || pathRemote === "relay",
      isFailed: this._state === "failed",
      isClosed: this.#channel?.isClosed ?? false,
      isMissing: this.#id === null,
    };
    const repair = this.#watchdog.look(now, seen);
    if (repair === "renew") this._renew();
    else if (repair === "restart") this._restart();
  }

  _renew() {
    if (this.#offers) {
      this._build(randomId());
      this._enqueue((peer) => this._offer(peer));
    } else {
      this.#watchdog.begin("renew", performance.now());
      this.#handlers.say({ kind: "negotiate" });
    }
  }

  _restart() {
    if (this.#id === null) {
      this._renew();
      return;
    }
    this.#watchdog.begin("restart", performance.now());
    this.#hasMoved = false;
    if (this.#offers) {
      this.#offeredAt = performance.now();
      this.#peer.restartIce();
      this._enqueue((peer) => this._offer(peer));
    } else {
      this.#handlers.say({ kind: "restart", connection: this.#id });
    }
  }

  // What was offered just now is what the other side asks for. It may have missed it, with what followed.
  _grant(repair) {
    const isFresh = this.#peer !== null && performance.now() - this.#offeredAt < FRESH_FOR;
    if (!isFresh) repair();
    else if (this.#peer.localDescription !== null) this._describe("offer");
  }

  // One RTCPeerConnection.

  _build(id) {
    this._drop();
    const peer = new RTCPeerConnection(this.#configuration);
    const lines = new Lines(peer, this.#stream);
    const picture = new MediaStream();
    const mine = (handle) => (event) => {
      if (peer === this.#peer) handle(event);
    };
    const changed = mine(() => this._changed());
    if (peer.connectionState === undefined) peer.oniceconnectionstatechange = changed;
    else peer.onconnectionstatechange = changed;
    peer.onicecandidate = mine(({ candidate }) => {
      if (candidate?.candidate) this.#seekingSince = null;
      if (this.#id === null) this._answerEarly(candidate === null ? 0 : SETTLED_AFTER);
      else if (candidate && this.#isAhead) this._describe("offer"); // another one, with all that were found
      else if (candidate) this.#handlers.say({ kind: "candidate", connection: this.#id, candidate: candidate.toJSON() });
    });
    peer.ontrack = mine(({ track, transceiver }) => {
      if (lines.kindOf(transceiver) === "screen") {
        this.#handlers.screen(new MediaStream([track]));
      } else {
        picture.addTrack(track);
        this.#handlers.picture(picture);
      }
    });
    peer.ondatachannel = mine(({ channel }) => this.#handlers.channel(channel));
    this.#channel = new Channel(peer, this.#offers, {
      opened: mine(() => {
        this.#channel.verification.begin();
        // The first picture does not wait for what a good link needs no sooner.
        if (!this.#gauge.isBest) this._enqueue(() => this._tune());
        this._changed();
      }),
      closed: changed,
      heard: mine((note) => this.#handlers.heard(note)),
      verified: mine(() => this.#handlers.verified()),
      settled: () => this.#work,
    });
    this.#peer = peer;
    this.#lines = lines;
    this.#id = id;
    this.#round = 0;
    this.#offeredAt = performance.now();
    this.#seekingSince = this.#seekingSince ?? performance.now();
    this.#watchdog.begin("renew", performance.now());
    if (this.#offers || id === null) {
      lines.open(this.#tracks);
      if (this.#isAhead) { // in a call the last picture stays until there is another one
        for (const track of lines.expected) picture.addTrack(track);
        this.#handlers.expected(picture);
      }
    }
    this._changed();
  }

  _drop() {
    clearTimeout(this.#settling);
    clearTimeout(this.#checking);
    const peer = this.#peer;
    this.#channel?.verification.close();
    this.#peer = null;
    this.#lines = null;
    this.#channel = null;
    this.#id = null;
    // What was begun on a closed RTCPeerConnection may never settle: its steps are left behind.
    this.#work = Promise.resolve();
    peer?.close();
    this.#handlers.dropped();
  }

  _changed() {
    if (this.flowing) this.#watchdog.flows();
    else if (this._state === "disconnected") this._missed();
    this.#handlers.changed();
  }

  _missed() {
    this.#watchdog.misses(performance.now());
    this.#handlers.missed();
  }

  async _offer(peer) {
    await peer.setLocalDescription(await peer.createOffer());
    if (peer !== this.#peer) return;
    this.#round += 1;
    this._describe("offer");
  }

  async _answer(peer, { round, sdp }) {
    if (round === this.#round) {
      this._describe("answer");
      return;
    }
    if (peer.signalingState === "have-local-offer") {
      await peer.setRemoteDescription({ type: "answer", sdp: asAnswer(sdp, "passive") });
    } else {
      await peer.setRemoteDescription({ type: "offer", sdp });
      await this.#lines?.take(this.#tracks);
      await peer.setLocalDescription(await peer.createAnswer());
    }
    if (peer !== this.#peer) return;
    this.#channel.verification.recheck();
    this.#round = round;
    this._describe("answer");
  }

  async _take(peer, { connection, round, sdp }) {
    if (round !== this.#round) return;
    if (peer.signalingState !== "have-local-offer") {
      if (connection === null) return;
      // An early answer may have been that of a page load, or of a network, that is no more.
      if (isOfOne(peer.remoteDescription.sdp, sdp)) this._check(apart(sdp).candidates);
      else this._renew();
      return;
    }
    if (connection !== null) await peer.setRemoteDescription({ type: "answer", sdp });
    else if (fit(peer.localDescription.sdp, sdp)) await this._takeEarly(peer, sdp);
    else return;
    if (peer !== this.#peer) return;
    this.#channel.verification.recheck();
  }

  async _takeEarly(peer, sdp) {
    const { sdp: bare, candidates } = apart(sdp);
    await peer.setRemoteDescription({ type: "answer", sdp: bare });
    if (peer === this.#peer) this.#checking = setTimeout(() => this._check(candidates), CHECKS_AFTER);
  }

  _check(candidates) {
    clearTimeout(this.#checking);
    for (const candidate of candidates) this._enqueue((peer) => peer.addIceCandidate(candidate));
  }

  _describe(kind, round = this.#round) {
    const { type, sdp } = this.#peer.localDescription;
    const described = type === kind ? sdp : asAnswer(sdp, "active");
    this.#handlers.say({ kind, connection: this.#id, round, sdp: described });
  }

  // Whether what was answered early may be the answer to this offer.
  _isAnsweredBy({ sdp }) {
    const own = this.#peer?.localDescription ?? null;
    return own !== null && fit(own.sdp, sdp);
  }

  // Of what is said early only the last counts: it has the candidates in it.
  _answerEarly(delay) {
    clearTimeout(this.#settling);
    this.#settling = setTimeout(() => {
      if (this.#isAhead && this.#id === null) this._describe("answer", 1);
    }, delay);
  }

  _measure(now) {
    if (now - this.#measuredAt < MEASURE_EVERY) return;
    this.#measuredAt = now;
    this._enqueue(async (peer) => {
      const wasSilent = this._isSilent;
      const isOther = await this.#gauge.look(peer, now, this.#handlers.isDue());
      if (this._isSilent && !wasSilent) this.#handlers.missed();
      await this._tune();
      if (isOther) this.#handlers.changed();
    });
  }

  async _tune() {
    await this.#lines?.tune(this.#gauge.level);
  }

  // The steps of a connection run one after another. What a failed one leaves undone the watchdog repairs.
  _enqueue(step) {
    const peer = this.#peer;
    const report = (error) => console.warn("connection:", error.name, error.message);
    this.#work = this.#work.then(() => (peer === this.#peer ? step(peer) : undefined)).catch(report);
    return this.#work;
  }
}

function trackOf(stream, kind) {
  return stream.getTracks().find((track) => track.kind === kind) ?? null;
}
