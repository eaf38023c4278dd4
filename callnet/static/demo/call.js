/**
 * One visit to a room, from joining to the end. It holds the room socket, what this side shows and says
 * and the connection to the other page together, and knows the facts that the page shows.
 */

import { randomId, Room } from "../client/room.js";
import { isAllowed, wakeCameras } from "../shared/media.js";
import { Connection } from "./connection.js";
import { Files } from "./files.js";
import { watchNetwork } from "./network.js";
import { seatKey } from "./seat.js";
import { IceServers } from "./servers.js";
import { setUp } from "./setup.js";

const LOOK_EVERY = 1_000;
/** The seat in the room waits so long for the other page to speak over the signaling, as one that made ready does ... */
const SPEAKS_WITHIN = 150;
/** ... and for so long once it has: taking it would only delay the first picture. */
const SEAT_AFTER = 400;
/** Chromium ends the process that opens cameras five seconds after it was needed last, and a new one takes 50 ms. */
const WAKE_EVERY = 4_000;
/** How many looks in a row may find no media, though the other page is there, until the call is given up. */
const GIVE_UP_AFTER = 30;
/** How many looks in a row may find no new picture, though a camera is on, until it is said to stand still. */
const FROZEN_AFTER = 3;
/** Of two pages the one with the greater session offers. Of a call that rang it is the callee's: it is the first to know. */
const FIRST_DIGITS = { caller: "0", callee: "f" };
/** The tracks of a side. */
const KINDS = ["camera", "microphone", "screen"];
/** What the other page says before this one can answer: an offer, and the candidates that follow it. */
const MOST_EARLY = 50;
/** The other side before it has told what it sends. */
const UNTOLD = { isMuted: false, isCameraOff: false, isPaused: false, isSharing: false };

export class Call {
  #handlers;
  #isRelayOnly;
  #side;
  #session;
  #room = null;
  #servers = new IceServers();
  #connection = null;
  #peerSession = null;
  #lostSession = null;
  #leftSession = null;
  #choosing = null;
  #dismissal = "";
  #troubles = 0;
  #stills = 0;
  #looking;
  /** Keeps cameras at hand while it rings. */
  #waking;
  /** Until the seat is taken; null: it is, or need not wait. */
  #joining = null;
  /** What a page has said that this one is not connected with yet: `{from, said}`; null: nothing. */
  #early = null;
  #flowedAfter = null;
  #isReported = false;
  #unwatchNetwork;
  /** Whether the signaling carries what is said, which it does until the room tells of the other page. */
  #isEarly;
  /** That page, as the signaling knows it: `{session, present}`, or null. */
  #ahead = null;
  /** Whether the connection was prepared for a page that is not known yet; whether it has not got this side's tracks. */
  #isPrepared = false;
  #lacksTracks = false;

  /** Whether the server answers just now. */
  online = false;
  /** What the server last said of the room (docs/room.md); null before it did. */
  room = null;
  /** Why there is no seat: "", or "full" "unknown_room" "invalid" "taken" "broken". */
  refusal = "";
  /** What the two hand each other (files.js). */
  files;
  /** What the other side told of itself. */
  other = UNTOLD;
  /** Whether this side holds the call, or the other one: it is in another call meanwhile. */
  isHeld = false;
  isOnHold = false;
  /** Whether media flows. */
  flowing = false;
  /** How good it is, "good" "weak" "bad", or null; whether this side's picture waits for a better one. */
  quality = null;
  isPictureHeld = false;
  /** When the call was answered, if it is one; when media first flowed, and when the search for the other page began:
   * performance.now() or null. */
  answeredAt = null;
  flowedAt = null;
  connectingAt = null;
  /** Why the visit is over: "" while it is not, "own" or "theirs" for who hung up, else the server's reason. */
  over = "";
  overAt = null;

  /** 1 to 64 characters; "": it is not known yet. */
  roomId = "";

