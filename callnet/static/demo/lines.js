/**
 * The three lines of an RTCPeerConnection, over each of which both sides may send: microphone, camera, screen.
 *
 * They are known by their order alone, which is that of their m-lines: two of them carry video. The side that
 * offers makes them once, the other one finds them in the offer and adds none. What is sent over a line may
 * change at any time, and nobody has to negotiate for that.
 */

const KINDS = ["microphone", "camera", "screen"];
const MEDIA = { microphone: "audio", camera: "video", screen: "video" };

/** Sound goes first: at this side, and on the way where routers look at it (RFC 8837). */
const FIRST = { priority: "high", networkPriority: "high" };

export class Lines {
  #peer;
  #streams;
  #level = null;

  /**
   * @param {RTCPeerConnection} peer
   * @param {MediaStream} stream which the other side plays camera and microphone as, in step
   */
  constructor(peer, stream) {
    this.#peer = peer;
    this.#streams = { microphone: stream, camera: stream, screen: new MediaStream() };
  }

  /** Make the lines, as the side that offers, to send these tracks: of a kind each, null for none. */
  open(tracks) {
    for (const kind of KINDS) {
      const options = { direction: "sendrecv", streams: [this.#streams[kind]] };
      this.#peer.addTransceiver(tracks[kind] ?? MEDIA[kind], options);
    }
  }

  /** The tracks as which the other side's microphone and camera will come, once the lines are made. */
  get expected() {
    return this.#peer.getTransceivers().slice(0, KINDS.indexOf("screen")).map(({ receiver }) => receiver.track);
  }

  /** Take the lines that were offered, to send these tracks. Those of an earlier offer stay as they are. */
  async take(tracks) {
    const replaced = [];
    for (const [index, transceiver] of this.#peer.getTransceivers().entries()) {
      const kind = KINDS[index];
      if (kind === undefined || transceiver.direction === "sendrecv") continue;
      transceiver.direction = "sendrecv";
      replaced.push(transceiver.sender.replaceTrack(tracks[kind]));
      transceiver.sender.setStreams?.(this.#streams[kind]);
    }
    await Promise.all(replaced);
  }

  /** Send another track, or null for none. */
  async use(kind, track) {
    await this._sender(kind)?.replaceTrack(track);
  }

  /** Send no more than fits a level (link.js). */
  async tune(level) {
    if (level === this.#level) return;
    const { isOn, bits, scale } = level;
    await this._set("microphone", FIRST);
    await this._set("camera", { active: isOn, maxBitrate: bits, scaleResolutionDownBy: scale });
    // Whoever shows a text wants it to be read: fewer frames, not fewer pixels.
    await this._set("screen", { active: isOn, maxBitrate: bits });
    this.#level = level;
  }

  /** The kind of a line; undefined: it is none of the three. */
  kindOf(transceiver) {
    return KINDS[this.#peer.getTransceivers().indexOf(transceiver)];
  }

  _sender(kind) {
    return this.#peer.getTransceivers()[KINDS.indexOf(kind)]?.sender;
  }

  async _set(kind, wanted) {
    const sender = this._sender(kind);
    const parameters = sender?.getParameters();
    if (!parameters?.encodings?.length) return; // nothing is agreed upon yet
    Object.assign(parameters.encodings[0], wanted);
    await sender.setParameters(parameters);
  }
}
