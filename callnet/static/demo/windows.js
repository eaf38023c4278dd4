/**
 * Full screen, and the picture in a small window above all others, where the browser has them.
 */

export class Windows {
  #video;

  /**
   * @param {function(): HTMLVideoElement} video what a small window is to show
   * @param {function(): void} changed called when one of these begins or ends, by whomever
   */
  constructor(video, changed) {
    this.#video = video;
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
    return Boolean(document.pictureInPictureEnabled);
  }

  get isFloating() {
    return Boolean(document.pictureInPictureElement);
  }

  async fill() {
    if (this.isFull) await document.exitFullscreen();
    else await document.documentElement.requestFullscreen();
  }

  async float() {
    if (this.isFloating) await document.exitPictureInPicture();
    else await this.#video().requestPictureInPicture();
  }
}
