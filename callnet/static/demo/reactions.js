/**
 * An emoji that rises once over the pictures of both sides.
 */

import { elements, fill } from "./dom.js";
import { emojiButton } from "./picker.js";

const REACTIONS = ["👍", "❤️", "😂", "😮", "👏", "🎉"];
const SHOWN_FOR = 2_800;
/** More at once would only hide the pictures. */
const MOST = 12;

export class Reactions {
  #words = null;

  /** @param {function(string): boolean} send has it rise at the other side; says whether that was possible */
  constructor(send) {
    const press = (emoji) => {
      if (send(emoji)) fly(emoji, "own");
    };
    fill(elements.reactions, REACTIONS.map((emoji) => emojiButton(emoji, press)));
  }

  show({ call }, words) {
    this.#words = words;
    elements.reactions.hidden = !call?.flowing;
  }

  /** The other side has sent one; what this page does not have itself is ignored. */
  hear(emoji) {
    if (!REACTIONS.includes(emoji)) return;
    fly(emoji, "theirs");
    elements.reaction.textContent = `${this.#words.other}: ${emoji}`;
  }
}

function fly(emoji, side) {
  if (elements.flying.childElementCount >= MOST) return;
  const sign = document.createElement("span");
  sign.className = side;
  sign.textContent = emoji;
  elements.flying.append(sign);
  setTimeout(() => sign.remove(), SHOWN_FOR);
}
