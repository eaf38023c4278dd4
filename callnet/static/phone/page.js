/**
 * Wires the phone: the person's doings to it, its facts to the view.
 */

import { focusOn } from "../shared/elements.js";
import { followArrows } from "../shared/focus.js";
import { proposal } from "./identity.js";
import { browser } from "../shared/memory.js";
import { beginScene, guardPresses } from "../shared/presses.js";
import { codeOf, firstWords, offerLanguages, otherWords } from "../shared/words.js";
import { Phone } from "./phone.js";
import { Ringer } from "../shared/ringer.js";
import { Kiosk } from "./kiosk.js";
import { LettingIn } from "./letting_in.js";
import { RingingLinks } from "./ringing_links.js";
import { Settings } from "./settings.js";
import { PARTS, View } from "./view.js";
import { onAnswer } from "./waking.js";
import { takeInvitation, WaitingView } from "./waiting.js";

const phone = new Phone(() => show(), (signal) => view.hear(signal));
const ringer = new Ringer();
const doings = {
  call: (number, deviceId) => phone.call(number, deviceId),
  edit,
  invite,
  change: async (number, changes, lists) => {
    if ((await phone.changeContact(number, changes)) && (await phone.listContact(number, lists))) closeForm(number);
  },
  remove: async (number) => {
    if ((await phone.removeContact(number)) && closeForm(number)) elements["notice-undo"].focus();
  },
  block: async (number, isBlocked) => {
    if (await phone.block(number, isBlocked)) closeForm(number);
  },
  add: (number) => answered(phone.addContact(number)),
  dismiss: (number) => answered(phone.dismissAdder(number)),
  say: (sentence) => phone.say(sentence),
  openCall,
  addFrom: (number) => {
    view.part = "contacts";
    openAdding(true);
    elements["add-phone"].value = number;
    elements["add-name"].focus();
  },
  deleteCall: async (roomId) => {
    if (await phone.deleteCall(roomId)) openCall(null);
  },
  hungUp: (call) => call.hangUp(),
  ended: (call) => phone.noteEnd(call),
  pressed: lookUp,
  changed: () => show(),
  signal: (call, data) => phone.signal(call, data),
};
const view = new View(doings, ringer);
const { elements } = view;
const settings = new Settings(elements, phone, ringer, () => show());
const waitingView = new WaitingView(elements);
const lettingIn = new LettingIn(elements, phone, () => show());
const ringingLinks = new RingingLinks(elements, phone, () => show());
const kiosk = new Kiosk(elements, phone, {
  press: (number) => phone.call(number),
  focus: () => view.main()?.focus(),
  changed: () => show(),
});

function show() {
  const before = view.scene;
  if (!view.show(phone)) return;
  kiosk.show(view.words, view.scene, view.said);
  // Nothing else is to be seen then, and the first picture does not wait for it.
  if (view.scene === "call") return;
  settings.show(view.words);
  waitingView.show(phone.waiting, view.words);
  lettingIn.show(view.words);
  ringingLinks.show(view.words);
  if (view.scene === "login" && before !== "login") propose();
  if (view.scene === "home" && lettingIn.isLinked) {
    view.part = "settings";
    lettingIn.askLinked();
  }
}

