/**
 * Wires the phone: the person's doings to it, its facts to the view.
 */

import { followArrows } from "./focus.js";
import { proposal } from "./identity.js";
import { browser } from "../shared/memory.js";
import { Phone } from "./phone.js";
import { Ringer } from "./ringer.js";
import { PARTS, View } from "./view.js";
import { nearest } from "./words.js";

const NOT_MEANT_WITHIN = 600;

const phone = new Phone(() => show());
const view = new View({
  call: (number, deviceId) => phone.call(number, deviceId),
  edit,
  rename: async (number, name) => {
    if (await phone.addContact(number, name)) edit(null);
  },
  remove: async (number) => {
    if (await phone.removeContact(number)) edit(null);
  },
  hungUp: (call) => call.hangUp(),
  ended: (call) => phone.noteEnd(call),
});
const { elements } = view;

function show() {
  const before = view.scene;
  view.show(phone);
  if (view.scene === "login" && before !== "login") propose();
}

function on(id, kind, handle) {
  elements[id].addEventListener(kind, (event) => {
    if (kind === "submit") event.preventDefault();
    handle(event);
  });
}

/** What is typed as a phone number, without what only makes it easier to read. */
function numberIn(id) {
  return elements[id].value.replace(/[\s().-]/g, "");
}

// Logging in and out

function propose() {
  const { phone: number, deviceId } = proposal();
  elements["login-phone"].value = number;
  elements["login-device"].value = deviceId;
  elements["login-code"].value = "";
}

on("login-form", "submit", () => {
  const who = { phone: numberIn("login-phone"), deviceId: elements["login-device"].value.trim() };
  phone.logIn(who, elements["login-code"].value.trim(), who.deviceId === proposal().deviceId);
});
on("log-out", "click", () => phone.logOut());
on("other-device", "click", () => phone.leaveTab());
on("here", "click", () => phone.device.connect());

// Contacts

function openAdding(isOpen) {
  elements["add-form"].hidden = !isOpen;
  elements.add.setAttribute("aria-expanded", String(isOpen));
  show();
  if (isOpen) elements["add-phone"].focus();
  else elements.add.focus();
}

function edit(number) {
  view.edited = number;
  show();
  if (number !== null) document.getElementById(`name-${number}`)?.focus();
}

on("add", "click", () => openAdding(elements["add-form"].hidden));
on("add-first", "click", () => openAdding(true));
on("add-form", "submit", async () => {
  if (!(await phone.addContact(numberIn("add-phone"), elements["add-name"].value.trim()))) return;
  elements["add-form"].reset();
  openAdding(false);
});

// Calls

// Who was just typing something else does not mean to accept. A click by a key has no `detail`.
on("accept", "click", ({ detail }) => {
  if (detail > 0 || view.sceneAge > NOT_MEANT_WITHIN) phone.device.call?.accept();
});
on("refuse", "click", () => phone.device.call?.refuse());
on("cancel", "click", () => phone.device.call?.hangUp());
on("call-hangup", "click", () => {
  const { call } = phone.device;
  view.page.hangUp();
  call?.hangUp();
});
on("more", "click", () => phone.loadMore());
on("notice-again", "click", () => {
  const { peer, asked } = phone.notice.call;
  phone.call(peer.phone, asked);
});
on("notice-close", "click", () => {
  phone.dismiss();
  view.main()?.focus();
});

// Settings

on("quiet", "change", () => {
  const isOn = elements.quiet.checked;
  elements["quiet-times"].hidden = !isOn;
  if (!isOn) phone.setQuiet(null);
});
on("quiet-form", "submit", () => {
  const [from, to] = [elements["quiet-from"].value, elements["quiet-to"].value];
  if (from !== "" && to !== "") phone.setQuiet({ from, to });
});
on("alerts-on", "click", async () => {
  await Ringer.askPermission();
  show();
});

function speak(language) {
  view.speak(language);
  browser.set("language", language);
  show();
}

for (const language of ["en", "zh"]) on(`language-${language}`, "click", () => speak(language));
on("login-language", "click", () => speak(view.language === "en" ? "zh" : "en"));

for (const part of PARTS) {
  on(`to-${part}`, "click", () => {
    view.part = part;
    show();
  });
}

// The world around

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") phone.device?.check();
});
// A page that comes back from the browser's cache begins anew.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
followArrows(() => view.main());

const asked = new URLSearchParams(location.search).get("lang");
view.speak(asked === "en" || asked === "zh" ? asked : browser.get("language") ?? nearest(navigator.language));
show();
phone.start();

// For too_old.js.
document.documentElement.dataset.started = "";
