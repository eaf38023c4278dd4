/**
 * How somebody else gets into the room: its link, to copy or to photograph.
 */

import { copy, drawCode } from "../shared/link.js";
import { elements } from "./dom.js";
import { canInvite } from "./scene.js";

/** Letters that nobody takes for others, and their number: nobody guesses a name of so many. */
const LETTERS = "abcdefghjkmnpqrstuvwxyz";
const PARTS = [3, 4, 3];

export class Invite {
  #drawn = "";

  /** @param {function(string): void} notify called with a name of a notice */
  constructor(notify) {
    elements.copy.addEventListener("click", async () => {
      notify((await copy(elements.link)) ? "copied" : "not_copied");
    });
    elements.link.addEventListener("focus", () => elements.link.select());
  }

  show({ roomId, call }) {
    elements.link.value = linkTo(roomId);
    elements["open-invite"].hidden = !canInvite(call);
  }

  /** Tell whether the person sees it now. */
  async look(isOpen) {
    const link = elements.link.value;
    if (!isOpen || link === this.#drawn) return;
    try {
      await drawCode(elements.code, link);
      this.#drawn = link;
    } catch {
      // What draws it did not arrive: it is tried again the next time.
    }
  }
}

/** A room that nobody is in: such as `kfm-wexo-jup`. */
export function newRoom() {
  return PARTS.map((length) => Array.from(crypto.getRandomValues(new Uint32Array(length)), letter).join("")).join("-");
}

function letter(number) {
  return LETTERS[number % LETTERS.length];
}

function linkTo(roomId) {
  const url = new URL(location.pathname, location.href);
  url.searchParams.set("room_id", roomId);
  return url.href;
}
