/**
 * Where the other side's sound comes out, where the browser lets one choose.
 */

import { browser } from "../shared/memory.js";
import { elements } from "./dom.js";
import { canChooseSpeaker } from "../shared/media.js";

/** A friendly chime: hertz, one after another. */
const CHIME = [523, 659, 784];
const NOTE = 0.25;
const LOUD = 0.2;

export class Speaker {
  #isRestored = false;

  /** The device in use; "" where the browser decides. */
  id = "";

  /** Take the one that was chosen before, once the person has allowed the page to know of devices. */
  async restore() {
    const id = browser.get("speaker") ?? "";
    if (this.#isRestored || !canChooseSpeaker || id === "") return;
    this.#isRestored = true;
    // One that is gone leaves it to the browser.
    await this.choose(id).catch(() => {});
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
  async choose(id) {
    await elements.remote.setSinkId(id);
    this.id = id;
    browser.set("speaker", id);
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
