/**
 * Where the other side's sound comes out, where the browser lets one choose.
 */

import { browser } from "../shared/memory.js";
import { elements } from "./dom.js";

/** A friendly chime: hertz, one after another. */
const CHIME = [523, 659, 784];
const NOTE = 0.25;
const LOUD = 0.2;

export class Speaker {
  #chosen = browser.get("speaker") ?? "";
  /** The changes, one after the other: the device in use is known only when the last one is done. */
  #work = Promise.resolve();

  /** The device in use; "" where the browser decides. */
  id = "";

  /** Take the one that was chosen if it is among these, the devices that there are now; else leave it to the browser. */
  takeFrom(devices) {
    const take = async () => {
      const id = devices.some((device) => device.id === this.#chosen) ? this.#chosen : "";
      if (id !== this.id) await this._take(id);
    };
    return this._enqueue(take).catch(() => {}); // it has gone meanwhile
  }

  /** Play a few notes where the other side would be heard. */
  async test() {
    const context = new AudioContext();
    const out = context.createMediaStreamDestination();
    const chime = new Audio();
    chime.srcObject = out.stream;
    if (this.id !== "") await chime.setSinkId(this.id).catch(() => {});
    for (const [index, hertz] of CHIME.entries()) play(context, out, hertz, context.currentTime + index * NOTE);
    await chime.play();
    setTimeout(() => context.close(), 1_000 * (CHIME.length * NOTE + 1));
  }

  /** Take a device and remember it. @throws if it cannot be used */
  choose(id) {
    return this._enqueue(async () => {
      await this._take(id);
      this.#chosen = id;
      browser.set("speaker", id);
    });
  }

  _enqueue(change) {
    const done = this.#work.then(change);
    this.#work = done.catch(() => {});
    return done;
  }

  async _take(id) {
    await elements.remote.setSinkId(id);
    this.id = id;
  }
}

function play(context, out, hertz, at) {
  const tone = context.createOscillator();
  const volume = context.createGain();
  tone.frequency.value = hertz;
  volume.gain.setValueAtTime(LOUD, at);
  volume.gain.exponentialRampToValueAtTime(0.001, at + 2 * NOTE);
  tone.connect(volume).connect(out);
  tone.start(at);
  tone.stop(at + 2 * NOTE);
}
