/**
 * Wires the page: the person's doings to the call, the call's facts to the view.
 */

import { Call } from "./call.js";
import { noticeOf, sceneOf } from "./scene.js";
import { VerificationPanel } from "./verification_panel.js";
import { View } from "./view.js";
import { wordsFor } from "./words.js";

const LOOK_EVERY = 1_000;
const LONGEST_ROOM_ID = 64;

const view = new View(wordsFor(navigator.language));
const verification = new VerificationPanel(wordsFor(navigator.language));
const { elements } = view;

let call = null;
let begunAt = 0;
let scene = null;

function show() {
  const now = performance.now();
  scene = sceneOf(call, now, begunAt);
  view.showLocal(call?.stream ?? null);
  view.show(scene, call, call === null ? "" : noticeOf(call, view.isSilent), now);
  verification.show(call);
}

function join(roomId) {
  call?.leave();
  begunAt = performance.now();
  const handlers = { changed: show, picture: play, screen() {} };
  call = new Call(roomId, handlers, { isRelayOnly: parameters().get("relay") === "1" });
  show();
}

function parameters() {
  return new URLSearchParams(location.search);
}

// A reload comes back to the same room, and what else the address asks for stays asked for.
function setParameter(name, value) {
  const changed = parameters();
  if (value === null) changed.delete(name);
  else changed.set(name, value);
  history.replaceState(null, "", `${location.pathname}?${changed}`.replace(/\?$/, ""));
}

function joinDirectly() {
  setParameter("relay", null);
  join(call.roomId);
}

async function play(stream) {
  await view.play(stream);
  show();
}

function askForRoom() {
  call?.leave();
  call = null;
  setParameter("room_id", null);
  show();
}

const actions = {
  again: () => join(call.roomId),
  anew: () => join(call.roomId),
  direct: joinDirectly,
  here: () => join(call.roomId),
  retry: () => call.askAgain(),
  without: () => call.goWithout(),
  other_room: askForRoom,
  reload: () => location.reload(),
};

elements.form.addEventListener("submit", (event) => {
  event.preventDefault();
  const roomId = elements["room-id"].value.trim();
  const isBad = roomId === "" || roomId.length > LONGEST_ROOM_ID;
  view.showRoomProblem(isBad);
  if (isBad) return;
  setParameter("room_id", roomId);
  join(roomId);
});
elements.action.addEventListener("click", () => actions[scene.actions[0]]());
elements["second-action"].addEventListener("click", () => actions[scene.actions[1]]());
elements.mute.addEventListener("click", () => call.toggleMute());
elements.camera.addEventListener("click", () => call.toggleCamera());
elements.hangup.addEventListener("click", () => call.hangUp());

for (const kind of ["pointerdown", "keydown"]) {
  document.addEventListener(kind, () => {
    if (!view.isSilent) return;
    view.letSound();
    show();
  });
}

// Remote controls have arrows and OK, and nothing else.
const STEPS = { ArrowLeft: -1, ArrowUp: -1, ArrowRight: 1, ArrowDown: 1 };

document.addEventListener("keydown", (event) => {
  const focused = document.activeElement;
  const controls = view.controls();
  const index = controls.indexOf(focused);
  if (index === -1 && (event.key in STEPS || event.key === "Enter")) {
    event.preventDefault();
    view.mainControl()?.focus();
  } else if (event.key in STEPS && !isTyping(focused, event.key)) {
    event.preventDefault();
    controls[index + STEPS[event.key]]?.focus();
  }
});

function isTyping(element, key) {
  return element instanceof HTMLInputElement && (key === "ArrowLeft" || key === "ArrowRight");
}

window.addEventListener("pagehide", () => call?.leave());
// A page that comes back from the browser's cache begins anew.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

setInterval(show, LOOK_EVERY);

const given = parameters().get("room_id");
if (given) join(given);
else show();

// For too_old.js.
document.documentElement.dataset.started = "";
