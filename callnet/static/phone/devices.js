/**
 * The devices of one's own phone as elements.
 */

import { daysAgo } from "../shared/format.js";
import { el, icon } from "../shared/elements.js";

/**
 * A device: what it is called, when it was last used, and behind the dots what can be done with it.
 * @param {import("../client/types.js").OwnDevice & {isOpen: boolean, asks: string | null}} device asks: what is to be
 *   confirmed first, "log_out" or "remove"
 * @param {object} words
 * @param {{change(), ask(what), close(), rename(label), confirm(what)}} doings
 */
export function deviceLine(device, words, doings) {
  const { device_id: id, label, isOpen, asks } = device;
  const name = label || id;
  if (asks !== null) return el("li", { class: "line" }, question(id, name, asks, words, doings));
  if (isOpen) return el("li", { class: "line" }, form(device, words, doings));
  const change = words.devices.change({ name });
  return el(
    "li",
    { class: device.online ? "line device online" : "line device" },
    el(
      "div",
      {},
      el("p", { class: "name" }, el("bdi", {}, name)),
      el("p", { class: "hint" }, ...(label ? [el("bdi", {}, id), " · "] : []), useOf(device, words.devices)),
    ),
    el(
      "button",
      {
        type: "button",
        class: "round quiet",
        "data-key": `device-${id}`,
        "aria-label": change,
        title: change,
        onclick: doings.change,
      },
      icon("dots"),
    ),
  );
}

function useOf({ this: isThis, online, last_used_at: seconds }, said) {
  if (isThis) return said.this;
  if (online) return said.online;
  return seconds === null ? said.unknown : said.last({ when: daysAgo(seconds * 1_000) });
}

function form({ device_id: id, label, this: isThis }, { devices, person, log_out: logOut }, doings) {
  const field = el("input", {
    type: "text",
    class: "field",
    id: "device-label",
    maxlength: "64",
    autocomplete: "off",
    value: label,
    placeholder: id,
    "data-key": `label-${id}`,
  });
  const ask = (what, word) =>
    el(
      "button",
      { type: "button", class: "plain danger", "data-key": `${what}-${id}`, onclick: () => doings.ask(what) },
      word,
    );
  return el(
    "form",
    {
      class: "whole",
      novalidate: true,
      onsubmit: (event) => {
        event.preventDefault();
        doings.rename(field.value.trim());
      },
    },
    el("label", { for: "device-label" }, devices.rename),
    field,
    el(
      "div",
      { class: "buttons" },
      el("button", { type: "submit", class: "main", "data-key": `save-${id}` }, person.save),
      el("button", { type: "button", class: "plain", "data-key": `close-${id}`, onclick: doings.close }, person.done),
      ...(isThis ? [] : [ask("log_out", logOut), ask("remove", devices.remove)]),
    ),
  );
}

function question(id, name, what, { devices, person, log_out: logOut }, doings) {
  return el(
    "div",
    { class: "whole", role: "group", "aria-labelledby": "device-question" },
    el("p", { id: "device-question" }, devices.asks[what]({ name })),
    el(
      "div",
      { class: "buttons" },
      el("button", { type: "button", class: "plain", "data-key": `no-${id}`, onclick: doings.close }, person.done),
      el(
        "button",
        { type: "button", class: "plain danger", "data-key": `yes-${id}`, onclick: () => doings.confirm(what) },
        what === "remove" ? devices.remove : logOut,
      ),
    ),
  );
}
