/**
 * The buttons of a call: the bar, and what it keeps in its menu.
 */

import { number } from "../shared/format.js";
import { draw, elements, put } from "./dom.js";
import { canShare } from "../shared/media.js";
import { CONTROLLED } from "./view.js";

export class Controls {
  #windows;

  /** @param {import("./windows.js").Windows} windows */
  constructor(windows) {
    this.#windows = windows;
  }

  show({ scene, call, own, unread }, words) {
    elements.controls.hidden = !CONTROLLED.has(scene.state);
    toggle("mute", { isMissing: !own.hasMicrophone, isOff: own.isMuted, icons: ["mic", "mic-off"] });
    put("mute-label", own.isMuted ? words.unmute : words.mute);
    elements.mute.title = own.isMuted ? words.holdToTalk : `${words.mute} (M)`;
    toggle("camera", { isMissing: !own.hasCamera, isOff: own.isCameraOff, icons: ["video", "video-off"] });
    put("camera-label", own.isCameraOff ? words.cameraOn : words.cameraOff);
    elements.camera.title = `${own.isCameraOff ? words.cameraOn : words.cameraOff} (V)`;
    this._showShare(call, own, words);
    this._showChat(unread, words);
    this._showWindows(call, words);
  }

  _showShare(call, own, words) {
    const isSharing = own.screen !== null;
    elements.share.classList.toggle("on", isSharing);
    // It is in the bar or in the menu, as there is room.
    for (const name of ["share", "share-item"]) {
      elements[name].hidden = !canShare;
      elements[name].disabled = !isSharing && !call?.flowing;
      draw(`${name}-icon`, isSharing ? "screen-off" : "screen");
      put(`${name}-label`, isSharing ? words.stopSharing : words.share);
    }
  }

  _showChat(unread, words) {
    put("chat-label", words.chat);
    put("unread", unread === 0 ? "" : number(Math.min(unread, 99)));
    if (unread === 0) elements.chat.removeAttribute("aria-label");
    else elements.chat.setAttribute("aria-label", words.unread({ count: unread }));
  }

  _showWindows(call, words) {
    const { canFill, isFull, canFloat, isReady, isFloating } = this.#windows;
    elements["full-screen"].hidden = !canFill;
    draw("full-screen-icon", isFull ? "shrink" : "expand");
    put("full-screen-label", isFull ? words.smallScreen : words.fullScreen);
    elements.window.hidden = !canFloat;
    elements.window.disabled = !call?.flowing || !isReady;
    put("window-label", isFloating ? words.noWindow : words.window);
  }
}

/** Show whether something is on, off or not there at all. */
export function toggle(name, { isMissing, isOff, icons: [onIcon, offIcon] }) {
  const button = elements[name];
  button.disabled = isMissing;
  button.classList.toggle("off", isOff || isMissing);
  draw(`${name}-icon`, isOff || isMissing ? offIcon : onIcon);
}
