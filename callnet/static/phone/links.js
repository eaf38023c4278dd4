/**
 * The links that ring, as elements of the settings: each in a line; one that is shown, changed, or about to be removed.
 */

import { dateAndTime, daysAgo, timeOfDay } from "../shared/format.js";
import { drawCode } from "../shared/link.js";
import { el, icon, openByEnter } from "../shared/elements.js";
import { linkToGive } from "./invitation.js";

const DAY = 86_400;
/** For how many seconds a link may be made to ring. */
const TIMES = { day: DAY, week: 7 * DAY, month: 30 * DAY, year: 365 * DAY };
/** How many calls it may be made for. */
const COUNTS = [1, 2, 5, 10, 20, 50, 100];
/** The hours that are proposed. */
const OPEN = { from: "09:00", to: "17:00" };

/** @typedef {import("../client/types.js").RingingLink} RingingLink */

/** Where a link leads. @param {RingingLink} link */
function addressOf({ secret }) {
  return `${location.origin}/guest#${secret}`;
}

/**
 * A link: what it is called, when it rings, whether it is on, and behind the dots what else can be done.
 * @param {RingingLink} link
 * @param {object} words
 * @param {{open(mode), turn(isOn)}} doings
 */
export function linkLine(link, { links }, doings) {
  const { link_id: id, name, is_on: isOn } = link;
  const open = links.open({ name });
  return el(
    "li",
    { class: "line" },
    el(
      "div",
      {},
      el("p", { class: "name", id: `link-name-${id}` }, el("bdi", {}, name)),
      el("p", { class: "hint" }, stateOf(link, links)),
    ),
    el(
      "div",
      { class: "ends" },
      el("input", {
        type: "checkbox",
        role: "switch",
        checked: isOn,
        "aria-labelledby": `link-name-${id}`,
        "data-key": `link-switch-${id}`,
        onchange: ({ target }) => doings.turn(target.checked),
      }),
      el(
        "button",
        {
          type: "button",
          class: "round quiet",
          "data-key": `link-${id}`,
          "aria-label": open,
          title: open,
          onclick: () => doings.open("shown"),
        },
        icon("dots"),
      ),
    ),
  );
}

function stateOf({ is_on, hours, expires_at, calls_left, last_used_at }, links) {
  const isExpired = expires_at !== null && expires_at * 1_000 <= Date.now();
  const parts = [
    is_on ? "" : links.off,
    hours === null ? "" : links.hours({ from: timeOfDay(hours.from), to: timeOfDay(hours.to) }),
    isExpired ? links.expired : expires_at === null ? "" : links.until_time({ time: dateAndTime(expires_at * 1_000) }),
    calls_left === null ? "" : links.left({ count: calls_left }),
    last_used_at === null ? links.unused : links.used({ when: daysAgo(last_used_at * 1_000) }),
  ];
  return parts.filter((part) => part !== "").join(" · ");
}

/**
 * A link to be given to somebody.
 * @param {RingingLink} link
 * @param {{open(mode), close(), print(), say(sentence)}} doings
 */
export function linkShown(link, words, doings) {
  const { name, link_id: id } = link;
  const { links, close } = words;
  const texts = { hint: links.give, label: links.link, message: links.message };
  const press = (key, look, word, onclick) =>
    el("button", { type: "button", class: look, "data-key": `link-${key}-${id}`, onclick }, word);
  return whole(
    doings,
    el("p", { class: "name" }, el("bdi", {}, name)),
    linkToGive(addressOf(link), texts, words, doings.say, "main", press("print", "plain", links.print, doings.print)),
    el(
      "div",
      { class: "buttons" },
      press("close", "plain", close, doings.close),
      press("change", "plain", links.change, () => doings.open("changed")),
      press("remove", "plain danger", links.remove, () => doings.open("removed")),
    ),
  );
}

/** The question whether a link is to be removed. @param {{close(), remove()}} doings */
export function linkQuestion({ link_id: id, name }, { links, person }, doings) {
  return whole(
    doings,
    el("p", {}, links.ask({ name })),
    el(
      "div",
      { class: "buttons" },
      el("button", { type: "button", class: "plain", "data-key": `link-no-${id}`, onclick: doings.close }, person.done),
      el("button", { type: "button", class: "plain danger", onclick: doings.remove }, links.remove),
    ),
  );
}

