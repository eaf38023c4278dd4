/**
 * One visit to a room, from joining to the end. It holds the room socket, the camera and microphone and
 * the connection to the other page together, and knows the facts that the page shows.
 */

import { Connection, randomId } from "./connection.js";
import { closeMedia, openMedia, watchPermissions } from "./media.js";
import { RoomSocket } from "./room.js";

/** Host candidates only. TURN servers come in here. */
const ICE_SERVERS = [];

export class Call {
  #handlers;
  #room;
  #session = randomId();
  #connection = null;
  #peerSession = null;
  #early = null;
  #unwatchPermissions = () => {};

  /** Whether the server answers just now. */
  online = false;
  /** What the server last said of the room (docs/room-socket.md); null before it did. */
  room = null;
  /** Why there is no seat: "", or "full" "unknown_room" "invalid" "taken" "broken". */
  refusal = "";
  /** The camera and microphone: "" not asked for yet, or "asking" "refused" "open". */
  media = "";
  /** What is missing of them (media.js). */
  problem = "";
  /** What this side sends, if anything. */
  stream = null;
  isMuted = false;
  isCameraOff = false;
  /** What the other side told of itself. */
  other = { isMuted: false, isCameraOff: false };
  /** Whether media flows. */
  flowing = false;
  /** When it first did, and when the search for the other page began; performance.now() or null. */
  flowedAt = null;
  connectingAt = null;
  /** Why the visit is over: "" while it is not, "own" or "theirs" for who hung up, else the server's reason. */
  over = "";
  overAt = null;

