/**
 * The lists of contacts and past calls as elements.
 */

import { duration as written } from "../shared/format.js";
import { el, icon } from "./elements.js";

/** How many colours phone.css has for faces. */
const TONES = 7;

/** The place of a person's photo: the initials of the name, or a figure if there is none, in a colour that stays theirs. */
export function face(phone, name) {
  const tone = Array.from(phone).reduce((sum, digit) => (31 * sum + digit.charCodeAt(0)) % 9_973, 7) % TONES;
  const content = name === phone ? icon("person") : initialsOf(name);
  return el("span", { class: `face tone-${tone}`, "aria-hidden": "true" }, content);
}

/**
 * A contact: who it is, whether they are there, and how to call them.
 * @param {object} person of book.js
 * @param {object} words
 * @param {{call(phone, deviceId), edit(phone)}} doings
 */
export function personCard({ phone, name, isOnline, devices }, words, doings) {
  const { person } = words;
  const edit = el(
    "button",
    {
      type: "button",
      class: "round quiet",
      "data-key": `edit-${phone}`,
      "aria-label": person.edit({ name }),
      title: person.edit({ name }),
      onclick: () => doings.edit(phone),
    },
    icon("dots"),
  );
  return el(
    "li",
    { class: isOnline ? "card online" : "card", "data-phone": phone },
    row({
      key: `call-${phone}`,
      label: person.all({ name }),
      phone,
      name,
      below: state(name, phone, isOnline, person),
      press: () => doings.call(phone, "*"),
    }),
    edit,
    ...(devices.length > 1 ? [deviceButtons({ phone, name, devices }, words, doings)] : []),
  );
}

/** Somebody's face, name and a line below, all of which is one button that calls them. */
function row({ key, label, phone, name, below, press }) {
  return el(
    "button",
    { type: "button", class: "row call", "data-key": key, onclick: press },
    face(phone, name),
    el(
      "span",
      { class: "who" },
      el("span", { class: "name" }, el("bdi", {}, name)),
      el("span", { class: "soft" }, ...below),
    ),
    el("span", { class: "go" }, icon("video"), el("span", { class: "aloud" }, label)),
  );
}

function state(name, phone, isOnline, person) {
  const there = isOnline ? person.online : person.offline;
  return name === phone ? [there] : [el("bdi", {}, phone), ` · ${there}`];
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
export function personForm({ phone, name, isBlocked }, words, doings) {
  const { person } = words;
  const field = el("input", {
    type: "text",
    class: "field",
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
        blockButton(phone, isBlocked, words, () => doings.block(phone, !isBlocked)),
        el("button", { type: "button", class: "plain danger", onclick: () => doings.remove(phone) }, person.remove),
      ),
    ),
  );
}

/** A button that blocks somebody, or lets them call again. */
export function blockButton(phone, isBlocked, { blocking }, press) {
  const properties = { type: "button", class: "plain danger", "data-key": `block-${phone}`, onclick: press };
  return el("button", properties, isBlocked ? blocking.unblock : blocking.block);
}

/**
 * A past call: with whom, what became of it, when, how to call back, and behind the dots what else can be done.
 * @param {object} call of past.js, with `name`, `when`, `isContact`, `isBlocked` and whether it `isOpen`
 */
export function pastCall(call, words, doings) {
  const { key, phone, kind, outcome, duration, name, when, isOpen } = call;
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
      phone,
      name,
      below: [el("span", { class: "what" }, icon(kind), whatOf(kind, outcome, duration, past)), ` · ${when}`],
      press: () => doings.call(phone, "*"),
    }),
    dots,
    ...(isOpen ? [pastOptions(call, words, doings)] : []),
  );
}

function pastOptions({ key, roomId, phone, isContact, isBlocked }, words, doings) {
  const { past } = words;
  const plain = (name, press, word) =>
    el("button", { type: "button", class: "plain", "data-key": `${name}-${key}`, onclick: press }, word);
  return el(
    "div",
    { class: "buttons options" },
    ...(isContact ? [] : [plain("add", () => doings.addFrom(phone), past.add)]),
    plain("delete", () => doings.deleteCall(roomId), past.delete),
    blockButton(phone, isBlocked, words, () => doings.block(phone, !isBlocked)),
  );
}

function whatOf(kind, outcome, duration, past) {
  if (duration !== null) return `${past[kind]} · ${written(duration)}`;
  if (kind !== "outgoing") return past[kind];
  return `${past.outgoing} · ${past.outcome[outcome] ?? past.outcome.other}`;
}

function initialsOf(name) {
  const parts = name.split(/\s+/).filter(Boolean);
  return Array.from(new Set([parts[0], parts[parts.length - 1]]), (word) => Array.from(word)[0].toUpperCase()).join("");
}