/**
 * The form of a link that is made, or changed.
 * @param {RingingLink | null} link null: it is new
 * @param {{close(), save(values)}} doings values: `{name, hours, expires_at?, calls_left?}`; what is left out stays as it is
 */
export function linkForm(link, words, doings) {
  const { links, person, quiet_from, quiet_to } = words;
  const name = el("input", {
    type: "text",
    class: "field",
    id: "link-name",
    dir: "auto",
    maxlength: "50",
    autocomplete: "off",
    enterkeyhint: "done",
    value: link?.name ?? "",
    placeholder: links.example,
    "data-key": "link-name",
  });
  const { from, to } = link?.hours ?? OPEN;
  const [begin, end] = [time("link-from", from), time("link-to", to)];
  const hours = el(
    "div",
    { class: "hours" },
    el("label", { for: begin.id }, quiet_from),
    begin,
    el("label", { for: end.id }, quiet_to),
    end,
  );
  const isDaily = (link?.hours ?? null) !== null;
  const when = choice("link-when", { always: links.always, daily: links.daily }, isDaily ? "daily" : "always");
  const showHours = () => (hours.hidden = when.value !== "daily");
  when.addEventListener("change", showHours);
  showHours();
  const until = choice("link-until", {
    ...(link?.expires_at ? { same: links.until_time({ time: dateAndTime(link.expires_at * 1_000) }) } : {}),
    none: links.forever,
    ...Object.fromEntries(Object.keys(TIMES).map((name) => [name, links.times[name]])),
  });
  const left = link?.calls_left ?? null;
  const calls = choice("link-calls", {
    ...(left === null ? {} : { same: links.left({ count: left }) }),
    none: links.unlimited,
    ...Object.fromEntries(COUNTS.map((count) => [`n${count}`, links.count({ count })])),
  });
  const save = (event) => {
    event.preventDefault();
    doings.save({
      name: name.value.trim() || name.placeholder,
      hours: when.value === "daily" ? hoursOf(begin.value || OPEN.from, end.value || OPEN.to, link) : null,
      ...changeOf("expires_at", until.value, () => Date.now() / 1_000 + TIMES[until.value]),
      ...changeOf("calls_left", calls.value, () => Number(calls.value.slice(1))),
    });
  };
  return whole(
    doings,
    el(
      "form",
      { class: "whole", novalidate: true, onsubmit: save },
      el("label", { for: name.id }, links.name),
      name,
      el("label", { for: when.id }, links.when),
      when,
      hours,
      el("label", { for: until.id }, links.until),
      until,
      el("label", { for: calls.id }, links.calls),
      calls,
      el(
        "div",
        { class: "buttons" },
        el("button", { type: "submit", class: "main", "data-key": "link-save" }, link === null ? links.create : person.save),
        el("button", { type: "button", class: "plain", onclick: doings.close }, person.done),
      ),
    ),
  );
}

function changeOf(name, chosen, value) {
  if (chosen === "same") return {};
  return { [name]: chosen === "none" ? null : value() };
}

/** Hours of a day, where they are the same as before in the time zone that they have. */
function hoursOf(from, to, link) {
  const before = link?.hours ?? null;
  if (before?.from === from && before.to === to) return before;
  return { from, to, time_zone: Intl.DateTimeFormat().resolvedOptions().timeZone };
}

function time(id, value) {
  return el("input", { type: "time", class: "field", id, value, "data-key": id });
}

function choice(id, texts, chosen) {
  const options = Object.entries(texts).map(([value, text]) => el("option", { value, selected: value === chosen }, text));
  const select = el("select", { class: "field", id, "data-key": id }, ...options);
  openByEnter(select);
  return select;
}

/** All of a line, which Escape leaves. */
function whole(doings, ...content) {
  const leave = ({ key }) => {
    if (key === "Escape") doings.close();
  };
  return el("div", { class: "whole", onkeydown: leave }, ...content);
}

/** A sheet of paper with a link. @param {RingingLink} link */
export async function poster(link, { links }) {
  const code = el("canvas", {});
  await drawCode(code, addressOf(link));
  return [
    el("h1", {}, links.poster),
    code,
    el("p", { dir: "ltr" }, addressOf(link)),
    el("p", {}, el("bdi", {}, link.name)),
  ];
}
