/**
 * Full screen, and the picture in a small window above all others, where the browser has them.
 */

export class Windows {
  #video;
  #floating;

  /**
   * @param {function(): HTMLVideoElement} video what a small window is to show
   * @param {import("./floating.js").Floating} floating the small window that has buttons, too
   * @param {function(): void} changed called when one of these begins or ends, by whomever
   */
  constructor(video, floating, changed) {
    this.#video = video;
    this.#floating = floating;
    document.addEventListener("fullscreenchange", changed);
    for (const kind of ["enterpictureinpicture", "leavepictureinpicture"]) {
      document.addEventListener(kind, changed);
    }
  }

  get canFill() {
    return Boolean(document.fullscreenEnabled);
  }

  get isFull() {
    return Boolean(document.fullscreenElement);
  }

  get canFloat() {
    return this.#floating.canOpen || Boolean(document.pictureInPictureEnabled);
  }

  /** Whether it could show something now: one without buttons needs a picture. */
  get isReady() {
    return this.#floating.canOpen || this.#video().videoWidth > 0;
  }

  get isFloating() {
    return this.#floating.isOpen || Boolean(document.pictureInPictureElement);
  }

  async fill() {
    if (this.isFull) await document.exitFullscreen();
    else await document.documentElement.requestFullscreen();
  }

  async float() {
    if (this.isFloating) await this.close();
    else if (this.#floating.canOpen) await this.#floating.open();
    else await this.#video().requestPictureInPicture();
  }

  /** Close the small window, if there is one. */
  async close() {
    this.#floating.close();
    if (document.pictureInPictureElement) await document.exitPictureInPicture();
  }
}
