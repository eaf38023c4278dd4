/**
 * The figures of a connection, for whoever wants to know why it is as it is.
 */

import { number } from "../shared/format.js";
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
    const isNew = words !== this.#words;
    this.#words = words;
    if (isNew && this.#looking !== null) this._draw();
  }

  /** Tell whether the person sees the figures now. */
  look(isOpen) {
    clearInterval(this.#looking);
    this.#looking = null;
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
function readable(stats, { units, paths }) {
  const { rtt, lossIn, lossOut, bitsIn, bitsOut, path, pathRemote } = stats;
  return {
    roundTrip: rounded(rtt, 0, units.milliseconds),
    lossIn: rounded(lossIn, 1, units.percent),
    lossOut: rounded(lossOut, 1, units.percent),
    bitsIn: rounded(thousands(bitsIn), 0, units.kilobits),
    bitsOut: rounded(thousands(bitsOut), 0, units.kilobits),
    pictureIn: picture(stats.width, stats.height, stats.fps, units),
    pictureOut: picture(stats.widthOut, stats.heightOut, stats.fpsOut, units),
    codecs: [stats.codecVideo, stats.codecAudio].filter(Boolean).join(", ") || null,
    path: paths[path] ?? null,
    pathRemote: paths[pathRemote] ?? null,
  };
}

function rounded(value, digits, unit) {
  if (!Number.isFinite(value)) return null;
  return unit({ number: number(value, { minimumFractionDigits: digits, maximumFractionDigits: digits }) });
}

function thousands(value) {
  return value === undefined ? undefined : value / 1_000;
}

function picture(width, height, fps, units) {
  if (!width) return null;
  const whole = { useGrouping: false };
  return units.picture({
    width: number(width, whole),
    height: number(height, whole),
    rate: number(Math.round(fps ?? 0)),
  });
}

function cell(tag, text) {
  const element = document.createElement(tag);
  element.textContent = text;
  return element;
}
