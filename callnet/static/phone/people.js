/**
 * People as elements: their faces, the contacts, and who has added this phone.
 */

import { el, icon } from "../shared/elements.js";
import { invitation } from "./invitation.js";

/** How many colours phone.css has for faces. */
const TONES = 7;

/**
 * A person's photo; without one the initials of the name, or a figure if there are none, in a colour that stays theirs.
 * @param {string} photo its URL, or ""
 */
export function face(phone, name, photo) {
  const tone = Array.from(phone).reduce((sum, digit) => (31 * sum + digit.charCodeAt(0)) % 9_973, 7) % TONES;
  const initials = (name !== phone && initialsOf(name)) || icon("person");
  // A list that is made again must not flicker.
  const content = photo === "" ? initials : el("img", { src: photo, alt: "", decoding: "sync" });
  return el("span", { class: `face tone-${tone}`, "aria-hidden": "true" }, content);
}

/**
 * A contact: who it is, whether they are there, and how to call them; or to invite them, as long as they cannot be called.
 * @param {object} person of book.js, with the URL of the photo
 * @param {object} words
 * @param {{call(phone, deviceId), edit(phone), invite(phone)}} doings
 */
export function personCard(person, words, doings) {
  const { phone, name, photo, isFavourite, hasJoined, isOnline, devices } = person;
  const { edit, all, invite, favourite } = words.person;
  const star = el("span", { class: "star" }, icon("star"), el("span", { class: "aloud" }, favourite));
  return el(
    "li",
    { class: isOnline ? "card online" : "card", "data-phone": phone },
    row({
      key: `call-${phone}`,
      label: hasJoined ? all({ name }) : invite({ name }),
      symbol: hasJoined ? "video" : "invite",
      phone,
      name,
      photo,
      mark: isFavourite ? [star] : [],
      below: state(person, words.person),
      press: () => (hasJoined ? doings.call(phone, "*") : doings.invite(phone)),
    }),
    el(
      "button",
      {
        type: "button",
        class: "round quiet",
        "data-key": `edit-${phone}`,
        "aria-label": edit({ name }),
        title: edit({ name }),
        onclick: () => doings.edit(phone),
      },
      icon("dots"),
    ),
    ...(devices.length > 1 ? [deviceButtons(person, words, doings)] : []),
  );
}

/** Somebody's face, name and a line below, all of which is one button, unless there is nothing to press. */
export function row({ key, label, symbol, phone, name, photo, mark = [], below, press }) {
  const content = [
    face(phone, name, photo),
    el(
      "span",
      { class: "who" },
      el("span", { class: "name" }, el("bdi", {}, name), ...mark),
      el("span", { class: "soft" }, ...below),
    ),
  ];
  if (press === null) return el("div", { class: "row" }, ...content);
  const go = el("span", { class: "go" }, icon(symbol), el("span", { class: "aloud" }, label));
  return el("button", { type: "button", class: "row call meant", "data-key": key, onclick: press }, ...content, go);
}

/** The mark of somebody who has come by a link, beside what they call themselves. */
export function guestMark({ guest }) {
  return el("span", { class: "guest" }, guest.mark);
}

function state({ name, phone, isBlocked, hasJoined, isOnline }, person) {
  const there = hasJoined ? (isOnline ? person.online : person.offline) : person.not_joined;
  const shown = isBlocked ? person.blocked : there;
  return name === phone ? [shown] : [el("bdi", {}, phone), ` · ${shown}`];
}

