/**
 * Wires the page: the person's doings to the call, the call's facts to the view.
 */

import { tellAtOnce } from "../shared/at_once.js";
import { browser } from "../shared/memory.js";
import { guardPresses } from "../shared/presses.js";
import { codeOf, firstWords, offerLanguages, otherWords, specialWords } from "../shared/words.js";
import { Call } from "./call.js";
import { Chat } from "./chat.js";
import { Controls } from "./controls.js";
import { Devices } from "./devices.js";
import { elements } from "./dom.js";
import { Floating } from "./floating.js";
import { Invite, newRoom } from "./invite.js";
import { Lobby } from "./lobby.js";
import { Message, Status } from "./message.js";
import { navigate } from "./navigation.js";
import { Own } from "./own.js";
import { Panels } from "./panels.js";
import { Reactions } from "./reactions.js";
import { Rest } from "./rest.js";
import { canInvite, noticeOf, sceneOf } from "./scene.js";
import { Speaker } from "./speaker.js";
import { Stage } from "./stage.js";
import { Statistics } from "./statistics.js";
import { PushToTalk } from "./talk.js";
import { VerificationPanel } from "./verification_panel.js";
import { CONTROLLED, View } from "./view.js";
import { Windows } from "./windows.js";

const LOOK_EVERY = 1_000;
const LONGEST_ROOM_ID = 64;
/** How long a notice stays that tells of something that has happened. */
const PASSING = 5_000;

const given = parameters();
/** Whether chat, files and numbers are out of reach here. */
const isInKiosk = document.documentElement.hasAttribute("data-kiosk");

let roomId = given.get("room_id") ?? "";
let call = null;
let begunAt = 0;
let scene = sceneOf(null, 0, 0, roomId);
let passing = { notice: "", until: 0 };
let language = null;
/** What the phone around this page calls the other person; "": it does not know, or there is none. */
let otherName = "";
/** Which side holds the call, as the phone around this page says. */
const holders = (given.get("hold") ?? "").split(",");
let held = { here: holders.includes("here"), there: holders.includes("there") };

const own = new Own(roomId, { changed: ownChanged, replaced: (kind, track) => call?.use(kind, track), failed: notify });
const stage = new Stage(show);
const floating = new Floating(show);
const windows = new Windows(() => stage.main, floating, show);
const speaker = new Speaker();
const chat = new Chat(() => call);
const reactions = new Reactions((emoji) => call.react(emoji));
const statistics = new Statistics(() => call);
const invite = new Invite(notify);
const message = new Message();
const panels = new Panels(looked);
const verification = new VerificationPanel(() => panels.open("verification"));
// Before the buttons that rest: who talks wakes them, and is heard at once.
new PushToTalk(own, () => CONTROLLED.has(scene.state) && panels.current === "");
const rest = new Rest(() => scene.state === "connected" && panels.current === "");
const view = new View([
  message, new Status(), stage, new Controls(windows), new Lobby(), new Devices(own, speaker, choose), chat, reactions, statistics, invite,
  verification, rest, floating,
]);

function show() {
  const now = performance.now();
  scene = sceneOf(call, now, begunAt, roomId);
  const passed = now < passing.until ? passing.notice : "";
  const notice = call === null ? "" : noticeOf(call, stage.isSilent, passed);
  // Before anything else is shown, which takes the focus that a drawer has left.
  if (!CONTROLLED.has(scene.state) || (panels.current === "invite" && !canInvite(call))) panels.close();
  view.show({ scene, call, own, notice, roomId, unread: chat.unread, now });
}

function notify(notice) {
  passing = { notice, until: performance.now() + PASSING };
  show();
}

// What is new in the chat.
function announce(notice) {
  if (panels.current === "chat" || isInKiosk) show();
  else notify(notice);
}

function ownChanged() {
  if (own.state === "open") speaker.takeFrom(own.devices.speaker);
  call?.ownChanged();
  show();
}

// What the address asks for.

function parameters() {
  return new URLSearchParams(location.search);
}

// A reload comes back to the same room, and what else the address asks for stays asked for.
function setParameters(values) {
  const changed = parameters();
  for (const [name, value] of Object.entries(values)) {
    if (value === null) changed.delete(name);
    else changed.set(name, value);
  }
  history.replaceState(null, "", `${location.pathname}?${changed}`.replace(/\?$/, ""));
}

// A room that is known only now, or "" for none.
function take(room) {
  roomId = room;
  own.enter(room);
  setParameters({ room_id: room || null, prejoin: null, ahead: null });
}

// The life of a visit.

function enterLobby() {
  call?.leave();
  call = null;
  own.ask();
  show();
}

function join() {
  begin("");
  call.join(roomId);
  show();
}

// While a call rings its page makes ready, and takes no seat.
function getReady() {
  begin(given.get("ahead"));
  if (given.get("ahead") === "caller") own.ask();
  show();
}

