/**
 * The pictures: the other side's camera and screen, and one's own camera. Sound comes with the first.
 */

import { attach, elements, put } from "./dom.js";
import { movable } from "./thumb.js";
import { CONTROLLED } from "./view.js";

/** On a wide screen a picture of another shape is shown whole if cutting it would lose more than this. */
const MOST_CUT = 1.6;
const IN_A_CALL = new Set(["connected", "reconnecting"]);

export class Stage {
  #isSilent = false;
  /** Whether one's own picture is the large one, and whether it is wanted at all. */
  #isSwapped = false;
  #canSwap = false;
  #isSelfHidden = false;
  /** Whether the other side's picture is to be whole; null: as it fits best. */
  #wantsWhole = null;
  /** Whether nothing is to be played, while a side holds the call. */
  #isHeld = false;

  /** @param {function(): void} changed called when the person wants the pictures otherwise */
  constructor(changed) {
    const swap = () => {
      if (!this.#canSwap) return;
      this.#isSwapped = !this.#isSwapped;
      changed();
    };
    movable(elements.self, swap);
    movable(elements.other, swap);
    elements.other.addEventListener("dblclick", () => {
      if (elements.other.matches(".thumb")) return;
      this.toggleFit();
      changed();
    });
    elements.remote.addEventListener("resize", () => this._fit());
    new ResizeObserver(() => this._fit()).observe(elements.view);
  }

  /** Whether the browser plays the other side without its sound, until the person does something. */
  get isSilent() {
    return this.#isSilent;
  }

  /** The video that is the largest in a call now. */
  get main() {
    return elements.screen.hidden ? elements.remote : elements.screen;
  }

  /** Show the other side's picture whole, or let it fill the view. */
  toggleFit() {
    this.#wantsWhole = !elements.remote.matches(".whole");
    this._fit();
  }

  /** Show one's own picture or do without it. */
  toggleSelf() {
    this.#isSelfHidden = !this.#isSelfHidden;
  }

  show({ scene, call, own }, words) {
    attach(elements.local, call === null ? null : own.stream);
    const isOver = !CONTROLLED.has(scene.state);
    const isAway = isOver || own.state !== "open" || (!own.hasCamera && scene.state !== "connected");
    elements["self-off"].hidden = own.isSeen;
    elements.local.hidden = !own.isSeen;
    elements.local.classList.toggle("mirrored", own.isMirrored);
    elements.flip.hidden = !own.isSeen || own.devices.camera.length < 2;
    const isSharing = Boolean(call?.other.isSharing && elements.screen.srcObject);
    elements.screen.hidden = !isSharing || isOver;
    const isDark = scene.state === "connected" && call.other.isCameraOff;
    elements["remote-off"].hidden = !isDark;
    if (isDark) put("remote-off-text", call.other.isPaused ? words.otherPaused : words.otherOff);
    this._arrange({ isAway, isSharing, isDark, isInCall: IN_A_CALL.has(scene.state) });
    put("self-item-label", this.#isSelfHidden ? words.showSelf : words.hideSelf);
    elements["self-item"].disabled = isAway;
    put("fit-label", elements.remote.matches(".whole") ? words.fill : words.whole);
    elements.fit.disabled = scene.state !== "connected" || isSharing;
  }

  /** Make ready to play that: a browser takes a while to open the sound, and nothing else goes on meanwhile. */
  expect(stream) {
    attach(elements.remote, stream);
  }

  /** Play what the other side sends of its camera and microphone; null: nothing. */
  async play(stream) {
    const { remote } = elements;
    attach(remote, stream);
    if (stream === null || this.#isHeld) return;
    try {
      await remote.play();
    } catch (error) {
      if (error.name !== "NotAllowedError") return; // another stream came meanwhile
      this.#isSilent = true;
      remote.muted = true;
      await remote.play();
    }
  }

  /** Play nothing while a side holds the call. */
  hold(isHeld) {
    if (isHeld === this.#isHeld) return;
    this.#isHeld = isHeld;
    elements.remote.muted = isHeld || this.#isSilent;
    // A stream that comes meanwhile would play by itself.
    for (const video of [elements.remote, elements.screen]) {
      video.autoplay = !isHeld;
      video.pause();
    }
    if (isHeld) return;
    this.play(elements.remote.srcObject);
    if (elements.screen.srcObject !== null) elements.screen.play().catch(() => {}); // another stream came meanwhile
  }

  /** Play what the other side sends of its screen; null: nothing. */
  playScreen(stream) {
    attach(elements.screen, stream);
  }

  /** The person did something, so sound may be allowed now: what the browser does not allow it pauses. */
  async letSound() {
    this.#isSilent = false;
    elements.remote.muted = this.#isHeld;
    await this.play(elements.remote.srcObject);
  }

  // A shared screen is always the large one.
  _arrange({ isAway, isSharing, isDark, isInCall }) {
    const { self, other } = elements;
    self.hidden = isAway || this.#isSelfHidden;
    this.#canSwap = isInCall && !isSharing && !self.hidden;
    const isSwapped = this.#isSwapped && this.#canSwap;
    document.body.classList.toggle("shown-a-screen", isSharing);
    self.classList.toggle("thumb", !isSwapped);
    other.classList.toggle("thumb", isSwapped || isSharing);
    other.classList.toggle("second", isSharing && !self.hidden);
    other.classList.toggle("dark", isDark);
  }

  _fit() {
    const { remote, view } = elements;
    if (!remote.videoWidth) return;
    const picture = remote.videoWidth / remote.videoHeight;
    const shape = view.clientWidth / view.clientHeight;
    const losesMuch = shape >= 1 && Math.max(picture / shape, shape / picture) > MOST_CUT;
    remote.classList.toggle("whole", this.#wantsWhole ?? losesMuch);
  }
}
