/**
 * Before a call: how one looks and sounds, and with which devices.
 */

import { toggle } from "./controls.js";
import { attach, elements, put } from "./dom.js";
import { Level } from "./level.js";
import { previewOf } from "./scene.js";

export class Lobby {
  #level = new Level(elements.level, elements["level-bar"]);

  show({ call, own }, words) {
    const isHere = call === null;
    elements.lobby.hidden = !isHere;
    attach(elements.preview, isHere ? own.stream : null);
    elements.preview.hidden = !own.isSeen;
    elements.preview.classList.toggle("mirrored", own.isMirrored);
    put("preview-text", isHere ? words.preview[previewOf(own)] ?? "" : "");
    this.#level.follow((isHere && !own.isMuted && own.stream?.getAudioTracks()[0]) || null);
    const mute = own.isMuted ? words.unmute : words.mute;
    const camera = own.isCameraOff ? words.cameraOn : words.cameraOff;
    toggle("preview-mute", { isMissing: !own.hasMicrophone, isOff: own.isMuted, icons: ["mic", "mic-off"] });
    toggle("preview-camera", { isMissing: !own.hasCamera, isOff: own.isCameraOff, icons: ["video", "video-off"] });
    elements["preview-mute"].setAttribute("aria-label", mute);
    elements["preview-camera"].setAttribute("aria-label", camera);
    elements["preview-mute"].title = mute;
    elements["preview-camera"].title = camera;
  }
}
