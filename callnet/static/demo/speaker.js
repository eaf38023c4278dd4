/**
 * Where the other side's sound comes out, where the browser lets one choose.
 */

import { browser } from "../shared/memory.js";
import { elements } from "./dom.js";
import { canChooseSpeaker } from "./media.js";

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

  /** Take a device and remember it. @throws if it cannot be used */
  async choose(id) {
    await elements.remote.setSinkId(id);
    this.id = id;
    browser.set("speaker", id);
  }
}
