/**
 * Emoji to press: a few dozen, as they come in a chat among people who know each other.
 */

import { elements, fill } from "./dom.js";

const EMOJI = Array.from("😀😂🙂😉😊😍🥰😘😋😎🤔😴😮😢😭😡👍👎👏🙏💪👋🙌🤝🎉🎂🎁🌹🌞🌙🔥💚🐶🐱☕🍰");

/** A button with an emoji on it, which `press` is called with. */
export function emojiButton(emoji, press) {
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = emoji;
  button.addEventListener("click", () => press(emoji));
  return button;
}

export class Picker {
  #field;

  /** @param {HTMLTextAreaElement} field where they are written */
  constructor(field) {
    this.#field = field;
    elements["open-emoji"].addEventListener("click", () => this._toggle());
    elements.emoji.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this._toggle();
      elements["open-emoji"].focus();
    });
  }

  _toggle() {
    const { emoji, "open-emoji": opener } = elements;
    if (emoji.childElementCount === 0) fill(emoji, EMOJI.map((sign) => emojiButton(sign, (one) => this._write(one))));
    emoji.hidden = !emoji.hidden;
    opener.setAttribute("aria-expanded", String(!emoji.hidden));
  }

  // The field keeps a person to its length, and not a script.
  _write(emoji) {
    const { value, maxLength, selectionStart: start, selectionEnd: end } = this.#field;
    if (value.length - (end - start) + emoji.length <= maxLength) this.#field.setRangeText(emoji, start, end, "end");
  }
}
