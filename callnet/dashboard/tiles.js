/**
 * The numbers at the top of the page.
 */

import { el, put } from "./elements.js";
import { UNKNOWN, count, duration, percent, rate } from "./format.js";
import { Sparkline } from "./sparkline.js";
import { closed, reason, refused } from "./words.js";

/** Seconds, days: from when on a number says that somebody should look (etc/callnet-alerts.yml). */
const LATE = 0.05;
const SLOW_DATABASE = 0.5;
const SLOW_REDIS = 0.1;
const RENEW = 14;

/**
 * Each: what it is called, what it says of the figures, and what of it is drawn.
 * `says` answers with a value, a line below it, and whether somebody should look.
 */
const TILES = [
  { label: "Devices", says: ({ devices }) => [count(devices), "connected"], past: "devices" },
  { label: "Pages", says: ({ pages }) => [count(pages), "open"], past: "pages" },
  { label: "Calls in progress", says: inProgress, past: "unfinished" },
  { label: "Calls a minute", says: ({ calls }) => [rate(calls), "began to ring"], past: "calls" },
  { label: "Answered", says: ({ answered, rang }) => [percent(answered), `of ${count(rang)} in 5 minutes`] },
  { label: "Failed a minute", says: ({ failed, reasons }) => [rate(failed), mostly(reasons)], past: "failed" },
  { label: "Event loop, p99", says: ({ lag }) => timed(lag, LATE, "a core is too busy", "late"), past: "lag" },
  { label: "Database, p99", says: ({ database }) => timed(database, SLOW_DATABASE), past: "database" },
  {
    label: "Redis, p99",
    says: ({ redis }) => timed(redis, SLOW_REDIS),
    past: "redis",
    isThere: ({ hasRedis }) => hasRedis,
  },
  { label: "Frames a second", says: frames, past: "received" },
  { label: "Limits and refusals", says: limits },
  { label: "Certificate", says: certificate },
];

function inProgress({ unfinished, ringing, active }) {
  return [count(unfinished), `${count(ringing)} ringing, ${count(active)} active`];
}

function mostly(reasons) {
  return reasons.length === 0 ? "none in the last minute" : `most: ${reason(reasons[0][0])}`;
}

function timed(seconds, most, warning = "slow", usual = "to answer") {
  const isWrong = seconds !== null && seconds > most;
  return [duration(seconds), isWrong ? warning : usual, isWrong];
}

function frames({ received, sent }) {
  return [rate(received === null ? null : received + sent), `${rate(received)} in, ${rate(sent)} out`];
}

function limits({ refused: statuses, closed: codes }) {
  const named = (words) => ([key, number]) => [words(key), number];
  const all = [...statuses.map(named(refused)), ...codes.map(named(closed))].sort(([, a], [, b]) => b - a);
  const sum = all.reduce((total, [, number]) => total + number, 0);
  const most = all.slice(0, 2).map(([what, number]) => `${what}: ${count(number)}`);
  return [count(sum), most.join(", ") || "in 5 minutes"];
}

function certificate({ certificate: days }) {
  if (days === null) return [UNKNOWN, "none"];
  const isWrong = days < RENEW;
  return [count(Math.max(0, Math.floor(days))), isWrong ? "days left: renew it" : "days left", isWrong];
}

export class Tiles {
  #list;
  #tiles;

  /** @param {HTMLElement} list a definition list */
  constructor(list) {
    this.#list = list;
    this.#tiles = TILES.map((tile) => {
      const [value, more] = [el("dd", { class: "value" }, UNKNOWN), el("dd", { class: "more" })];
      const line = tile.past === undefined ? null : new Sparkline();
      const element = el("div", { class: "tile" }, el("dt", {}, tile.label), value, more);
      if (line !== null) element.append(el("dd", { class: "line" }, line.element));
      list.append(element);
      return { ...tile, element, value, more, line };
    });
  }

  /** @param {import("./figures.js").History} history */
  show(history) {
    const figures = history.now;
    if (figures === null) return;
    this.#list.dataset.redis = figures.hasRedis ? "yes" : "no";
    for (const { says, past, isThere, element, value, more, line } of this.#tiles) {
      const [text, below, isWrong = false] = says(figures);
      put(value, text);
      put(more, below);
      element.classList.toggle("wrong", isWrong);
      element.hidden = isThere !== undefined && !isThere(figures);
      line?.draw(history.past(past));
    }
  }
}
