/**
 * Files that the two pages hand each other, never through the server (docs/room.md).
 *
 * A note offers a file; once the other side accepts it, the sender opens a data channel of its own, sends the bytes and
 * waits until the receiver says on it that it has them all, and closes it; one of an older version only closes it. Either
 * side may say before that it does not want to go on.
 * No file outlives the connection over which it was offered.
 */

import { randomId } from "../client/room.js";
import { LARGEST_FILE } from "./notes.js";

export { LARGEST_FILE };

const LABEL = "file-";
const DONE = "done";
/** Bytes of a message. Every browser takes as much. */
const CHUNK = 16_384;
/** Bytes that may wait to be sent before the next ones are handed over. */
const MOST_WAITING = 262_144;
/** A name in a folder of the receiver's: no path, nothing unseen, nothing that turns the writing around. */
const UNSAFE = /[\p{Cc}\p{Cf}/\\:*?"<>|]/gu;
const LONGEST_NAME = 120;

/**
 * @typedef {object} Transfer
 * @property {string} id
 * @property {"own" | "theirs"} side whose file it is
 * @property {string} name
 * @property {number} size in bytes
 * @property {number} moved bytes that have arrived, as far as this side knows
 * @property {"offered" | "moving" | "done" | "cancelled" | "failed"} state
 * @property {Blob | null} content of a file of the other side that is done
 */

export class Files {
  #tell;
  #open;
  #changed;
  #all = new Map();

  /**
   * @param {object} handlers tell(note): returns whether the other side can be told · open(label): returns a new
   *   RTCDataChannel or null · changed(transfer)
   */
  constructor({ tell, open, changed }) {
    this.#tell = tell;
    this.#open = open;
    this.#changed = changed;
  }

  /** Offer a file; returns whether that was possible. */
  offer(file) {
    const id = randomId();
    const name = safeName(file.name);
    if (file.size === 0 || file.size > LARGEST_FILE || !this.#tell({ kind: "file", id, name, size: file.size })) return false;
    this._add({ id, side: "own", name, size: file.size, file });
    return true;
  }

  /** Have a file sent that the other side offers. */
  accept(id) {
    const transfer = this.#all.get(id);
    this._set(transfer, "moving");
    if (!this.#tell({ kind: "file_accept", id, says_done: true })) this._set(transfer, "failed");
  }

  /** Decline a file, or have its transfer stopped. */
  cancel(id) {
    const transfer = this.#all.get(id);
    if (transfer === undefined || isOver(transfer)) return;
    this._set(transfer, "cancelled");
    this.#tell({ kind: "file_cancel", id });
    transfer.channel?.close();
  }

  /** Forget a file, which is not transferred any more. */
  forget(id) {
    this.cancel(id);
    this.#all.delete(id);
  }

  /** Take a note of the other side. */
  hear({ kind, id, name, size, says_done: saysDone = false }) {
    const transfer = this.#all.get(id);
    if (kind === "file" && transfer === undefined) this._add({ id, side: "theirs", name: safeName(name), size, file: null });
    if (transfer === undefined || isOver(transfer)) return;
    if (kind === "file_cancel") this._end(transfer, "cancelled");
    else if (kind === "file_accept" && transfer.side === "own" && transfer.state === "offered") this._send(transfer, saysDone);
  }

  /** Take a channel that the other side has opened. */
  take(channel) {
    const transfer = channel.label.startsWith(LABEL) ? this.#all.get(channel.label.slice(LABEL.length)) : undefined;
    if (transfer === undefined || transfer.side === "own" || transfer.state !== "moving" || transfer.channel !== null) {
      channel.close();
      return;
    }
    const chunks = [];
    transfer.channel = channel;
    channel.binaryType = "arraybuffer";
    channel.onclose = () => this._end(transfer, "failed");
    channel.onmessage = ({ data }) => {
      if (isOver(transfer)) return;
      const moved = transfer.moved + (data.byteLength || Infinity); // a text is none of a file, nor what has no bytes
      if (moved > transfer.size) {
        this.cancel(transfer.id);
        return;
      }
      transfer.moved = moved;
      chunks.push(data);
      if (transfer.moved < transfer.size) {
        this.#changed(transfer);
        return;
      }
      // A browser shows no file of this kind, whatever is in it: it is only ever saved.
      transfer.content = new Blob(chunks, { type: "application/octet-stream" });
      if (channel.readyState === "open") channel.send(DONE);
      this._end(transfer, "done");
    };
  }

  /** The connection is gone, and what goes over it. */
  drop() {
    for (const transfer of this.#all.values()) this._end(transfer, "failed");
    this.#all.clear();
  }

  _add(given) {
    const transfer = { ...given, moved: 0, state: "offered", content: null, channel: null };
    this.#all.set(transfer.id, transfer);
    this.#changed(transfer);
  }

  async _send(transfer, saysDone) {
    const channel = this.#open(LABEL + transfer.id);
    if (channel === null) {
      this._end(transfer, "failed");
      this.#tell({ kind: "file_cancel", id: transfer.id });
      return;
    }
    transfer.channel = channel;
    channel.binaryType = "arraybuffer";
    channel.bufferedAmountLowThreshold = MOST_WAITING / 2;
    this._set(transfer, "moving");
    let bytes = null;
    let sent = 0;
    const push = () => {
      if (bytes === null || channel.readyState !== "open" || isOver(transfer)) return;
      while (sent < bytes.byteLength && channel.bufferedAmount < MOST_WAITING) {
        channel.send(bytes.slice(sent, sent + CHUNK));
        sent = Math.min(sent + CHUNK, bytes.byteLength);
      }
      transfer.moved = sent - Math.min(sent, channel.bufferedAmount);
      this.#changed(transfer);
    };
    channel.onopen = push;
    channel.onbufferedamountlow = push;
    const isAll = () => bytes !== null && sent === bytes.byteLength;
    channel.onmessage = ({ data }) => {
      if (data === DONE && isAll()) this._end(transfer, "done");
    };
    // What was handed over may still have been on its way.
    channel.onclose = () => this._end(transfer, !saysDone && isAll() ? "done" : "failed");
    try {
      bytes = await transfer.file.arrayBuffer();
    } catch {
      this.cancel(transfer.id); // it is gone from the disk, or has changed
      return;
    }
    push();
  }

  _end(transfer, state) {
    if (isOver(transfer)) return;
    if (state === "done") transfer.moved = transfer.size;
    this._set(transfer, state);
    transfer.channel?.close();
  }

  _set(transfer, state) {
    transfer.state = state;
    this.#changed(transfer);
  }
}

function isOver({ state }) {
  return state === "done" || state === "cancelled" || state === "failed";
}

/** A name under which a file of the other side may be saved. */
export function safeName(name) {
  const plain = name.replace(UNSAFE, "_").replace(/^[.\s]+/, "").trim();
  const letters = Array.from(plain);
  if (letters.length <= LONGEST_NAME) return plain || "file";
  const dot = letters.lastIndexOf(".");
  const ending = dot > 0 && letters.length - dot <= 12 ? letters.slice(dot) : [];
  return [...letters.slice(0, LONGEST_NAME - ending.length), ...ending].join("");
}
