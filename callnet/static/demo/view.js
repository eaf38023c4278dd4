/**
 * Puts a scene and the facts of a call on the page: each part of the page has a part of the view.
 */

import { beginScene } from "../shared/presses.js";
import { speak } from "../shared/words.js";
import { elements, focusable, isShown } from "./dom.js";
import { restoreCorner } from "./thumb.js";

/** The states in which there is something to control. */
export const CONTROLLED = new Set(["waiting", "connecting", "connected", "reconnecting"]);

export class View {
  #parts;
  #words = null;
  #title = null;

  /**
   * @param {{show: function(object, object): void}[]} parts each is shown the facts and the words:
   *   scene: what sceneOf() says · call: Call or null · own: Own · notice: a name in the words ·
   *   roomId: of the room that was entered, or "" · now: performance.now()
   */
  constructor(parts) {
    this.#parts = parts;
  }

  get words() {
    return this.#words;
  }

  /** Speak with these words (shared/words.js) from now on. */
  speak(words) {
    this.#words = words;
    speak(words);
    restoreCorner(); // languages run in two directions
  }

  show(facts) {
    const { scene } = facts;
    const words = this.#words;
    document.body.dataset.callState = scene.state;
    document.body.dataset.scene = scene.title;
    document.title = scene.state === "idle" ? words.page : `${words.title[scene.title]} · ${words.page}`;
    for (const part of this.#parts) part.show(facts, words);
    this._keepFocus(scene);
  }

  /** The button or field that matters most now. */
  mainControl() {
    return focusable(elements.talk)[0] ?? focusable(elements.controls)[0] ?? null;
  }

  // A remote control needs something to press, so what appears takes the focus that has vanished. In a
  // call nothing takes it: a ring around a button would stand there all the time; the first key brings it.
  _keepFocus(scene) {
    if (scene.title === this.#title) return;
    this.#title = scene.title;
    beginScene();
    const focused = document.activeElement;
    const isLost = focused === document.body || focused === null || !isShown(focused);
    if (isLost && !CONTROLLED.has(scene.state)) this.mainControl()?.focus();
  }
}
