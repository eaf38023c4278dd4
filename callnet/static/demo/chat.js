/**
 * The written part of a call, and the files in it. It is kept nowhere but on the two pages, and gone with them.
 */

import { wordAt } from "../shared/words.js";
import { elements, fill, put } from "./dom.js";
import { FileEntry } from "./file_entry.js";
import { LARGEST_FILE } from "./files.js";
import { linked } from "./links.js";
import { Picker } from "./picker.js";

/** Texts and files that are kept; the earliest go first. */
const MOST_ENTRIES = 500;

export class Chat {
  #call;
  #words = null;
  #isOpen = false;
  #isScrolling = false;
  /** What could not be sent: a name in the words, or "". */
  #problem = "";
  #files = new Map();

  /** How many texts and files of the other side were not to be seen yet. */
  unread = 0;

  /** @param {function(): import("./call.js").Call} call the present one */
  constructor(call) {
    this.#call = call;
    new Picker(elements["chat-text"]);
    elements["chat-form"].addEventListener("submit", (event) => {
      event.preventDefault();
      this._submit();
    });
    elements.attach.addEventListener("click", () => elements.file.click());
    elements.file.addEventListener("change", () => this._offer());
    window.addEventListener("resize", scrollDown);
    elements["chat-text"].addEventListener("keydown", (event) => {
      // What ends a word that is being composed, as in Chinese, does not end the text.
      if (event.key !== "Enter" || event.shiftKey || event.isComposing) return;
      event.preventDefault();
      event.stopPropagation();
      this._submit();
    });
  }

  show({ call }, words) {
    this.#words = words;
    elements["chat-text"].placeholder = words.message;
    elements.attach.disabled = !call?.flowing;
    put("chat-problem", wordAt(words, this.#problem) ?? "");
    for (const entry of this.#files.values()) entry.speak(words);
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
    this._add("theirs", textOf(text));
    this._count();
  }

  /** A file is offered, or one has changed (files.js); returns whether the other side offers it just now. */
  showFile(transfer) {
    const known = this.#files.get(transfer.id);
    if (known !== undefined) {
      known.show(transfer);
      return false;
    }
    if (transfer.state !== "offered") return false; // it was forgotten
    const entry = new FileEntry(this.#call().files, this.#words);
    entry.show(transfer);
    this.#files.set(transfer.id, entry);
    this._add(transfer.side, entry.element);
    if (transfer.side === "own") return false;
    this._count();
    return true;
  }

  /** Another call begins. */
  clear() {
    for (const entry of this.#files.values()) entry.close();
    this.#files.clear();
    fill(elements.log, []);
    elements["log-empty"].hidden = false;
    this.unread = 0;
  }

  _submit() {
    const field = elements["chat-text"];
    const text = field.value.trim();
    if (text === "") return;
    this._complain(this.#call().chat(text) ? "" : "notSent");
    if (this.#problem !== "") return;
    field.value = "";
    this._add("own", textOf(text));
  }

  _offer() {
    const [file] = elements.file.files;
    elements.file.value = "";
    if (file === undefined) return;
    if (file.size > LARGEST_FILE) this._complain("tooLarge");
    else if (file.size === 0) this._complain("emptyFile");
    else this._complain(this.#call().files.offer(file) ? "" : "notSent");
  }

  _complain(problem) {
    this.#problem = problem;
    put("chat-problem", wordAt(this.#words, problem) ?? "");
  }

  _count() {
    if (!this.#isOpen) this.unread += 1;
  }

  _add(side, content) {
    const who = document.createElement("span");
    who.className = "who";
    who.dataset.say = `said.${side}`;
    who.textContent = wordAt(this.#words, who.dataset.say);
    const entry = document.createElement("div");
    entry.className = side;
    entry.append(who, content);
    elements.log.append(entry);
    if (elements.log.childElementCount > MOST_ENTRIES) this._forgetFirst();
    elements["log-empty"].hidden = true;
    this._scrollSoon();
  }

  // With the next picture: where the log ends has to be computed for that anyway.
  _scrollSoon() {
    if (this.#isScrolling) return;
    this.#isScrolling = true;
    requestAnimationFrame(() => {
      this.#isScrolling = false;
      scrollDown();
    });
  }

  _forgetFirst() {
    const first = elements.log.firstElementChild;
    for (const [id, file] of this.#files) {
      if (!first.contains(file.element)) continue;
      file.close();
      this.#files.delete(id);
      this.#call().files.forget(id);
    }
    first.remove();
  }
}

function textOf(text) {
  const said = document.createElement("p");
  said.dir = "auto";
  said.append(...linked(text).map((part) => (part.href === null ? part.text : linkTo(part))));
  return said;
}

function linkTo({ text, href }) {
  const link = document.createElement("a");
  link.href = href;
  link.target = "_blank";
  link.rel = "noopener noreferrer";
  link.textContent = text;
  return link;
}

function scrollDown() {
  elements.log.scrollTop = elements.log.scrollHeight;
}
