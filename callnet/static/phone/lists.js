/**
 * The list of past calls as elements.
 */

import { duration as written } from "../shared/format.js";
import { el, icon } from "../shared/elements.js";
import { blockButton, guestMark, row } from "./people.js";

/**
 * A past call: with whom, what became of it, when, how to call back, and behind the dots what else can be done. A guest
 * cannot be called back.
 * @param {object} call of past.js, with `name`, `photo`, `when`, `isContact`, `isBlocked` and whether it `isOpen`
 */
export function pastCall(call, words, doings) {
  const { key, phone, kind, name, photo, when, isGuest, isOpen } = call;
  const { past } = words;
  const dots = el(
    "button",
    {
      type: "button",
      class: "round quiet",
      "data-key": `open-${key}`,
      "aria-label": past.options({ name }),
      title: past.options({ name }),
      "aria-expanded": String(isOpen),
      onclick: () => doings.openCall(isOpen ? null : key),
    },
    icon("dots"),
  );
  return el(
    "li",
    { class: `card past ${kind}`, "data-kind": kind, "data-phone": phone },
    row({
      key: `back-${key}`,
      label: past.back({ name }),
      symbol: "video",
      phone,
      name,
      photo,
      mark: isGuest ? [" ", guestMark(words)] : [],
      below: [el("span", { class: "what" }, icon(kind), whatOf(call, words)), ` · ${when}`],
      press: isGuest ? null : () => doings.call(phone, "*"),
    }),
    dots,
    ...(isOpen ? [pastOptions(call, words, doings)] : []),
  );
}

function pastOptions({ key, roomId, phone, isContact, isBlocked, isGuest }, words, doings) {
  const { past } = words;
  const button = (name, look, press, word) =>
    el("button", { type: "button", class: look, "data-key": `${name}-${key}`, onclick: press }, word);
  return el(
    "div",
    { class: "buttons options" },
    ...(isContact || isGuest ? [] : [button("add", "plain", () => doings.addFrom(phone), past.add)]),
    button("delete", "plain danger", () => doings.deleteCall(roomId), past.delete),
    ...(isGuest ? [] : [blockButton(phone, isBlocked, words, () => doings.block(phone, !isBlocked))]),
  );
}

function whatOf({ kind, outcome, duration, byItself }, { past, auto }) {
  if (duration !== null) {
    const answered = kind === "incoming" ? auto.answered : `${past[kind]} · ${auto.answered}`;
    return `${byItself ? answered : past[kind]} · ${written(duration)}`;
  }
  if (kind !== "outgoing") return past[kind];
  return `${past.outgoing} · ${past.outcome[outcome] ?? past.outcome.other}`;
}
