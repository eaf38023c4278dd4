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
      up: (isUp) => this.#reached(isUp),
      room: (room) => this.#enter(room),
      relay: (from, data) => this.#relayed(from, data),
      refused: (reason) => this.#refused(reason),
      taken: () => this.#turnedAway("taken"),
      broken: () => this.#turnedAway("broken"),
    });
  }

  /** End the call for both. */
  hangUp() {
    // The server may be out of reach while media flows.
    this.#connection?.closeAfter({ bye: true });
    this.#connection = null;
    this.#room.hangUp();
    this.#finish("own");
  }

  /** Leave without ending it: the page goes away. */
  leave() {
    this.#stop();
  }

  toggleMute() {
    this.isMuted = !this.isMuted;
    this.#switchTracks();
  }

  toggleCamera() {
    this.isCameraOff = !this.isCameraOff;
    this.#switchTracks();
  }

  /** Ask for the camera and microphone again. */
  async askAgain() {
    this.#unwatchPermissions();
    this.media = "asking";
    this.#handlers.changed();
    const { stream, problem } = await openMedia();
    if (this.#isDone()) {
      closeMedia(stream);
    } else if (stream === null) {
      this.media = "refused";
      this.#unwatchPermissions = await watchPermissions(() => this.askAgain());
      this.#handlers.changed();
    } else {
      this.#open(stream, problem);
    }
  }

  /** Go on without camera and microphone. */
  goWithout() {
    this.#unwatchPermissions();
    this.#open(new MediaStream(), "nothing");
  }

  get hasCamera() {
    return Boolean(this.stream?.getVideoTracks().length);
  }

  get hasMicrophone() {
    return Boolean(this.stream?.getAudioTracks().length);
  }

  // What the room says.

  #reached(isUp) {
    this.online = isUp;
    this.#meet();
    this.#handlers.changed();
  }

  #enter(room) {
    this.room = room;
    this.refusal = "";
    if (room.state === "ended") {
      this.#finish(room.reason);
      return;
    }
    // A visitor for whom there is no seat is not asked for a camera.
    if (this.media === "") this.askAgain();
    this.#meet();
    this.#handlers.changed();
  }

  #refused(reason) {
    if (reason === "full") {
      this.refusal = reason;
      this.#handlers.changed();
    } else {
      this.#turnedAway(reason);
    }
  }

  #turnedAway(reason) {
    this.refusal = reason;
    this.#stop();
    this.#handlers.changed();
  }

  // What the other page says.

  // The other page may ask for an offer while this one still waits for its camera.
  #relayed(from, data) {
    if (from === this.#peerSession) this.#connection.hear(data);
    else this.#early = { from, data };
  }

  #told(note) {
    if (note.bye) {
      // The other side may have lost the server: this one tells it, too.
      this.#room.hangUp();
      this.#finish("theirs");
    } else {
      this.other = { isMuted: note.isMuted === true, isCameraOff: note.isCameraOff === true };
      this.#handlers.changed();
    }
  }

  // The connection: one for each page load of the other side.

  #meet() {
    if (this.room === null || this.media !== "open") return;
    const { peer } = this.room;
    if (peer === null) {
      if (!this.flowing) this.#disconnect();
      return;
    }
    if (peer.session !== this.#peerSession) this.#connect(peer.session);
    this.#connection.reach(this.online && peer.present);
  }

  #connect(session) {
    this.#disconnect();
    this.#peerSession = session;
    this.connectingAt = performance.now();
    this.other = { isMuted: false, isCameraOff: false };
    this.#connection = new Connection({
      offers: this.#session > session,
      stream: this.stream,
      iceServers: ICE_SERVERS,
      handlers: {
        say: (data) => this.#room.relay(session, data),
        changed: () => this.#flowed(),
        picture: (stream) => this.#handlers.picture(stream),
        heard: (note) => this.#told(note),
      },
    });
    if (this.#early?.from === session) this.#connection.hear(this.#early.data);
    this.#early = null;
  }

  #disconnect() {
    this.#connection?.close();
    this.#connection = null;
    this.#peerSession = null;
    this.flowing = false;
    this.#handlers.picture(null);
  }

  #flowed() {
    const { flowing } = this.#connection;
    if (this.flowing && !flowing) this.connectingAt = performance.now();
    this.flowing = flowing;
    if (flowing) {
      this.flowedAt ??= performance.now();
      this.#tell();
    } else {
      this.#meet();
    }
    this.#handlers.changed();
  }

  // This side's camera and microphone.

  #open(stream, problem) {
    this.media = "open";
    this.stream = stream;
    this.problem = problem;
    this.#meet();
    this.#handlers.changed();
  }

  #switchTracks() {
    for (const track of this.stream?.getAudioTracks() ?? []) track.enabled = !this.isMuted;
    for (const track of this.stream?.getVideoTracks() ?? []) track.enabled = !this.isCameraOff;
    this.#tell();
    this.#handlers.changed();
  }

  #tell() {
    this.#connection?.tell({
      isMuted: this.isMuted || !this.hasMicrophone,
      isCameraOff: this.isCameraOff || !this.hasCamera,
    });
  }

  // The end.

  #finish(reason) {
    this.over = reason;
    this.overAt = performance.now();
    this.#stop();
    this.#handlers.changed();
  }

  #isDone() {
    return this.over !== "" || !["", "full"].includes(this.refusal);
  }

  #stop() {
    this.#unwatchPermissions();
    this.#room.close();
    this.#disconnect();
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