function speak(words) {
  view.speak(words);
  phone.waking.speak(words);
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
on("pair", "click", () => phone.pair());
on("pairing-again", "click", () => phone.pair());
on("pairing-agree", "click", () => phone.waiting.agree());
on("pairing-back", "click", () => phone.stopPairing());
on("other-device", "click", () => phone.leaveTab());
on("here", "click", () => phone.comeBack());

// Contacts

function openAdding(isOpen) {
  view.isAdding = isOpen;
  show();
  if (isOpen) elements["add-phone"].focus();
  else elements.add.focus();
}

function edit(number) {
  const before = view.edited;
  [view.edited, view.invited] = [number, null];
  show();
  focusAmongPeople(number === null ? `[data-key="edit-${before}"]` : ".open input");
}

/** Close the form of a contact, unless it was left, or another one opened, meanwhile. Returns whether it was there. */
function closeForm(number) {
  if (view.edited !== number) return false;
  edit(null);
  return true;
}

function invite(number) {
  const before = view.invited;
  [view.edited, view.invited] = [null, number];
  show();
  focusAmongPeople(number === null ? `[data-key="call-${before}"]` : ".open .main");
}

function focusAmongPeople(selector) {
  elements.people.querySelector(selector)?.focus();
  elements.people.querySelector(".open")?.scrollIntoView({ block: "nearest" });
}

// The buttons of who was answered are gone.
async function answered(done) {
  if ((await done) && !document.activeElement.matches("button, input")) view.main()?.focus();
}

on("add", "click", () => openAdding(!view.isAdding));
on("add-form", "input", () => {
  view.isAdding = true; // and stays so, whoever comes into the list meanwhile
});
on("add-form", "submit", async () => {
  // A name that is left out stays as it is where they are a contact already.
  const name = elements["add-name"].value.trim();
  const number = numberIn("add-phone");
  if (!(await phone.addContact(number, name === "" ? {} : { name }))) return;
  elements["add-form"].reset();
  openAdding(false);
  focusOn(`call-${number}`);
});
on("search", "input", show);
on("search", "keydown", (event) => {
  if (event.key === "Enter") {
    event.preventDefault(); // else it presses what has the focus then
    focusAmongPeople(".row");
  } else if (event.key === "Escape") {
    elements.search.value = "";
    show();
  }
});

// Ringing when the phone is not open, which is offered once

on("offer-yes", "click", async () => {
  await phone.setWaking(true);
  phone.waking.noteOffered();
  view.main()?.focus();
});
on("offer-no", "click", () => {
  phone.waking.noteOffered();
  view.main()?.focus();
});

// Calls

on("accept", "click", () => phone.device.call?.accept());
on("auto-stop", "click", () => {
  phone.autoAnswer.stop();
  beginScene(); // the button that accepts has come up under the finger
});
on("refuse", "click", () => phone.device.call?.hangUp()); // it may just have been accepted
on("cancel", "click", () => phone.device.call?.hangUp());
// Mostly at once: it may have come up while somebody presses "cancel", and that means the same.
on("call-hangup", "click", () => phone.device.call?.hangUp());

on("second-refuse", "click", () => phone.device.waitingCall?.refuse());
for (const [id, hold] of [["second-accept", false], ["second-hold", true]]) {
  on(id, "click", () => phone.device.waitingCall?.accept({ hold }));
}
on("held-swap", "click", () => phone.device.swap());

// From the page of a call up to that card, or to the held call, unless something lies open there, or is being written.
function lookUp(event) {
  const button = ["second-refuse", "held-swap"].map((id) => elements[id]).find((one) => one.offsetParent !== null);
  if (event.key !== "ArrowUp" || button === undefined || event.target.closest(".drawer")) return;
  event.preventDefault();
  event.stopImmediatePropagation();
  button.focus();
}

on("more", "click", () => phone.loadMore());
on("notice-again", "click", () => {
  const { peer, asked } = phone.notice.call;
  phone.call(peer.phone, asked);
});
on("notice-undo", "click", async () => {
  if (await phone.notice.undo()) view.main()?.focus();
});
on("notice-close", "click", () => {
  phone.dismiss();
  view.main()?.focus();
});

function openCall(key) {
  const before = view.openedCall;
  view.openedCall = key;
  show();
  focusOn(`open-${key ?? before}`);
}

function askToClear(asks) {
  elements["clear-ask"].hidden = !asks;
  (asks ? elements["clear-no"] : elements.clear).focus();
}

on("clear", "click", () => askToClear(elements["clear-ask"].hidden));
on("clear-no", "click", () => askToClear(false));
on("clear-yes", "click", async () => {
  if (await phone.deleteCalls()) elements["to-calls"].focus();
});

// Settings: how one presents oneself

on("you", "submit", () => elements["you-name"].blur());
on("you-name", "change", () => {
  const name = elements["you-name"].value.trim();
  phone.setProfile({ name }, ({ you }) => (name === "" ? you.unnamed : you.named({ name })));
});
on("photo-choose", "click", () => elements["photo-file"].click());
on("photo-file", "change", async () => {
  const [file] = elements["photo-file"].files;
  if (file === undefined) return;
  elements["photo-file"].value = ""; // the same one may be chosen again
  try {
    const { photoFrom } = await import("./picture.js");
    const photo = await photoFrom(file);
    await phone.setProfile({ photo }, ({ you }) => you.photo_set);
  } catch {
    phone.say(({ you }) => you.photo_unreadable);
  }
});
on("photo-remove", "click", async () => {
  if (await phone.setProfile({ photo: null }, ({ you }) => you.photo_removed)) elements["photo-choose"].focus();
});

// Settings: the language; for the rest of them see settings.js

offerLanguages(async (lang) => {
  const words = await otherWords(lang).catch(() => view.words);
  if (words === null) return;
  browser.set("language", codeOf(words.lang));
  speak(words);
  show();
});

for (const part of PARTS) {
  on(`to-${part}`, "click", () => {
    view.part = part;
    if (part === "settings") phone.topics.read(["devices"]); // nobody says when one was last used
    show();
  });
}

// The world around

document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "visible") phone.device?.check();
  phone.notify();
});
// A page that comes back from the browser's cache begins anew.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
guardPresses();
firstWords().then(async (words) => {
  speak(words);
  await onAnswer(phone.notified); // now it has begun, as the worker sees it
  followArrows(() => view.main());
  window.addEventListener("storage", ({ key }) => {
    if (!/^callnet\.(seat|switches)\./.test(key)) show(); // these are of the call's page
  });
  takeInvitation(() => Boolean(phone.device?.call));
  phone.start();
});

// For start.js.
document.documentElement.dataset.started = "";
