/**
 * The pictures: the other side's camera and screen, and one's own camera. Sound comes with the first.
 */

import { attach, elements, put } from "./dom.js";
import { CONTROLLED } from "./view.js";

/** A picture of another shape than the screen is shown whole if cutting it would lose more than this. */
const MOST_CUT = 1.6;

export class Stage {
  #isSilent = false;

  constructor() {
    elements.remote.addEventListener("resize", fit);
    window.addEventListener("resize", fit);
  }

  /** Whether the browser plays the other side without its sound, until the person does something. */
  get isSilent() {
    return this.#isSilent;
  }

  /** The video that is the largest in a call now. */
  get main() {
    return elements.screen.hidden ? elements.remote : elements.screen;
  }

  show({ scene, call, own }, words) {
    attach(elements.local, call === null ? null : own.stream);
    const isOver = !CONTROLLED.has(scene.state);
    elements.self.hidden = isOver || own.state !== "open" || (!own.hasCamera && scene.state !== "connected");
    elements["self-off"].hidden = own.isSeen;
    elements.local.hidden = !own.isSeen;
    elements.local.classList.toggle("mirrored", own.isMirrored);
    elements.flip.hidden = !own.isSeen || own.devices.camera.length < 2;
    const isSharing = Boolean(call?.other.isSharing && elements.screen.srcObject);
    document.body.classList.toggle("shown-a-screen", isSharing);
    elements.screen.hidden = !isSharing || isOver;
    const isDark = scene.state === "connected" && call.other.isCameraOff;
    elements.remote.classList.toggle("dark", isDark);
    elements["remote-off"].hidden = !isDark || isSharing;
    if (isDark) put("remote-off-text", call.other.isPaused ? words.otherPaused : words.otherOff);
  }

  /** Play what the other side sends of its camera and microphone; null: nothing. */
  async play(stream) {
    const { remote } = elements;
    attach(remote, stream);
    if (stream === null) return;
    try {
      await remote.play();
    } catch (error) {
      if (error.name !== "NotAllowedError") return; // another stream came meanwhile
      this.#isSilent = true;
      remote.muted = true;
      await remote.play();
    }
  }

  /** Play what the other side sends of its screen; null: nothing. */
  playScreen(stream) {
    attach(elements.screen, stream);
  }

  /** The person did something, so sound is allowed now. */
  letSound() {
    this.#isSilent = false;
    elements.remote.muted = false;
  }
}

function fit() {
  const { remote } = elements;
  if (!remote.videoWidth) return;
  const picture = remote.videoWidth / remote.videoHeight;
  const screen = window.innerWidth / window.innerHeight;
  remote.classList.toggle("whole", Math.max(picture / screen, screen / picture) > MOST_CUT);
}
