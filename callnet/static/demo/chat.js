/**
 * The written part of a call. It is kept nowhere but on the two pages, and gone with them.
 */

import { wordAt } from "../shared/words.js";
import { elements, fill, put } from "./dom.js";

export class Chat {
  #send;
  #words = null;
  #isOpen = false;
  #hasFailed = false;

  /** How many texts of the other side were not to be seen yet. */
  unread = 0;

  /** @param {function(string): boolean} send takes what the person wrote; says whether it could be sent */
  constructor(send) {
    this.#send = send;
    elements["chat-form"].addEventListener("submit", (event) => {
      event.preventDefault();
      this._submit();
    });
    window.addEventListener("resize", scrollDown);
    elements["chat-text"].addEventListener("keydown", (event) => {
      // What ends a word that is being composed, as in Chinese, does not end the text.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      event.stopPropagation();
      this._submit();
    });
  }

  show(_, words) {
    this.#words = words;
    elements["chat-text"].placeholder = words.message;
    put("chat-problem", this.#hasFailed ? words.notSent : "");
  }

  /** Tell whether the person sees the chat now. */
  look(isOpen) {
    this.#isOpen = isOpen;
    if (!isOpen) return;
    this.unread = 0;
    scrollDown();
  }

  /** The other side has written something. */
  hear(text) {
    this._add("theirs", text);
    if (!this.#isOpen) this.unread += 1;
  }

  /** Another call begins. */
  clear() {
    fill(elements.log, []);
    elements["log-empty"].hidden = false;
    this.unread = 0;
  }

  _submit() {
    const field = elements["chat-text"];
    const text = field.value.trim();
    if (text === "") return;
    this.#hasFailed = !this.#send(text);
    put("chat-problem", this.#hasFailed ? this.#words.notSent : "");
    if (this.#hasFailed) return;
    field.value = "";
    this._add("own", text);
  }

  _add(side, text) {
    const who = document.createElement("span");
    who.className = "who";
    who.dataset.say = `said.${side}`;
    who.textContent = wordAt(this.#words, who.dataset.say);
    const said = document.createElement("p");
    said.dir = "auto";
    said.textContent = text;
    const entry = document.createElement("div");
    entry.className = side;
    entry.append(who, said);
    elements.log.append(entry);
    elements["log-empty"].hidden = true;
    scrollDown();
  }
}

function scrollDown() {
  elements.log.scrollTop = elements.log.scrollHeight;
}
