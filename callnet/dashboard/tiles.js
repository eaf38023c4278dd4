/**
 * The numbers at the top of the page.
 */

import { el, put } from "./elements.js";
import { UNKNOWN, count, duration, percent, rate } from "./format.js";
import { closed, reason, refused } from "./sentences.js";
import { Sparkline } from "./sparkline.js";

/** Seconds: from when on a number says that somebody should look (etc/callnet-alerts.yml). */
const LATE = 0.05;
const SLOW_DATABASE = 0.5;
const SLOW_REDIS = 0.1;

/**
 * Each: which of the words it is called by, what it says of the figures, and what of it is drawn.
 * `says` answers with a value, a line below it, and whether somebody should look.
 */
const TILES = [
  { label: "devices", says: ({ devices }, { tiles }) => [count(devices), tiles.connected], past: "devices" },
  { label: "pages", says: ({ pages }, { tiles }) => [count(pages), tiles.open], past: "pages" },
  { label: "calls", says: inProgress, past: "unfinished" },
  { label: "rate", says: ({ calls }, { tiles }) => [rate(calls), tiles.placed], past: "calls" },
  { label: "answered", says: ({ answered, rang }, { tiles }) => [percent(answered), tiles.of({ count: count(rang) })] },
  { label: "failed", says: ({ failed, reasons }, words) => [rate(failed), mostly(reasons, words)], past: "failed" },
  { label: "loop", says: ({ lag }, { tiles }) => timed(lag, LATE, tiles.late, tiles.busy), past: "lag" },
  {
    label: "database",
    says: ({ database }, { tiles }) => timed(database, SLOW_DATABASE, tiles.response, tiles.slow),
    past: "database",
  },
  {
    label: "redis",
    says: ({ redis }, { tiles }) => timed(redis, SLOW_REDIS, tiles.response, tiles.slow),
    past: "redis",
    isThere: ({ hasRedis }) => hasRedis,
  },
  { label: "frames", says: frames, past: "received" },
  { label: "limits", says: limits },
  { label: "certificate", says: certificate },
];

function inProgress({ unfinished, ringing, active }, { tiles }) {
  return [count(unfinished), tiles.in_progress({ ringing: count(ringing), active: count(active) })];
}

function mostly(reasons, words) {
  const { tiles } = words;
  return reasons.length === 0 ? tiles.none_failed : tiles.mostly({ reason: reason(words, reasons[0][0]) });
}

function timed(seconds, most, usual, warning) {
  const isWrong = seconds !== null && seconds > most;
  return [duration(seconds), isWrong ? warning : usual, isWrong];
}

function frames({ received, sent }, { tiles }) {
  const both = { received: rate(received), sent: rate(sent) };
  return [rate(received === null ? null : received + sent), tiles.in_out(both)];
}

function limits({ refused: statuses, closed: codes }, words) {
  const { tiles } = words;
  const named = (sentence) => ([key, number]) => [sentence(words, key), number];
  const all = [...statuses.map(named(refused)), ...codes.map(named(closed))].sort(([, a], [, b]) => b - a);
  const sum = all.reduce((total, [, number]) => total + number, 0);
  const most = all.slice(0, 2).map(([what, number]) => tiles.refused({ what, number: count(number) }));
  return [count(sum), most.join("\n") || tiles.kept];
}

function certificate({ certificate: left, mustRenew }, { tiles }) {
  if (left === null) return [UNKNOWN, tiles.no_certificate];
  const days = Math.max(0, Math.floor(left));
  return [count(days), (mustRenew ? tiles.renew : tiles.days)({ count: days }), mustRenew];
}

/** From so many characters on a value has smaller type: some languages have long units. */
const LONG = 8;

export class Tiles {
  #list;
  #tiles;

  /** @param {HTMLElement} list a definition list */
  constructor(list) {
    this.#list = list;
    this.#tiles = TILES.map((tile) => {
      const [name, value] = [el("dt"), el("dd", { class: "value" }, UNKNOWN)];
      const more = el("dd", { class: "more" });
      const line = tile.past === undefined ? null : new Sparkline();
      const element = el("div", { class: "tile" }, name, value, more);
      if (line !== null) element.append(el("dd", { class: "line" }, line.element));
      list.append(element);
      return { ...tile, element, name, value, more, line };
    });
  }

  /**
   * @param {import("./figures.js").History} history
   * @param {object} words
   */
  show(history, words) {
    for (const { label, name } of this.#tiles) put(name, words.tiles[label]);
    const figures = history.now;
    if (figures === null) return;
    this.#list.dataset.redis = figures.hasRedis ? "yes" : "no";
    for (const { says, past, isThere, element, value, more, line } of this.#tiles) {
      const [text, below, isWrong = false] = says(figures, words);
      put(value, text);
      value.classList.toggle("long", text.length >= LONG);
      put(more, below);
      element.classList.toggle("wrong", isWrong);
      element.hidden = isThere !== undefined && !isThere(figures);
      line?.draw(history.past(past));
    }
  }
}