function begin(side) {
  call?.leave();
  begunAt = performance.now();
  chat.clear();
  const handlers = {
    changed: show,
    expected: (stream) => stage.expect(stream),
    picture: async (stream) => {
      await stage.play(stream);
      show();
    },
    screen: (stream) => {
      stage.playScreen(stream);
      show();
    },
    chat: (text) => {
      chat.hear(text);
      announce("unread");
    },
    reaction: (emoji) => reactions.hear(emoji),
    file: (transfer) => {
      if (chat.showFile(transfer)) announce("file");
    },
    signal: (said) => tellAtOnce(parent, { signal: said }),
  };
  call = new Call(own, handlers, { isRelayOnly: parameters().get("relay") === "1", side, hold: held });
}

function joinDirectly() {
  setParameters({ relay: null });
  join();
}

function askForRoom() {
  take("");
  enterLobby();
}

const actions = {
  again: join,
  anew: join,
  direct: joinDirectly,
  here: join,
  retry: () => own.ask(),
  without: () => own.goWithout(),
  invite: () => panels.open("invite"),
  other_room: askForRoom,
  reload: () => location.reload(),
};

// What the person does.

function entered(event) {
  event.preventDefault();
  const wanted = roomId || elements["room-id"].value.trim();
  const isBad = wanted === "" || wanted.length > LONGEST_ROOM_ID;
  message.showRoomProblem(isBad);
  if (!isBad) enter(wanted);
}

function enter(wanted) {
  take(wanted);
  // Who was told before that nothing can be opened is not told again.
  if (own.state === "refused") own.goWithout();
  join();
}

async function choose(kind, id) {
  if (kind !== "speaker") await own.choose(kind, id);
  else await speaker.choose(id).catch(() => notify("device_failed"));
  show();
}

function looked(name) {
  chat.look(name === "chat");
  statistics.look(name === "statistics");
  invite.look(name === "invite");
  verification.look(name === "verification");
  show();
}

offerLanguages(async (lang) => {
  const words = await otherWords(lang).catch(() => language);
  if (words === null) return;
  browser.set("language", codeOf(words.lang));
  setParameters({ lang: null });
  speak(words);
  show();
});

function speak(words) {
  language = words;
  view.speak(otherName === "" ? words : specialWords(words, words.named, { name: otherName }));
}

// The phone that this page is a part of says who the other person is, and of a call that rang what it needs.
window.addEventListener("message", ({ origin, source, data }) => {
  if (origin !== location.origin || source !== parent) return;
  if (typeof data?.otherName === "string") name(data.otherName);
  if (data?.servers) began.then(() => call.prepare(data.servers));
  if (data?.room) began.then(() => enterAhead(data.room));
  if (data?.signal) began.then(() => call.hear(data.signal));
  if (data?.hold) began.then(() => hold(data.hold));
});

function name(other) {
  otherName = other;
  if (language === null) return;
  speak(language);
  show();
}

function enterAhead(wanted) {
  begunAt = performance.now();
  call.join(wanted);
  take(wanted);
}

function hold(wanted) {
  held = wanted;
  setParameters({ hold: ["here", "there"].filter((side) => held[side]).join(",") || null });
  stage.hold(held.here || held.there);
  // Its buttons would be those of another call than the one that is seen.
  if (held.here) windows.close();
  call?.hold(held);
}

function share() {
  if (own.screen === null) own.share();
  else own.stopSharing();
}

const presses = {
  "new-room": () => enter(newRoom()),
  action: () => actions[scene.actions[0]](),
  "second-action": () => actions[scene.actions[1]](),
  mute: () => own.toggleMute(),
  camera: () => own.toggleCamera(),
  "preview-mute": () => own.toggleMute(),
  "preview-camera": () => own.toggleCamera(),
  flip: () => own.flip(),
  share,
  "share-item": share,
  fit: () => {
    stage.toggleFit();
    show();
  },
  "self-item": () => {
    stage.toggleSelf();
    show();
  },
  "full-screen": () => windows.fill(),
  window: () => windows.float(),
  hangup: () => call.hangUp(),
};

elements.form.addEventListener("submit", entered);
for (const [id, press] of Object.entries(presses)) elements[id].addEventListener("click", press);

// A finger has done something when it is lifted.
for (const kind of ["pointerup", "keydown"]) {
  document.addEventListener(kind, async () => {
    if (!stage.isSilent) return;
    await stage.letSound();
    show();
  });
}

document.addEventListener("fullscreenchange", () => panels.close());

guardPresses();
navigate(view, panels, {
  m: () => {
    if (own.hasMicrophone) own.toggleMute();
  },
  v: () => {
    if (own.hasCamera) own.toggleCamera();
  },
  s: () => {
    if (CONTROLLED.has(scene.state) && !isInKiosk) panels.toggle("statistics");
  },
});

window.addEventListener("pagehide", () => {
  call?.leave();
  own.close();
});
// A page that comes back from the browser's cache begins anew.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});

const began = firstWords().then((words) => {
  speak(words);
  setInterval(show, LOOK_EVERY);
  stage.hold(held.here || held.there);
  if (given.has("ahead")) getReady();
  else if (roomId !== "" && !given.has("prejoin")) join();
  else enterLobby();
  // Not before there is something to read: else a slow device would lay the page out twice.
  elements.stage.hidden = false;
});

// For start.js.
document.documentElement.dataset.started = "";
