/**
 * A file in the chat: how far it has come, and what can be done with it.
 */

import { number } from "../shared/format.js";

const MEGABYTE = 1_048_576;

export class FileEntry {
  #files;
  #words;
  #transfer = null;
  #url = "";
  #drawn = "";
  #name = document.createElement("p");
  #state = document.createElement("p");
  #progress = document.createElement("progress");
  #choices = document.createElement("div");

  /** What is shown. */
  element = document.createElement("div");

  /** @param {import("./files.js").Files} files */
  constructor(files, words) {
    this.#files = files;
    this.#words = words;
    this.#choices.className = "choices";
    this.element.className = "file";
    this.element.append(this.#name, this.#progress, this.#state, this.#choices);
  }

  show(transfer) {
    this.#transfer = transfer;
    const { name, size, moved, content, state } = transfer;
    this.#progress.max = size;
    this.#progress.value = moved;
    this.#progress.hidden = state !== "moving";
    this.#progress.setAttribute("aria-label", name);
    if (content !== null && this.#url === "") this.#url = URL.createObjectURL(content);
    this._draw();
  }

  speak(words) {
    this.#words = words;
    this._draw();
  }

  /** Let go of the file. */
  close() {
    URL.revokeObjectURL(this.#url);
  }

  _name(name, size) {
    const own = document.createElement("bdi");
    own.textContent = name;
    this.#name.textContent = ` · ${sizeOf(size)}`;
    this.#name.prepend(own);
  }

  // Buttons are made anew only when there are others: one of them may have the focus.
  _draw() {
    const { id, side, state, name, size } = this.#transfer;
    const { file } = this.#words;
    const drawn = [state, file.accept].join();
    if (drawn === this.#drawn) return;
    this.#drawn = drawn;
    this._name(name, size);
    this.#state.textContent = file[`${state}_${side}`] ?? file[state];
    this.#choices.textContent = "";
    if (state === "offered" && side === "theirs") {
      this._offer("main", file.accept, () => this.#files.accept(id));
      this._offer("plain", file.decline, () => this.#files.cancel(id));
    } else if (state === "offered" || state === "moving") {
      this._offer("plain", file.cancel, () => this.#files.cancel(id));
    } else if (this.#url !== "") {
      this.#choices.append(this._link(file.save));
    }
  }

  _offer(className, text, press) {
    const button = document.createElement("button");
    button.type = "button";
    button.className = className;
    button.textContent = text;
    button.addEventListener("click", press);
    this.#choices.append(button);
  }

  _link(text) {
    const link = document.createElement("a");
    link.className = "main";
    link.href = this.#url;
    link.download = this.#transfer.name;
    link.textContent = text;
    return link;
  }
}

function sizeOf(bytes) {
  const isLarge = bytes >= MEGABYTE;
  const value = isLarge ? bytes / MEGABYTE : Math.ceil(bytes / 1_024);
  return number(value, { style: "unit", unit: isLarge ? "megabyte" : "kilobyte", maximumFractionDigits: 1 });
}
