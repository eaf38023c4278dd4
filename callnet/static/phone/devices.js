/**
 * The devices of one's own phone as elements.
 */

import { daysAgo } from "../shared/format.js";
import { el, icon, put } from "../shared/elements.js";
import { toggle } from "./people.js";
import { PIN_LENGTH } from "./pin_pad.js";

const PIN = new RegExp(`^\\d{${PIN_LENGTH.least},${PIN_LENGTH.most}}$`);

/**
 * A device: what it is called, when it was last used, and behind the dots what can be done with it.
 * @param {import("../client/types.js").OwnDevice & {isOpen: boolean, asks: string | null}} device asks: what is to be
 *   confirmed first, "log_out" or "remove"
 * @param {object} words
 * @param {{change(), ask(what), close(), confirm(what), form()}} doings form: the form of deviceForm
 */
export function deviceLine(device, words, doings) {
  const { device_id: id, label, isOpen, asks } = device;
  const name = label || id;
  if (asks !== null) return el("li", { class: "line" }, question(id, name, asks, words, doings));
  if (isOpen) return el("li", { class: "line" }, doings.form());
  const change = words.devices.change({ name });
  return el(
    "li",
    { class: device.online ? "line device online" : "line device" },
    el(
      "div",
      {},
      el("p", { class: "name" }, el("bdi", {}, name)),
      el("p", { class: "hint" }, ...(label ? [el("bdi", {}, id), " · "] : []), stateOf(device, words.devices)),
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

function stateOf(device, said) {
  const set = [...(device.kiosk ? [said.is_kiosk] : []), ...(device.auto_answers ? [said.is_answering] : [])];
  return [useOf(device, said), ...set].join(" · ");
}

function useOf({ this: isThis, online, last_used_at: seconds }, said) {
  if (isThis) return said.this;
  if (online) return said.online;
  return seconds === null ? said.unknown : said.last({ when: daysAgo(seconds * 1_000) });
}

/**
 * A device that is being changed: its name and its settings.
 * @param {import("../client/types.js").OwnDevice} device
 * @param {{ask(what), close(), save(label, changes)}} doings save: label is null if it stays, changes are DeviceChanges
 */
export function deviceForm(device, words, doings) {
  const { device_id: id, label, this: isThis } = device;
  const { auto, devices, person, log_out: logOut } = words;
  const name = textField(`label-${id}`, { id: "device-label", maxlength: "64", value: label, placeholder: id });
  const answers = toggle("device-answers", device.auto_answers);
  const kiosk = toggle("device-kiosk", device.kiosk);
  const pin = textField(`pin-${id}`, {
    id: "device-pin",
    dir: "ltr",
    inputmode: "numeric",
    maxlength: String(PIN_LENGTH.most),
    placeholder: device.kiosk ? devices.pin_kept : "",
    "aria-describedby": "device-pin-problem",
  });
  const problem = el("p", { class: "problem", id: "device-pin-problem", role: "alert", hidden: true });
  const locked = el("div", { class: "whole" }, el("label", { for: pin.id }, devices.pin), pin, problem);
  const look = () => {
    locked.hidden = !kiosk.checked;
  };
  kiosk.addEventListener("change", look);
  look();
  const save = (event) => {
    event.preventDefault();
    const isPinTaken = kiosk.checked && (pin.value !== "" || !device.kiosk);
    const isWrong = isPinTaken && !PIN.test(pin.value);
    put(problem, isWrong ? devices.pin_needed : "");
    pin.setAttribute("aria-invalid", String(isWrong));
    if (isWrong) {
      pin.focus();
      return;
    }
    const changes = answers.checked === device.auto_answers ? {} : { auto_answers: answers.checked };
    if (isPinTaken) changes.kiosk_pin = pin.value;
    else if (device.kiosk && !kiosk.checked) changes.kiosk_pin = null;
    doings.save(name.value.trim() === label ? null : name.value.trim(), changes);
  };
  const ask = (what, word) =>
    el(
      "button",
      { type: "button", class: "plain danger", "data-key": `${what}-${id}`, onclick: () => doings.ask(what) },
      word,
    );
  return el(
    "form",
    { class: "whole", novalidate: true, onsubmit: save },
    el("label", { for: name.id }, devices.rename),
    name,
    setting(answers, auto.title, auto.hint),
    setting(kiosk, devices.kiosk, devices.kiosk_hint),
    locked,
    el(
      "div",
      { class: "buttons" },
      el("button", { type: "submit", class: "main", "data-key": `save-${id}` }, person.save),
      el("button", { type: "button", class: "plain", "data-key": `close-${id}`, onclick: doings.close }, person.done),
      ...(isThis ? [] : [ask("log_out", logOut), ask("remove", devices.remove)]),
    ),
  );
}

function setting(input, title, hint) {
  const id = `${input.id}-hint`;
  input.setAttribute("aria-describedby", id);
  const words = el("div", {}, el("label", { for: input.id }, title), el("p", { class: "hint", id }, hint));
  return el("div", { class: "switch" }, words, input);
}

function textField(key, properties) {
  return el("input", { type: "text", class: "field", autocomplete: "off", "data-key": key, ...properties });
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
