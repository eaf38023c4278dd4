/**
 * The lists of contacts and past calls as elements.
 */

import { duration as written } from "../shared/format.js";
import { el, icon } from "./elements.js";

const KIND_ICONS = { incoming: "incoming", outgoing: "outgoing", missed: "missed", refused: "missed" };

/**
 * A contact: who it is, whether they are there, and how to call them.
 * @param {object} person of book.js
 * @param {object} words
 * @param {{call(phone, deviceId), edit(phone)}} doings
 */
export function personCard({ phone, name, isOnline, devices }, words, doings) {
  const { person } = words;
  const call = el(
    "button",
    {
      type: "button",
      class: "round call",
      "data-key": `call-${phone}`,
      "aria-label": person.all({ name }),
      title: person.all({ name }),
      onclick: () => doings.call(phone, "*"),
    },
    icon("video"),
  );
  const edit = el(
    "button",
    {
      type: "button",
      class: "round",
      "data-key": `edit-${phone}`,
      "aria-label": person.edit({ name }),
      title: person.edit({ name }),
      onclick: () => doings.edit(phone),
    },
    icon("pencil"),
  );
  return el(
    "li",
    { class: isOnline ? "card online" : "card", "data-phone": phone },
    el("span", { class: "face", "aria-hidden": "true" }, initialOf(name)),
    el(
      "div",
      { class: "who" },
      el("p", { class: "name" }, el("bdi", {}, name)),
      el("p", { class: "soft" }, ...state(name, phone, isOnline, devices, person)),
    ),
    edit,
    call,
    ...(devices.length > 1 ? [deviceButtons({ phone, name, devices }, words, doings)] : []),
  );
}

function state(name, phone, isOnline, devices, person) {
  const parts = devices.length === 1 ? [devices[0].deviceId] : [];
  if (name !== phone) parts.unshift(phone);
  const apart = parts.flatMap((part) => [el("bdi", {}, part), " · "]);
  return [...apart, isOnline ? person.online : person.offline];
}

function deviceButtons({ phone, name, devices }, { person }, doings) {
  const buttons = devices.map(({ deviceId, isOnline }) =>
    el(
      "button",
      {
        type: "button",
        class: isOnline ? "chip online" : "chip",
        "data-key": `call-${phone}-${deviceId}`,
        "aria-label": `${person.one({ name, device: deviceId })}, ${isOnline ? person.online : person.offline}`,
        onclick: () => doings.call(phone, deviceId),
      },
      el("span", { class: "dot" }),
      el("bdi", {}, deviceId),
    ),
  );
  return el("div", { class: "chips" }, ...buttons);
}

/** A contact that is being changed. */
export function personForm({ phone, name }, { person }, doings) {
  const field = el("input", {
    type: "text",
    maxlength: "64",
    autocomplete: "off",
    value: name === phone ? "" : name,
    id: `name-${phone}`,
    "data-key": `name-${phone}`,
  });
  return el(
    "li",
    { class: "card editing", "data-phone": phone },
    el(
      "form",
      {
        novalidate: true,
        onsubmit: (event) => {
          event.preventDefault();
          doings.rename(phone, field.value.trim());
        },
      },
      el("p", { class: "name" }, el("bdi", {}, phone)),
      el("label", { for: `name-${phone}` }, person.rename),
      field,
      el(
        "div",
        { class: "buttons" },
        el("button", { type: "submit", class: "main", "data-key": `save-${phone}` }, person.save),
        el("button", { type: "button", class: "plain", onclick: () => doings.edit(null) }, person.done),
        el("button", { type: "button", class: "plain danger", onclick: () => doings.remove(phone) }, person.remove),
      ),
    ),
  );
}

/** A past call: with whom, what became of it, when, and how to call back. */
export function pastCall({ key, phone, kind, outcome, duration, name, when }, words, doings) {
  const { past } = words;
  return el(
    "li",
    { class: `card past ${kind}`, "data-kind": kind, "data-phone": phone },
    el("span", { class: "face kind", "aria-hidden": "true" }, icon(KIND_ICONS[kind])),
    el(
      "div",
      { class: "who" },
      el("p", { class: "name" }, el("bdi", {}, name)),
      el("p", { class: "soft" }, el("span", { class: "what" }, whatOf(kind, outcome, duration, past)), ` · ${when}`),
    ),
    el(
      "button",
      {
        type: "button",
        class: "round call",
        "data-key": `back-${key}`,
        "aria-label": past.back({ name }),
        title: past.back({ name }),
        onclick: () => doings.call(phone, "*"),
      },
      icon("video"),
    ),
  );
}

function whatOf(kind, outcome, duration, past) {
  if (duration !== null) return `${past[kind]} · ${written(duration)}`;
  if (kind !== "outgoing") return past[kind];
  return `${past.outgoing} · ${past.outcome[outcome] ?? past.outcome.other}`;
}

function initialOf(name) {
  return Array.from(name)[0].toUpperCase();
}