  /**
   * @param {import("./own.js").Own} own asked for once there is a seat, or before where the connection was prepared, and
   *   closed in the end
   * @param {object} handlers changed() when a fact has changed; expected(stream) and picture(stream) with camera and
   *   microphone of the other side before they come and as they do, screen(stream) with the screen that it may share
   *   (`other.isSharing`), or null when they are gone;
   *   chat(text) with what it wrote, reaction(emoji), file(transfer) when a file is offered or one has changed (files.js);
   *   signal(said) to the other page, over the signaling, which holds it until the call is accepted
   * @param {{isRelayOnly: boolean, side: "" | "caller" | "callee", hold: {here: boolean, there: boolean}}} options
   *   isRelayOnly: nothing but a TURN server may be used · side: of a call that rings yet, in which the callee's page is to
   *   offer · hold: which side holds the call
   */
  constructor(own, handlers, { isRelayOnly, side, hold }) {
    this.own = own;
    this.isHeld = hold.here;
    this.isOnHold = hold.there;
    this.#handlers = handlers;
    this.#isRelayOnly = isRelayOnly;
    this.#side = side;
    this.#isEarly = side !== "";
    this.#session = (FIRST_DIGITS[side] ?? "") + randomId().slice(side === "" ? 0 : 1);
    this.files = new Files({
      tell: (note) => this.#connection?.tell(note) ?? false,
      open: (label) => this.#connection?.open(label) ?? null,
      changed: (file) => this.#handlers.file(file),
    });
    this.#looking = setInterval(() => this._look(), LOOK_EVERY);
    this.#unwatchNetwork = watchNetwork((isCertain) => this._moved(isCertain));
  }

