/**
 * The other side's picture in a window above all others, with the buttons that matter most, where the browser has that
 * (Document Picture-in-Picture). Inside the phone it is the phone's: only the outermost page may open one.
 */

import { attach, elements } from "./dom.js";
import { CONTROLLED } from "./view.js";

const SIZE = { width: 400, height: 300 };
const BUTTONS = ["mute", "camera", "hangup"];

export class Floating {
  #changed;
  #window = null;
  #video = null;
  #buttons = [];

  /** @param {function(): void} changed called when the window is closed, by whomever */
  constructor(changed) {
    this.#changed = changed;
  }

  get canOpen() {
    return opener() !== null;
  }

  get isOpen() {
    return this.#window !== null;
  }

  async open() {
    const opened = (this.#window = await opener().requestWindow(SIZE));
    opened.addEventListener("pagehide", () => {
      this.#window = null;
      this.#changed();
    });
    this._furnish(opened.document);
    this.#changed();
  }

  close() {
    this.#window?.close();
  }

  show({ scene }) {
    if (!this.isOpen) return;
    if (!CONTROLLED.has(scene.state)) {
      this.close();
      return;
    }
    attach(this.#video, (elements.screen.hidden ? elements.remote : elements.screen).srcObject);
    for (const [index, name] of BUTTONS.entries()) mirror(elements[name], this.#buttons[index]);
  }

  // The page's own looks, of which it needs no more than this.
  _furnish(there) {
    const { lang, dir } = document.documentElement;
    Object.assign(there.documentElement, { lang, dir });
    for (const { href } of document.querySelectorAll("link[rel=stylesheet]")) {
      const link = there.createElement("link");
      link.rel = "stylesheet";
      link.href = href;
      there.head.append(link);
    }
    const view = there.createElement("main");
    view.id = "floating";
    this.#video = there.createElement("video");
    this.#video.autoplay = true;
    this.#video.muted = true; // the page itself plays the sound
    const controls = there.createElement("div");
    controls.id = "controls";
    this.#buttons = BUTTONS.map((name) => {
      const button = there.importNode(elements[name], true);
      button.addEventListener("click", () => elements[name].click());
      return button;
    });
    controls.append(...this.#buttons);
    view.append(this.#video, controls);
    there.body.append(there.importNode(document.querySelector(".symbols"), true), view);
  }
}

/** Let a button of the window be as the page's is. */
function mirror(from, to) {
  to.className = from.className;
  to.disabled = from.disabled;
  to.querySelector(".label").textContent = from.querySelector(".label").textContent;
  to.querySelector("use").setAttribute("href", from.querySelector("use").getAttribute("href"));
}

function opener() {
  try {
    return window.top.documentPictureInPicture ?? null;
  } catch {
    return null; // a page of another site has this one in a frame
  }
}
