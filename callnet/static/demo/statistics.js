/**
 * The figures of a connection, for whoever wants to know why it is as it is.
 */

import { elements, fill } from "./dom.js";

const LOOK_EVERY = 1_000;

export class Statistics {
  #call;
  #words = null;
  #looking = null;

  /** @param {function(): (import("./call.js").Call | null)} call */
  constructor(call) {
    this.#call = call;
  }

  show(_, words) {
    this.#words = words;
  }

  /** Tell whether the person sees the figures now. */
  look(isOpen) {
    clearInterval(this.#looking);
    if (!isOpen) return;
    this.#looking = setInterval(() => this._draw(), LOOK_EVERY);
    this._draw();
  }

  async _draw() {
    const words = this.#words;
    const figures = readable((await this.#call()?.stats()) ?? {}, words);
    const rows = Object.entries(words.figures).flatMap(([name, label]) => {
      return [cell("dt", label), cell("dd", figures[name] ?? words.unknown)];
    });
    fill(elements.figures, rows);
  }
}

/** The figures (measure.js) as a person reads them; null: it is not known. */
function readable(stats, words) {
  const { rtt, lossIn, lossOut, bitsIn, bitsOut, path, pathRemote } = stats;
  return {
    roundTrip: rounded(rtt, 0, "ms"),
    lossIn: rounded(lossIn, 1, "%"),
    lossOut: rounded(lossOut, 1, "%"),
    bitsIn: rounded(thousands(bitsIn), 0, "kbit/s"),
    bitsOut: rounded(thousands(bitsOut), 0, "kbit/s"),
    pictureIn: picture(stats.width, stats.height, stats.fps),
    pictureOut: picture(stats.widthOut, stats.heightOut, stats.fpsOut),
    codecs: [stats.codecVideo, stats.codecAudio].filter(Boolean).join(", ") || null,
    path: words.paths[path] ?? null,
    pathRemote: words.paths[pathRemote] ?? null,
  };
}

function rounded(number, digits, unit) {
  return Number.isFinite(number) ? `${number.toFixed(digits)} ${unit}` : null;
}

function thousands(number) {
  return number === undefined ? undefined : number / 1_000;
}

function picture(width, height, fps) {
  return width ? `${width} × ${height}, ${Math.round(fps ?? 0)} fps` : null;
}

function cell(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
