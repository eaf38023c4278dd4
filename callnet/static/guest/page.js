/**
 * Wires the page of guests: a link that rings has opened it, with its secret behind the #, which no server is told.
 */

import { followArrows } from "../shared/focus.js";
import { browser } from "../shared/memory.js";
import { guardPresses } from "../shared/presses.js";
import { codeOf, firstWords, offerLanguages, otherWords } from "../shared/words.js";
import { Guest } from "./guest.js";
import { View } from "./view.js";

const guest = new Guest(location.hash.slice(1), () => view.show(guest));
const view = new View({
  hungUp: () => guest.hangUp(),
  ended: (call) => call.noteEnd(),
  pressed: () => {},
  changed: () => view.show(guest),
});
const { elements } = view;
let words = null;

function speak(others) {
  words = others;
  view.speak(words);
  view.show(guest);
}

elements["door-form"].addEventListener("submit", (event) => {
  event.preventDefault();
  guest.ring(elements.name.value.trim());
  if (guest.problem !== "") elements.name.focus();
});
elements.again.addEventListener("click", () => guest.ring(guest.name));
for (const id of ["cancel", "call-hangup"]) elements[id].addEventListener("click", () => guest.hangUp());

offerLanguages(async (lang) => {
  const others = await otherWords(lang).catch(() => words);
  if (others === null) return;
  browser.set("language", codeOf(others.lang));
  speak(others);
});

// Nobody is to be rung by a page that is gone.
window.addEventListener("pagehide", () => guest.leave());
// A page that comes back from the browser's cache begins anew, as one does for which another link was opened.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
window.addEventListener("hashchange", () => location.reload());

guardPresses();
firstWords().then((first) => {
  elements.name.value = guest.name;
  speak(first);
  guest.resume();
  followArrows(() => view.main());
});

// For start.js.
document.documentElement.dataset.started = "";
