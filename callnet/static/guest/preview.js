/**
 * Oneself, while it rings: so the browser has asked for camera and microphone by the time somebody answers.
 */

import { closeMedia, openMedia } from "../shared/media.js";
import { browser } from "../shared/memory.js";

export class Preview {
  #video;
  #changed;
  #asked = 0;
  #isShown = false;
  #stream = null;

  /**
   * @param {HTMLVideoElement} video
   * @param {(isSeen: boolean) => void} changed is called whenever there is a picture, or none any more
   */
  constructor(video, changed) {
    this.#video = video;
    this.#changed = changed;
  }

  /** Show it, or stop camera and microphone. */
  show(isShown) {
    if (isShown === this.#isShown) return;
    this.#isShown = isShown;
    this.#asked += 1;
    if (isShown) this._open(this.#asked);
    else this._put(null);
  }

  async _open(asked) {
    const { stream } = await openMedia({ camera: browser.get("camera") ?? "", microphone: browser.get("microphone") ?? "" });
    if (asked === this.#asked) this._put(stream);
    else closeMedia(stream);
  }

  _put(stream) {
    closeMedia(this.#stream);
    this.#stream = this.#video.srcObject = stream;
    this.#changed(stream !== null && stream.getVideoTracks().length > 0);
  }
}