function deviceButtons({ phone, name, devices }, { person }, doings) {
  const buttons = devices.map(({ deviceId, isOnline }) =>
    el(
      "button",
      {
        type: "button",
        class: isOnline ? "chip meant online" : "chip meant",
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

/**
 * A contact that is being changed: `{element, showLists}`. showLists: takes the lists of the settings that the contact is in
 * (listsOf in book.js), which may be known later than the contact, and lets them be chosen.
 * @param {{change(phone, changes, lists), remove(phone), block(phone, isBlocked), edit(phone), say(sentence)}} doings
 *   edit: of null, none is any more
 */
export function personForm(contact, words, doings) {
  const { phone, name, givenName, profileName, isFavourite, isBlocked } = contact;
  const { person } = words;
  const field = el("input", {
    type: "text",
    class: "field",
    maxlength: "64",
    autocomplete: "off",
    value: givenName,
    placeholder: profileName,
    id: `name-${phone}`,
    "data-key": `name-${phone}`,
  });
  const photo = photoField(contact, words, doings.say);
  const favourite = toggle(`favourite-${phone}`, isFavourite);
  const answered = toggle(`answered-${phone}`, null);
  const through = toggle(`through-${phone}`, null);
  const switches = Object.entries({ auto_answer: answered, rings_through: through });
  const showLists = (lists) => {
    for (const [list, input] of switches.filter(([, { disabled }]) => disabled)) {
      input.checked = input.defaultChecked = lists[list];
      input.disabled = false;
    }
  };
  const save = (event) => {
    event.preventDefault();
    // What was not touched stays as it is, though another device may have changed it meanwhile.
    const touched = switches.filter(([, { checked, defaultChecked }]) => checked !== defaultChecked);
    const changes = Object.fromEntries(touched.map(([list, { checked }]) => [list, checked]));
    const details = { name: field.value.trim(), favourite: favourite.checked, photo: photo.chosen };
    doings.change(phone, details, changes);
  };
  const element = opened(
    phone,
    doings.edit,
    el(
      "form",
      { novalidate: true, onsubmit: save },
      el(
        "div",
        { class: "whom" },
        photo.face,
        el("p", { class: "name" }, el("bdi", {}, phone)),
      ),
      photo.buttons,
      el("label", { for: `name-${phone}` }, person.rename),
      field,
      switchLine(person.favourite, favourite),
      switchLine(person.rings_through, through),
      switchLine(person.auto_answer, answered),
      el(
        "div",
        { class: "buttons" },
        el("button", { type: "submit", class: "main", "data-key": `save-${phone}` }, person.save),
        el("button", { type: "button", class: "plain", onclick: () => doings.edit(null) }, person.done),
        el("button", { type: "button", class: "plain danger", onclick: () => doings.remove(phone) }, person.remove),
        blockButton(phone, isBlocked, words, () => doings.block(phone, !isBlocked)),
      ),
    ),
  );
  return { element, showLists };
}

/**
 * The photo of a contact that is being changed: `{face, buttons, chosen}`. chosen: the `data:` URL of another one; null: none
 * but the contact's own; undefined: it stays.
 */
function photoField({ phone, name, photo, hasGivenPhoto }, { you }, say) {
  const button = (key, label, onclick) =>
    el("button", { type: "button", class: "plain", "data-key": `${key}-${phone}`, onclick }, label);
  const file = el("input", { type: "file", accept: "image/*" });
  const choose = button("photo-choose", you.photo, () => file.click());
  const remove = button("photo-remove", you.remove, () => {
    put(null);
    choose.focus();
  });
  const field = { face: face(phone, name, photo), chosen: undefined };
  const put = (chosen) => {
    const shown = face(phone, name, chosen ?? "");
    field.face.replaceWith(shown);
    Object.assign(field, { face: shown, chosen });
    remove.hidden = chosen === null;
  };
  remove.hidden = !hasGivenPhoto;
  file.addEventListener("change", async () => {
    const [picture] = file.files;
    if (picture === undefined) return;
    file.value = ""; // the same one may be chosen again
    try {
      const { photoFrom } = await import("./picture.js");
      put(await photoFrom(picture));
    } catch {
      say((words) => words.you.photo_unreadable);
    }
  });
  return Object.assign(field, { buttons: el("div", { class: "buttons" }, choose, remove) });
}

/** A switch. @param {boolean | null} isOn null: that is not known yet */
export function toggle(id, isOn) {
  const state = { checked: isOn === true, disabled: isOn === null };
  return el("input", { type: "checkbox", role: "switch", ...state, id, "data-key": id });
}

function switchLine(label, input) {
  return el("div", { class: "switch" }, el("label", { for: input.id }, label), input);
}

/** A button that blocks somebody, or lets them call again. */
export function blockButton(phone, isBlocked, { blocking }, press) {
  return el(
    "button",
    { type: "button", class: isBlocked ? "plain" : "plain danger", "data-key": `block-${phone}`, onclick: press },
    isBlocked ? blocking.unblock : blocking.block,
  );
}

/**
 * A contact who is being invited.
 * @param {{say(sentence), invite(phone)}} doings invite: of null, nobody is any more
 */
export function personInvitation({ phone, name, photo }, own, words, doings) {
  const close = el("button", { type: "button", class: "plain", onclick: () => doings.invite(null) }, words.close);
  return opened(
    phone,
    doings.invite,
    el(
      "div",
      { class: "inviting" },
      el(
        "div",
        { class: "whom" },
        face(phone, name, photo),
        el("p", { class: "name" }, words.person.invite({ name })),
      ),
      invitation(own, words, doings.say, "main", close),
    ),
  );
}

function opened(phone, close, content) {
  const leave = ({ key }) => {
    if (key === "Escape") close(null);
  };
  return el("li", { class: "card open", "data-phone": phone, onkeydown: leave }, content);
}

/**
 * Somebody who has added this phone, and whether they are to be a contact.
 * @param {{add(phone), dismiss(phone)}} doings
 */
export function adderCard({ phone, name, photo }, { adder }, doings) {
  return el(
    "li",
    { class: "card adder", "data-phone": phone },
    face(phone, name, photo),
    el(
      "div",
      { class: "who" },
      el("p", { class: "name" }, adder.question({ name })),
      ...(name === phone ? [] : [el("p", { class: "soft" }, el("bdi", {}, phone))]),
    ),
    el(
      "div",
      { class: "buttons" },
      el("button", { type: "button", class: "main", "data-key": `add-${phone}`, onclick: () => doings.add(phone) }, adder.add),
      el(
        "button",
        { type: "button", class: "plain", "data-key": `dismiss-${phone}`, onclick: () => doings.dismiss(phone) },
        adder.later,
      ),
    ),
  );
}

function initialsOf(name) {
  const parts = name.split(/\s+/).filter(Boolean);
  return Array.from(new Set([...parts.slice(0, 1), ...parts.slice(-1)]), (word) => Array.from(word)[0].toUpperCase()).join("");
}
