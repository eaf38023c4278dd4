/**
 * How somebody else gets into the room: its link, to copy or to photograph.
 */

import { elements } from "./dom.js";

const BLACK = [0, 0, 0];
const WHITE = [255, 255, 255];

export class Invite {
  #notify;
  #drawn = "";

  /** @param {function(string): void} notify called with a name of a notice */
  constructor(notify) {
    this.#notify = notify;
    elements.copy.addEventListener("click", () => this._copy());
    elements.link.addEventListener("focus", () => elements.link.select());
  }

  show({ roomId }) {
    elements.link.value = linkTo(roomId);
  }

  /** Tell whether the person sees it now. */
  async look(isOpen) {
    const link = elements.link.value;
    if (!isOpen || link === this.#drawn) return;
    this.#drawn = link;
    const { generate } = await import("../vendor/lean-qr.js");
    generate(link).toCanvas(elements.code, { on: BLACK, off: WHITE });
  }

  async _copy() {
    try {
      await navigator.clipboard.writeText(elements.link.value);
      this.#notify("copied");
    } catch {
      elements.link.focus();
      elements.link.select();
      this.#notify(document.execCommand("copy") ? "copied" : "not_copied");
    }
  }
}

function linkTo(roomId) {
  const url = new URL(location.pathname, location.href);
  url.searchParams.set("room_id", roomId);
  return url.href;
}