  /**
   * Make ready what the first picture needs, while it rings: the caller opens camera and microphone, and answers early
   * (early.js); the callee, who has allowed these before, makes an offer. The other page hears of it with the accept.
   * @param {RTCIceServer[]} iceServers
   */
  async prepare(iceServers) {
    this.#servers.take(iceServers);
    if (!(await isAllowed()) || this.#room !== null) return;
    this._build(this.#side === "callee");
    this.#isPrepared = this.#lacksTracks = true;
    this.#connection.prepare();
    if (this.own.state === "open") {
      this._send();
    } else {
      wakeCameras();
      this.#waking = setInterval(wakeCameras, WAKE_EVERY);
    }
  }

  /** Take the seat. */
  join(roomId) {
    this.roomId = roomId;
    if (this.#isPrepared) {
      this.online = true; // until the room's socket says otherwise
      clearInterval(this.#waking);
      this.connectingAt = performance.now();
      if (this.#side === "callee") this.#connection.expect();
      if (this.own.state === "") this.own.ask();
    }
    const room = (this.#room = new Room({ site: location.origin, roomId, key: seatKey(roomId), session: this.#session }));
    room.addEventListener("reach", ({ detail }) => this._reached(detail));
    room.addEventListener("room", ({ detail }) => this._enter(detail));
    room.addEventListener("relay", ({ detail }) => this._relayed(detail.from, detail.data));
    room.addEventListener("refused", ({ detail }) => this._refused(detail));
    if (this.#isPrepared) this._joinIn(this.#ahead === null ? SPEAKS_WITHIN : SEAT_AFTER);
    else room.join();
  }

  _joinIn(milliseconds) {
    clearTimeout(this.#joining);
    this.#joining = setTimeout(() => {
      this.#joining = null;
      this.#room.join();
    }, milliseconds);
  }

  /** Hear what the other page has said over the signaling, before the room told of it. */
  hear({ session, room }) {
    if (typeof session !== "string") return;
    if (this.#isEarly) this.#ahead = { session, present: true };
    if (this.#joining !== null) this._joinIn(SEAT_AFTER);
    this._heard(session, room);
    this._meet();
  }

  /**
   * Send nothing while a side holds the call. If it is this one (`here`) camera and microphone are for its other call.
   * @param {{here: boolean, there: boolean}} hold
   */
  hold({ here, there }) {
    const wasHeld = this.isHeld;
    this.isHeld = here;
    this.isOnHold = there;
    if (this._isPaused) {
      this.#lacksTracks = this.#connection !== null;
      for (const kind of KINDS) this.#connection?.use(kind, null);
    }
    if (here) this.own.pause();
    else if (wasHeld && this._isSeated) this.own.resume();
    this.ownChanged();
    this.#handlers.changed();
  }

  get _isPaused() {
    return this.isHeld || this.isOnHold;
  }

  get _isSeated() {
    return this.room !== null && this.over === "" && this.refusal === "";
  }

  /** End the call for both. */
  hangUp() {
    // The server may be out of reach while media flows.
    this.#connection?.closeAfter({ kind: "bye" });
    this.#connection = null;
    this.#room?.hangUp();
    this._finish("own");
  }

  /** Leave without ending it: the page goes away, and may come back. The other one need not wait to find that out. */
  leave() {
    const peer = this.room?.peer ?? null;
    if (peer !== null) this.#room.relay(peer.session, { kind: "leaving" });
    this.#room?.close();
    this._stop();
  }

  /** Write something to the other page; returns whether that was possible: a channel stays open over a broken path. */
  chat(text) {
    return this.flowing && this.#connection.tell({ kind: "chat", text });
  }

  /** Have an emoji rise over the other page's pictures; returns whether that was possible. */
  react(emoji) {
    return this.flowing && this.#connection.tell({ kind: "reaction", emoji });
  }

  /** Own has changed: it may be open now, and the other page is told of its switches. */
  ownChanged() {
    if (this.#lacksTracks && this.own.state === "open" && !this._isPaused) this._send();
    this._meet();
    this._tell();
  }

  /** Send another track as "microphone", "camera" or "screen", or null for none. */
  use(kind, track) {
    if (!this._isPaused) this.#connection?.use(kind, track);
  }

  /** Resolves to what was measured a moment ago (measure.js). */
  async stats() {
    return (await this.#connection?.stats()) ?? {};
  }

  /** Whether the call was given up, because no media came for too long. */
  get isLost() {
    return this.#lostSession !== null;
  }

  /** Whether the pages found each other, but their networks did not, and the server has no relay. */
  get isApart() {
    return this.isLost && this.flowedAt === null && !this.#servers.hasRelay;
  }

  /** Whether a relay might have helped then, and the one of the server did not answer. */
  get isRelayAway() {
    return this.isLost && this.flowedAt === null && this.#servers.hasRelay && !this.#servers.hasRelayAnswered;
  }

  /** Whether the page of the other side said that it goes away, and has not come back. */
  get hasOtherLeft() {
    return this.#leftSession !== null && this.room?.peer?.session === this.#leftSession;
  }

  /** Since when the other side is choosing camera and microphone, performance.now(); null: it is not. */
  get choosingSince() {
    return this.room?.peer?.session === this.#choosing?.session ? (this.#choosing?.since ?? null) : null;
  }

  /** Since when the two talk, on the clock of performance.now(); null: they do not yet. */
  get talkingSince() {
    return this.flowedAt === null ? null : (this.answeredAt ?? this.flowedAt);
  }

  /** Whether the other side's camera is on and its picture does not get here. */
  get isFrozen() {
    return this.#stills >= FROZEN_AFTER;
  }

  /** Whether only a relay may be used and the server has none for this room. */
  get lacksRelay() {
    return this.#isRelayOnly && this.room?.state === "meeting" && !this.#servers.hasRelay;
  }

  /** Whether this device has no network by which the other one could be reached. */
  get isStranded() {
    return !this.#isRelayOnly && this.#connection !== null && this.#connection.isStranded;
  }

  /** Whether somebody is in between: its `state` and `code` (verification.js); null without a connection. */
  get verification() {
    return this.#connection?.verification ?? null;
  }

  // What the room says.

  _reached(isUp) {
    // Whoever comes back to the network finds the call again.
    if (isUp && !this.online) this.#lostSession = null;
    this.online = isUp;
    this._meet();
    this.#handlers.changed();
  }

  _enter(room) {
    this.room = room;
    this.refusal = "";
    if (room.peer !== null) {
      this.#isEarly = false;
      this.#ahead = null;
    }
    if (typeof room.elapsed === "number") this._began(performance.now() - room.elapsed * 1_000);
    if (this.#servers.take(room.ice_servers)) this.#connection?.serve(this.#servers.list);
    if (room.state === "ended") {
      this.#room.close();
      this._finish(room.reason);
      return;
    }
    // A visitor for whom there is no seat is not asked for a camera, unless the connection was prepared.
    if (this.own.state === "" && !this.isHeld) this.own.resume();
    this._meet();
    this.#handlers.changed();
  }

  // While media flows two people talk, whatever becomes of the seat, unless a newer page has it.
  _refused(reason) {
    if (this.flowing && reason !== "taken") {
      // To a full room the socket comes again by itself.
      if (reason !== "full") this.#dismissal = reason;
    } else if (reason === "full") {
      this.refusal = reason;
      this.#handlers.changed();
    } else {
      this._turnedAway(reason);
    }
  }

  _turnedAway(reason) {
    this.refusal = reason;
    this.#room.close();
    this._stop();
    this.#handlers.changed();
  }

  // What the other page says.

  // The other page may ask for an offer while this one still waits for its camera.
  _relayed(from, data) {
    if (data?.kind === "leaving") this._left(from);
    else if (data?.kind === "choosing") this._await(from);
    else this._heard(from, data);
  }

  _left(from) {
    if (from !== this.room?.peer?.session) return;
    this.#leftSession = from;
    this._disconnect();
    this.#handlers.changed();
  }

  _await(from) {
    if (this.#choosing?.session !== from) this.#choosing = { session: from, since: performance.now() };
  }

  _heard(from, data) {
    if (from === this.#choosing?.session) {
      this.#choosing = null;
      this.connectingAt = performance.now();
      this.#handlers.changed();
    }
    if (from === this.#peerSession) this.#connection.hear(data);
    else this._keep(from, data);
  }

  _keep(from, data) {
    if (this.#early?.from !== from || data?.kind === "offer") this.#early = { from, said: [] };
    if (this.#early.said.length < MOST_EARLY) this.#early.said.push(data);
  }

  _told(note) {
    switch (note.kind) {
      case "bye":
        // The other side may have lost the server: this one tells it, too.
        this.#room.hangUp();
        this._finish("theirs");
        break;
      case "state":
        this.other = {
          isMuted: note.muted,
          isCameraOff: note.camera_off,
          isPaused: note.paused === true,
          isSharing: note.sharing,
        };
        this.#handlers.changed();
        break;
      case "chat":
        this.#handlers.chat(note.text);
        break;
      case "reaction":
        this.#handlers.reaction(note.emoji);
        break;
      default:
        this.files.hear(note);
    }
  }

  // The connection: one for each page load of the other side.

  _meet() {
    const peer = this.room?.peer ?? this.#ahead;
    if (this.room === null && peer === null) return;
    if (this.own.state !== "open" && !(peer !== null && this.#lacksTracks && this._isMeant(peer.session))) {
      if (peer !== null && peer !== this.#ahead) this.#room.relay(peer.session, { kind: "choosing" });
      return;
    }
    if (peer === null) {
      this.#lostSession = null;
      if (!this.flowing && !this.#isPrepared) this._disconnect();
      return;
    }
    if (this.lacksRelay || peer.session === this.#lostSession || peer.session === this.#leftSession) return;
    if (peer.session !== this.#peerSession) this._connect(peer.session);
    this.#connection.reach(peer === this.#ahead || (this.online && peer.present));
  }

  // Looks are counted, not minutes: a machine that slept has not tried. What is given up begins anew by itself
  // with another page load of the other side, or when the server comes back.
  _look() {
    this._report();
    this._watchPicture();
    if (this.flowing || !this.#connection?.isAnswered) this.#troubles = 0;
    else if (!this.online || this.room?.peer?.present) this.#troubles += 1;
    if (this.#troubles < GIVE_UP_AFTER) return;
    this.#lostSession = this.#peerSession;
    this._disconnect();
    this.#handlers.changed();
  }

  // A screen may stand still for minutes, and nobody is worse off for it.
  async _watchPicture() {
    const { fps } = await this.stats();
    const { isCameraOff, isSharing } = this.other;
    this.#stills = this.flowing && !this._isPaused && fps === 0 && !isCameraOff && !isSharing ? this.#stills + 1 : 0;
  }

  // The server counts how calls come to be connected: it is told once.
  async _report() {
    if (this.#isReported || !this.room?.peer) return;
    const waited = this.isLost ? performance.now() - this.connectingAt : null;
    const media = setUp(this.#flowedAfter, waited, await this.stats(), this.#servers);
    if (media !== null && !this.#isReported) this.#isReported = this.#room.report(media);
  }

  _connect(session) {
    if (this.#isPrepared && this._isMeant(session)) {
      this.#connection.expect();
    } else {
      this._disconnect();
      this._build(this.#session > session);
    }
    const early = this.#early?.from === session ? this.#early.said : [];
    this.#isPrepared = false;
    this.#peerSession = session;
    this.#lostSession = this.#early = null;
    this.#troubles = 0;
    this.connectingAt = performance.now();
    this.other = UNTOLD;
    if (early[0]?.kind !== "offer") this.#connection.begin();
    for (const data of early) this.#connection.hear(data);
  }

  // Whether what was prepared is for this page of the other side.
  _isMeant(session) {
    if (!this.#isPrepared) return session === this.#peerSession;
    return this.#side === "callee" ? this.#session > session : this.#session < session;
  }

  // What was prepared on another network has dead addresses.
  _moved(isCertain) {
    if (isCertain && this.#isPrepared) this.#connection.prepare();
    else this.#connection?.move(isCertain);
  }

  _build(offers) {
    this.#connection = new Connection({
      offers,
      stream: this._isPaused ? new MediaStream() : this.own.stream ?? new MediaStream(),
      iceServers: this.#servers.list,
      relayOnly: this.#isRelayOnly,
      handlers: {
        say: (data) => this._say(data),
        // Of a call that is held nothing is sent. Who shares a screen may send nothing either: it may stand still.
        isDue: () => !this._isPaused && !(this.other.isMuted && this.other.isCameraOff),
        changed: () => this._flowed(),
        missed: () => this.#room?.check(),
        expected: (stream) => this.#handlers.expected(stream),
        picture: (stream) => this.#handlers.picture(stream),
        screen: (stream) => this.#handlers.screen(stream),
        heard: (note) => this._told(note),
        verified: () => this.#handlers.changed(),
        channel: (channel) => this.files.take(channel),
        dropped: () => this.files.drop(),
      },
    });
    this.#lacksTracks = this._isPaused;
    if (this.own.screen !== null) {
      this.use("screen", this.own.screen);
      this.use("microphone", this.own.sound);
    }
  }

  _say(data) {
    this.#servers.note(data.candidate?.candidate ?? data.sdp ?? "");
    if (this.#isEarly) this.#handlers.signal({ session: this.#session, room: data });
    else if (this.#peerSession !== null) this.#room.relay(this.#peerSession, data);
  }

  // What was prepared is connected while the camera opens, or while the call is held.
  _send() {
    this.#lacksTracks = false;
    const [camera = null] = this.own.stream.getVideoTracks();
    this.#connection.use("camera", camera);
    this.#connection.use("microphone", this.own.sound);
    this.#connection.use("screen", this.own.screen);
  }

  // Every report is late by its way here, so the earliest is right.
  _began(at) {
    this.answeredAt = Math.min(at, this.answeredAt ?? at);
  }

  _disconnect() {
    this.#connection?.close();
    this.files.drop();
    this.#connection = null;
    this.#isPrepared = this.#lacksTracks = false;
    this.#peerSession = null;
    this.flowing = false;
    this.quality = null;
    this.isPictureHeld = false;
    this.#handlers.picture(null);
    this.#handlers.screen(null);
  }

  _flowed() {
    const { flowing, quality, isPictureHeld } = this.#connection;
    if (this.flowing && !flowing) this.connectingAt = performance.now();
    this.flowing = flowing;
    this.quality = flowing ? quality : null;
    this.isPictureHeld = isPictureHeld;
    if (flowing) {
      this.flowedAt = this.flowedAt ?? performance.now();
      this.#flowedAfter = this.#flowedAfter ?? this.flowedAt - this.connectingAt;
      this._tell();
    } else if (this.#dismissal === "") {
      this._meet();
    } else {
      this._turnedAway(this.#dismissal);
    }
    this.#handlers.changed();
  }

  _tell() {
    const { own } = this;
    this.#connection?.tell({
      kind: "state",
      muted: own.isMuted || !own.hasMicrophone,
      camera_off: !own.isSeen || this.isPictureHeld,
      paused: this.isPictureHeld && (own.isSeen || own.screen !== null),
      sharing: own.screen !== null && !this.isPictureHeld,
    });
  }

  // The end.

  _finish(reason) {
    this.over = reason;
    this.overAt = performance.now();
    this._stop();
    this.#handlers.changed();
  }

  _stop() {
    clearInterval(this.#looking);
    clearInterval(this.#waking);
    clearTimeout(this.#joining);
    this.#unwatchNetwork();
    this._disconnect();
    this.own.close();
  }
}
