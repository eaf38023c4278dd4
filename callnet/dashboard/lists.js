/**
 * Calls, failures and devices as rows of tables.
 */

import { Rows, complain, el, put, tell } from "./elements.js";
import { ago, running } from "./format.js";
import { reason } from "./sentences.js";

/** The most rows of a table. */
const SHOWN = 100;

/** A device in words. One of `*` is whichever answers. */
const named = ({ phone, device_id: device }) => (device === "*" ? phone : `${phone} · ${device}`);

/**
 * What is shown of many: what is there stays in its order, whatever sorts before all of it comes before it, and the rest
 * behind it.
 * @param {string[]} keys of what is shown already
 * @param {Map<string, object>} items sorted
 */
export function inOrder(keys, items) {
  const shown = new Set(keys);
  const all = Array.from(items.keys());
  const first = all.findIndex((key) => shown.has(key));
  const newcomers = first === -1 ? all : all.slice(0, first);
  const sorted = new Set([...newcomers, ...keys.filter((key) => items.has(key)), ...all]);
  return new Map(Array.from(sorted).slice(0, SHOWN).map((key) => [key, items.get(key)]));
}

/** What is shown of many whose keys are their places. */
const asTheyCome = (_, items) => new Map(Array.from(items).slice(0, SHOWN));

/** How many more there are than are shown, and what is missing since a worker does not answer. */
export function rest({ list, isWhole, silent }, words) {
  const { more, many_more, silent: missing } = words.list;
  const count = list.length - SHOWN;
  const texts = [];
  if (count > 0) texts.push((isWhole ? more : many_more)({ count }));
  if (silent > 0) texts.push(missing({ count: silent }));
  return texts.join(" ");
}

/** Two lines in one cell. */
function cell(kind) {
  const lines = ["upper", "lower"].map((place) => el("span", { class: place, dir: "auto" }));
  return { element: el("td", { class: kind }, ...lines), lines };
}

function write({ lines: [first, second] }, upper, lower) {
  put(first, upper);
  put(second, lower);
}

function writePerson(cell, { phone, device_id: device }, words) {
  write(cell, phone, device === "*" ? words.every : device);
}

function button(text, label, act) {
  return el("button", { type: "button", class: "small", "aria-label": label, onclick: act }, text);
}

/**
 * A call that goes on; either side may take it over on another device. `ask(question, values, order, fields)` asks before
 * it acts.
 */
function callRow({ call }, words, ask) {
  const { calls } = words;
  const cells = ["who", "who", "call"].map((kind) => cell(kind));
  const [caller, callee, state] = cells;
  let both = {};
  const end = button(calls.end, "", () => ask("end", both, "calls/end", { call }));
  const doing = el("td", { class: "doing" }, end);
  const element = el("tr", { "data-call": call }, ...cells.map((one) => one.element), doing);
  return {
    element,
    update: (now) => {
      element.dataset.state = now.state;
      writePerson(caller, now.caller, words);
      writePerson(callee, now.callee, words);
      both = { caller: named(now.caller), callee: named(now.callee) };
      end.setAttribute("aria-label", calls.end_one(both));
      const time = running(now.answered ?? now.seconds);
      write(state, now.state === "ringing" ? calls.ringing({ time }) : calls.active({ time }), call);
    },
  };
}

/** A call that failed. Rows are the same for whichever stands there. */
function failureRow(_, words) {
  const [when, who, why] = ["call", "who", "why"].map((kind) => cell(kind));
  const element = el("tr", {}, ...[when, who, why].map((one) => one.element));
  return {
    element,
    update: (failure) => {
      element.dataset.reason = failure.reason;
      write(when, ago(failure.seconds), failure.call ?? "");
      write(who, named(failure.caller), words.failures.to({ callee: named(failure.callee) }));
      write(why, reason(words, failure.reason), "");
    },
  };
}

/** A device that is connected. */
function deviceRow(device, words, ask) {
  const { devices } = words;
  const { phone, device_id: id } = device;
  const [name, who, at] = [named(device), cell("who"), cell("at")];
  writePerson(who, device, words);
  const act = (question) => () => ask(question, { device: name }, `devices/${question}`, { phone, device_id: id });
  const doing = el(
    "td",
    { class: "doing" },
    button(devices.disconnect, devices.disconnect_one({ device: name }), act("disconnect")),
    button(devices.revoke, devices.revoke_one({ device: name }), act("revoke")),
  );
  return {
    element: el("tr", { "data-device": name }, who.element, at.element, doing),
    update: ({ address, extended, seconds, call }) => {
      const what = { time: running(seconds), kind: devices.kind[extended ? "extended" : "base"], call };
      write(at, address, call === null ? devices.free(what) : devices.in_call(what));
    },
  };
}

const byNumber = (list) => new Map(list.map((item, index) => [String(index), item]));
const byCall = (list) => new Map([...list].sort((a, b) => a.seconds - b.seconds).map((call) => [call.call, call]));

function byName(list) {
  const pairs = list.map((device) => [named(device), device]);
  return new Map(pairs.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** A table, what is said where there is nothing in it, and what is said below it. */
class Table {
  #rows;
  #parts;
  #keyed;
  #order;
  #words = null;

  /**
   * @param {string} name of the section
   * @param {function(object, object): object} make a row of an item, in the words of a language
   * @param {function(object[]): Map<string, object>} keyed
   * @param {function(string[], Map<string, object>): Map<string, object>} order
   */
  constructor(name, make, keyed, order) {
    const part = (end) => document.getElementById(`${name}-${end}`);
    this.#parts = { scroll: part("scroll"), none: part("none"), note: part("note"), problem: part("problem") };
    this.#rows = new Rows(part("rows"), (item) => make(item, this.#words));
    this.#keyed = keyed;
    this.#order = order;
  }

  /**
   * @param {{list: object[], isWhole: boolean, silent: number} | null} known
   * @param {Error | null} problem why it is not known, or is old
   * @param {object} words
   */
  show(known, problem, words) {
    const { scroll, none, note } = this.#parts;
    const list = known === null ? [] : known.list;
    const rows = this.#order(this.#rows.keys, this.#keyed(list));
    if (words !== this.#words) this.#rows.show(new Map()); // they are made in the other language
    this.#words = words;
    this.#rows.show(rows);
    scroll.hidden = list.length === 0;
    none.hidden = known === null || list.length > 0;
    tell(note, known === null ? "" : rest(known, words));
    complain(this.#parts.problem, problem, words);
  }
}

/**
 * All three.
 * @param {function(string, object, string, object): void} ask asks a question before something is done
 */
export function tables(ask) {
  return {
    calls: new Table("calls", (call, words) => callRow(call, words, ask), byCall, inOrder),
    failures: new Table("failures", failureRow, byNumber, asTheyCome),
    devices: new Table("devices", (device, words) => deviceRow(device, words, ask), byName, inOrder),
  };
}
