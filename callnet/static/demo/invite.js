/**
 * How somebody else gets into the room: its link, to copy or to photograph.
 */

import { elements } from "./dom.js";

export class Invite {
  #drawn = "";

  /** @param {function(string): void} notify called with a name of a notice */
  constructor(notify) {
    elements.copy.addEventListener("click", async () => {
      const { copy } = await links();
      notify((await copy(elements.link)) ? "copied" : "not_copied");
    });
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
    const { drawCode } = await links();
    drawCode(elements.code, link);
  }
}

// Few calls need it.
function links() {
  return import("../shared/link.js");
}

function linkTo(roomId) {
  const url = new URL(location.pathname, location.href);
  url.searchParams.set("room_id", roomId);
  return url.href;
}
