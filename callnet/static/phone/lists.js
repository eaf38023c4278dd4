/**
 * The list of past calls as elements.
 */

import { duration as written } from "../shared/format.js";
import { el, icon } from "./elements.js";
import { row } from "./people.js";

/** A past call: with whom, what became of it, when, and how to call back. */
export function pastCall({ key, phone, kind, outcome, duration, name, photo, when }, words, doings) {
  const { past } = words;
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
      below: [el("span", { class: "what" }, icon(kind), whatOf(kind, outcome, duration, past)), ` · ${when}`],
      press: () => doings.call(phone, "*"),
    }),
  );
}

function whatOf(kind, outcome, duration, past) {
  if (duration !== null) return `${past[kind]} · ${written(duration)}`;
  if (kind !== "outgoing") return past[kind];
  return `${past.outgoing} · ${past.outcome[outcome] ?? past.outcome.other}`;
}