  /**
   * @param {string} roomId 1 to 64 characters
   * @param {object} handlers changed() when a fact has changed; picture(stream) with what the other
   *   side sends, or null when that is gone
   */
  constructor(roomId, handlers) {
    this.roomId = roomId;
    this.#handlers = handlers;
    const seat = { room_id: roomId, key: seatKey(roomId), session: this.#session };
    this.#room = new RoomSocket(socketUrl(), seat, {
      up: (isUp) => this._reached(isUp),
      room: (room) => this._enter(room),
      relay: (from, data) => this._relayed(from, data),
      refused: (reason) => this._refused(reason),
      taken: () => this._turnedAway("taken"),
      broken: () => this._turnedAway("broken"),
    });
  }

  /** End the call for both. */
  hangUp() {
    // The server may be out of reach while media flows.
    this.#connection?.closeAfter({ bye: true });
    this.#connection = null;
    this.#room.hangUp();
    this._finish("own");
  }

  /** Leave without ending it: the page goes away. */
  leave() {
    this._stop();
  }

  toggleMute() {
    this.isMuted = !this.isMuted;
    this._switchTracks();
  }

  toggleCamera() {
    this.isCameraOff = !this.isCameraOff;
    this._switchTracks();
  }

  /** Ask for the camera and microphone again. */
  async askAgain() {
    this.#unwatchPermissions();
    this.media = "asking";
    this.#handlers.changed();
    const { stream, problem } = await openMedia();
    if (this._isDone()) {
      closeMedia(stream);
    } else if (stream === null) {
      this.media = "refused";
      this.#unwatchPermissions = await watchPermissions(() => this.askAgain());
      this.#handlers.changed();
    } else {
      this._open(stream, problem);
    }
  }

  /** Go on without camera and microphone. */
  goWithout() {
    this.#unwatchPermissions();
    this._open(new MediaStream(), "nothing");
  }

  get hasCamera() {
    return Boolean(this.stream?.getVideoTracks().length);
  }

  get hasMicrophone() {
    return Boolean(this.stream?.getAudioTracks().length);
  }

  // What the room says.

  _reached(isUp) {
    this.online = isUp;
    this._meet();
    this.#handlers.changed();
  }

  _enter(room) {
    this.room = room;
    this.refusal = "";
    if (room.state === "ended") {
      this._finish(room.reason);
      return;
    }
    // A visitor for whom there is no seat is not asked for a camera.
    if (this.media === "") this.askAgain();
    this._meet();
    this.#handlers.changed();
  }

  _refused(reason) {
    if (reason === "full") {
      this.refusal = reason;
      this.#handlers.changed();
    } else {
      this._turnedAway(reason);
    }
  }

  _turnedAway(reason) {
    this.refusal = reason;
    this._stop();
    this.#handlers.changed();
  }

  // What the other page says.

  // The other page may ask for an offer while this one still waits for its camera.
  _relayed(from, data) {
    if (from === this.#peerSession) this.#connection.hear(data);
    else this.#early = { from, data };
  }

  _told(note) {
    if (note.bye) {
      // The other side may have lost the server: this one tells it, too.
      this.#room.hangUp();
      this._finish("theirs");
    } else {
      this.other = { isMuted: note.isMuted === true, isCameraOff: note.isCameraOff === true };
      this.#handlers.changed();
    }
  }

  // The connection: one for each page load of the other side.

  _meet() {
    if (this.room === null || this.media !== "open") return;
    const { peer } = this.room;
    if (peer === null) {
      if (!this.flowing) this._disconnect();
      return;
    }
    if (peer.session !== this.#peerSession) this._connect(peer.session);
    this.#connection.reach(this.online && peer.present);
  }

  _connect(session) {
    this._disconnect();
    this.#peerSession = session;
    this.connectingAt = performance.now();
    this.other = { isMuted: false, isCameraOff: false };
    this.#connection = new Connection({
      offers: this.#session > session,
      stream: this.stream,
      iceServers: ICE_SERVERS,
      handlers: {
        say: (data) => this.#room.relay(session, data),
        changed: () => this._flowed(),
        picture: (stream) => this.#handlers.picture(stream),
        heard: (note) => this._told(note),
      },
    });
    if (this.#early?.from === session) this.#connection.hear(this.#early.data);
    this.#early = null;
  }

  _disconnect() {
    this.#connection?.close();
    this.#connection = null;
    this.#peerSession = null;
    this.flowing = false;
    this.#handlers.picture(null);
  }

  _flowed() {
    const { flowing } = this.#connection;
    if (this.flowing && !flowing) this.connectingAt = performance.now();
    this.flowing = flowing;
    if (flowing) {
      this.flowedAt = this.flowedAt ?? performance.now();
      this._tell();
    } else {
      this._meet();
    }
    this.#handlers.changed();
  }

  // This side's camera and microphone.

  _open(stream, problem) {
    this.media = "open";
    this.stream = stream;
    this.problem = problem;
    this._meet();
    this.#handlers.changed();
  }

  _switchTracks() {
    for (const track of this.stream?.getAudioTracks() ?? []) track.enabled = !this.isMuted;
    for (const track of this.stream?.getVideoTracks() ?? []) track.enabled = !this.isCameraOff;
    this._tell();
    this.#handlers.changed();
  }

  _tell() {
    this.#connection?.tell({
      isMuted: this.isMuted || !this.hasMicrophone,
      isCameraOff: this.isCameraOff || !this.hasCamera,
    });
  }

  // The end.

  _finish(reason) {
    this.over = reason;
    this.overAt = performance.now();
    this._stop();
    this.#handlers.changed();
  }

  _isDone() {
    return this.over !== "" || !["", "full"].includes(this.refusal);
  }

  _stop() {
    this.#unwatchPermissions();
    this.#room.close();
    this._disconnect();
    closeMedia(this.stream);
    this.stream = null;
  }
}

function socketUrl() {
  const url = new URL("/room", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/** The key of this tab's seat in a room, the same after a reload. */
function seatKey(roomId) {
  const name = `callnet.seat.${roomId}`;
  const key = sessionStorage.getItem(name) ?? randomId();
  sessionStorage.setItem(name, key);
  return key;
}
