/**
 * Node.js has no WebRTC: RTCPeerConnections that keep what they are given, over which media flows when a test says so.
 */

/** The data channel of an RTCPeerConnection, and what was sent on it. */
class DataChannel {
  readyState = "connecting";
  told = [];

  send(text) {
    this.told.push(JSON.parse(text));
  }
}

/** RTCPeerConnections as the page makes them, the newest last. A test begins with none. */
export class PeerConnection {
  static made = [];
  /** The formats of the browser that makes the next one. */
  static formats = "96";

  signalingState = "stable";
  connectionState = "new";
  localDescription = null;
  remoteDescription = null;
  channel = null;
  added = [];
  received = 0;
  restarts = 0;
  #found = [];
  #number = PeerConnection.made.push(this);
  #formats = PeerConnection.formats;

  createDataChannel() {
    this.channel = new DataChannel();
    return this.channel;
  }
  addTransceiver() {}
  getTransceivers() {
    return [];
  }
  async createOffer() {
    return { type: "offer", sdp: this.#sdp() };
  }
  async createAnswer() {
    return { type: "answer" };
  }
  async setLocalDescription({ type, sdp: set = "" }) {
    const lite = set.match(/^a=ice-lite\r\n/m) ?? [""];
    const sdp = () => lite[0] + this.#sdp();
    this.localDescription = {
      type,
      get sdp() {
        return sdp();
      },
    };
    this.signalingState = type === "offer" ? "have-local-offer" : "stable";
  }
  async setRemoteDescription(description) {
    this.remoteDescription = description;
    this.signalingState = description.type === "offer" ? "have-remote-offer" : "stable";
  }
  async addIceCandidate({ candidate }) {
    this.added.push(candidate);
  }
  async getStats() {
    const stat = { id: "in", type: "inbound-rtp", kind: "video", bytesReceived: this.received };
    return new Map([["in", stat]]);
  }
  restartIce() {
    this.restarts += 1;
  }
  close() {
    this.signalingState = "closed";
  }

  /** Find an address; "": there are no more. */
  find(candidate) {
    if (candidate !== "") this.#found.push(candidate);
    this.onicecandidate?.({ candidate: candidate === "" ? null : { candidate, toJSON: () => ({ candidate }) } });
  }

  /** Come to another state, such as "connected". */
  become(state) {
    this.connectionState = state;
    this.onconnectionstatechange({});
  }

  /** Open the data channel. */
  open() {
    this.channel.readyState = "open";
    this.channel.onopen({});
  }

  #sdp() {
    const candidates = this.#found.map((candidate) => `a=candidate:${candidate}`);
    const lines = [`m=video 9 UDP ${this.#formats}`, `a=ice-ufrag:${this.#number}`, "a=setup:actpass", ...candidates];
    return lines.map((line) => `${line}\r\n`).join("");
  }
}

/** One of Firefox before 113, which tells of ICE alone. */
export class OldPeerConnection extends PeerConnection {
  connectionState = undefined;
  iceConnectionState = "new";

  become(state) {
    this.iceConnectionState = state;
    this.oniceconnectionstatechange({});
  }
}

/** A MediaStream without tracks. */
export class Stream {
  getTracks() {
    return [];
  }
  getAudioTracks() {
    return [];
  }
  getVideoTracks() {
    return [];
  }
  addTrack() {}
}

Object.assign(globalThis, { RTCPeerConnection: PeerConnection, MediaStream: Stream, window: globalThis });
