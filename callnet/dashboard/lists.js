/**
 * Calls, failures and devices as rows of tables.
 */

import { Rows, el, put, tell } from "./elements.js";
import { ago, count, running } from "./format.js";
import { questions, reason } from "./words.js";

/** The most rows of a table. */
const SHOWN = 100;

/** A device in words. One of `*` is whichever answers. */
const named = ({ phone, device_id: device }) => (device === "*" ? phone : `${phone} · ${device}`);

/**
 * What is shown of many: what is there stays in its order, newcomers come before it.
 * @param {string[]} keys of what is shown already
 * @param {Map<string, object>} items the newest first
 */
export function inOrder(keys, items) {
  const shown = new Set(keys);
  const newcomers = Array.from(items.keys()).filter((key) => !shown.has(key));
  const sorted = [...newcomers, ...keys.filter((key) => items.has(key))];
  return new Map(sorted.slice(0, SHOWN).map((key) => [key, items.get(key)]));
}

/** What is shown of many whose keys are their places. */
const asTheyCome = (_, items) => new Map(Array.from(items).slice(0, SHOWN));

/** How many more there are than are shown, and what is missing since a worker does not answer. */
export function rest({ list, isWhole, silent }) {
  const more = list.length - SHOWN;
  const texts = [];
  if (more > 0) texts.push(isWhole ? `and ${count(more)} more` : `and more than ${count(more)} more`);
  const who = silent === 1 ? "1 worker does" : `${silent} workers do`;
  if (silent > 0) texts.push(`${who} not answer: what is there is missing here`);
  return texts.join("; ");
}

/** Two lines in one cell. */
function cell(kind, upper = "", lower = "") {
  const lines = [el("span", { class: "upper" }, upper), el("span", { class: "lower" }, lower)];
  return { element: el("td", { class: kind }, ...lines), lines };
}

function person({ phone, device_id: device }) {
  return cell("who", phone, device === "*" ? "every device" : device);
}

function write({ lines: [first, second] }, upper, lower) {
  put(first, upper);
  put(second, lower);
}

function button(text, label, act) {
  return el("button", { type: "button", class: "small", "aria-label": label, onclick: act }, text);
}

/** A call that goes on. `ask(question, order, fields)` asks before it acts. */
function callRow(call, ask) {
  const state = cell("call");
  const callee = person(call.callee);
  const end = () => ask(questions.end(named(call.caller), named(call.callee)), "calls/end", { call: call.call });
  const label = `End the call of ${named(call.caller)} and ${named(call.callee)}`;
  const doing = el("td", { class: "doing" }, button("End", label, end));
  const cells = [person(call.caller), callee, state].map((one) => one.element);
  const element = el("tr", { "data-call": call.call }, ...cells, doing);
  return {
    element,
    update: ({ callee: { phone, device_id: device }, state: word, seconds, answered }) => {
      element.dataset.state = word;
      write(callee, phone, device === "*" ? "every device" : device);
      write(state, `${word} ${running(answered ?? seconds)}`, call.call);
    },
  };
}

/** A call that failed. Rows are the same for whichever stands there. */
function failureRow() {
  const [when, who, why] = ["call", "who", "why"].map((kind) => cell(kind));
  const element = el("tr", {}, ...[when, who, why].map((one) => one.element));
  return {
    element,
    update: (failure) => {
      element.dataset.reason = failure.reason;
      write(when, ago(failure.seconds), failure.call ?? "");
      write(who, named(failure.caller), `to ${named(failure.callee)}`);
      write(why, reason(failure.reason), "");
    },
  };
}

/** A device that is connected. */
function deviceRow(device, ask) {
  const { phone, device_id: id } = device;
  const [name, at] = [named(device), cell("at")];
  const act = (question, order) => () => ask(question, order, { phone, device_id: id });
  const doing = el(
    "td",
    { class: "doing" },
    button("Disconnect", `Disconnect ${name}`, act(questions.disconnect(name), "devices/disconnect")),
    button("Revoke", `Revoke the tokens of ${name}`, act(questions.revoke(name), "devices/revoke")),
  );
  return {
    element: el("tr", { "data-device": name }, person(device).element, at.element, doing),
    update: ({ address, extended, seconds, call }) => {
      const what = `${running(seconds)}, ${extended ? "extended" : "base"}, `;
      write(at, address, what + (call === null ? "in no call" : `in call ${call}`));
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

  /**
   * @param {string} name of the section
   * @param {function(object): object} make a row
   * @param {function(object[]): Map<string, object>} keyed
   * @param {function(string[], Map<string, object>): Map<string, object>} order
   */
  constructor(name, make, keyed, order) {
    const part = (end) => document.getElementById(`${name}-${end}`);
    this.#parts = { scroll: part("scroll"), none: part("none"), note: part("note"), problem: part("problem") };
    this.#rows = new Rows(part("rows"), make);
    this.#keyed = keyed;
    this.#order = order;
  }

  /**
   * @param {{list: object[], isWhole: boolean, silent: number} | null} known
   * @param {string} problem why it is not known, or is old
   */
  show(known, problem) {
    const { scroll, none, note } = this.#parts;
    const list = known === null ? [] : known.list;
    this.#rows.show(this.#order(this.#rows.keys, this.#keyed(list)));
    scroll.hidden = list.length === 0;
    none.hidden = known === null || list.length > 0;
    tell(note, known === null ? "" : rest(known));
    tell(this.#parts.problem, problem);
  }
}

/**
 * All three.
 * @param {function(object, string, object): void} ask asks a question before something is done
 */
export function tables(ask) {
  return {
    calls: new Table("calls", (call) => callRow(call, ask), byCall, inOrder),
    failures: new Table("failures", failureRow, byNumber, asTheyCome),
    devices: new Table("devices", (device) => deviceRow(device, ask), byName, inOrder),
  };
}
