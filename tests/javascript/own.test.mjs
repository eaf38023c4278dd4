// What the page of a call opens of cameras, microphones and screens, and what stays open (callnet/static/demo/own.js).
// Node.js has none: the browser's devices here answer when a test says so.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { settled } from "./wire.mjs";

/** The tracks that are open, the devices that there are, and the questions that the browser has yet to answer. */
let open = new Set();
let there = [];
let asked = [];
/** The kinds of each question there was, and the kind that the system refuses whatever the person allows. */
let questions = [];
let refused = "";
/** What the person allows the site, by name: a PermissionStatus each. */
let permissions = {};
const kept = new Map();

class Track extends EventTarget {
  constructor(kind, id) {
    super();
    Object.assign(this, { kind, id });
    open.add(this);
  }
  stop() {
    open.delete(this);
  }
  getSettings() {
    return { deviceId: this.id };
  }
}

class Stream {
  #tracks;
  constructor(tracks = []) {
    this.#tracks = [...tracks];
  }
  getTracks() {
    return [...this.#tracks];
  }
  getVideoTracks() {
    return this.#tracks.filter(({ kind }) => kind === "video");
  }
  getAudioTracks() {
    return this.#tracks.filter(({ kind }) => kind === "audio");
  }
  addTrack(track) {
    this.#tracks.push(track);
  }
  removeTrack(track) {
    this.#tracks = this.#tracks.filter((one) => one !== track);
  }
}

/** A question to the browser: the devices of these kinds that are wanted. */
function ask(wanted) {
  questions.push(Object.keys(wanted).join("+"));
  return new Promise((resolve, reject) => {
    asked.push(() => {
      if (refused in wanted) {
        reject(Object.assign(new Error(), { name: "NotAllowedError" }));
        return;
      }
      const found = Object.entries(wanted).map(([kind, about]) => {
        const id = about.deviceId?.exact ?? there.find(([one]) => one === kind)?.[1];
        return there.some(([one, other]) => one === kind && other === id) ? [kind, id] : null;
      });
      if (found.includes(null)) reject(Object.assign(new Error(), { name: "NotFoundError" }));
      else resolve(new Stream(found.map(([kind, id]) => new Track(kind, id))));
    });
  });
}

/** The person allows the site to use something. */
function allow(name) {
  permissions[name].state = "granted";
  permissions[name].dispatchEvent(new Event("change"));
}

const isAllowed = (kind) => permissions[kind === "video" ? "camera" : "microphone"].state === "granted";

const mediaDevices = {
  addEventListener() {},
  getSupportedConstraints: () => ({}),
  enumerateDevices: async () =>
    there.map(([kind, id]) => ({ kind: `${kind}input`, deviceId: isAllowed(kind) ? id : "", label: "" })),
  getUserMedia: ({ audio, video }) => ask({ ...(audio && { audio }), ...(video && { video }) }),
  getDisplayMedia: () => ask({ video: { deviceId: { exact: "screen" } } }),
};
const navigator = { mediaDevices, permissions: { query: async ({ name }) => permissions[name] } };
Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true });
globalThis.HTMLMediaElement = class {};
globalThis.MediaStream = Stream;
globalThis.localStorage = globalThis.sessionStorage = {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, value) => kept.set(name, value),
  removeItem: (name) => kept.delete(name),
};
const { Own } = await import("../../callnet/static/demo/own.js");

/** The browser answers everything that it was asked, in this order, and whatever is asked then. */
async function answer(order = [0]) {
  for (await settled(); asked.length > 0; await settled()) {
    const now = asked;
    asked = [];
    for (const number of order) now[number]?.();
    asked.push(...now.filter((_, number) => !order.includes(number)));
  }
}

/** The devices in use of a page, which are all that are open; with what it has told of devices that failed. */
async function opened(roomId = "") {
  const failures = [];
  const own = new Own(roomId, { changed() {}, replaced() {}, failed: (notice) => failures.push(notice) });
  own.ask();
  await answer();
  return { own, failures };
}

const idsOf = (tracks) => [...tracks].map(({ id }) => id).sort();

beforeEach(() => {
  open = new Set();
  asked = [];
  questions = [];
  refused = "";
  const granted = () => Object.assign(new EventTarget(), { state: "granted" });
  permissions = { camera: granted(), microphone: granted() };
  there = [["video", "front"], ["video", "back"], ["video", "third"], ["audio", "mic"], ["video", "screen"]];
  kept.clear();
});

test("of two changes of a device the last one counts, whichever the browser answers first, and nothing else stays open", async () => {
  for (const order of [[0], [1, 0]]) {
    const { own } = await opened();
    own.choose("camera", "back");
    own.choose("camera", "third");
    await answer(order);
    assert.deepEqual([idsOf(open), idsOf(own.stream.getTracks())], [["mic", "third"], ["mic", "third"]]);
    assert.equal(kept.get("callnet.camera"), '"third"');
    own.suppressNoise(false);
    own.suppressNoise(true);
    await answer(order);
    own.close();
    assert.deepEqual(idsOf(open), []);
  }
});

test("each of two presses takes the camera after the one before", async () => {
  const { own } = await opened();
  own.flip();
  own.flip();
  await answer();
  assert.deepEqual(idsOf(own.stream.getVideoTracks()), ["third"]);
});

test("of two screens that are shared the last one stays open, until it is stopped", async () => {
  const { own } = await opened();
  own.share();
  own.share();
  await answer([0, 1]);
  assert.deepEqual(idsOf(open), ["front", "mic", "screen"]);
  own.stopSharing();
  assert.deepEqual(idsOf(open), ["front", "mic"]);
});

test("what was chosen before it was closed is not opened any more", async () => {
  const { own } = await opened();
  own.choose("camera", "back");
  own.choose("camera", "third");
  await settled();
  own.close();
  await answer();
  assert.deepEqual(idsOf(open), []);
});

test("the previous device is said to be in use only if it is", async () => {
  const { own, failures } = await opened();
  own.choose("camera", "gone");
  await answer();
  assert.deepEqual([failures, own.inUse.camera], [["device_failed"], "front"]);
  there = there.filter(([kind]) => kind !== "audio");
  own.stream.getAudioTracks()[0].onended();
  await answer();
  assert.deepEqual([failures, own.problem], [["device_failed"], "no_microphone"]);
});

test("what is unplugged while another one is chosen is not replaced any more", async () => {
  const { own } = await opened();
  own.choose("camera", "third");
  await settled();
  own.stream.getVideoTracks()[0].onended();
  await answer();
  assert.equal(own.inUse.camera, "third");
});

test("a reload finds the switches as they were left in the room, and those of another room on", async () => {
  const { own } = await opened("here");
  own.toggleMute();
  own.toggleCamera();
  const switches = async (roomId) => {
    const { own } = await opened(roomId);
    return [own.isMuted, own.isCameraOff, ...own.stream.getTracks().map(({ enabled }) => enabled)];
  };
  assert.deepEqual(await switches("here"), [true, true, false, false]);
  assert.deepEqual(await switches("there"), [false, false, true, true]);
  own.toggleMute();
  assert.deepEqual(await switches("here"), [false, true, true, false]);
});

test("what was switched off before a room was entered is off after a reload there", async () => {
  const { own } = await opened();
  own.toggleMute();
  own.enter("first");
  own.enter("second");
  own.toggleCamera();
  const { own: first } = await opened("first");
  assert.deepEqual([first.isMuted, first.isCameraOff], [true, false]);
  const { own: second } = await opened("second");
  assert.deepEqual([second.isMuted, second.isCameraOff], [true, true]);
});

test("who allows camera and microphone one after the other goes on with the first, and then with both", async () => {
  for (const kinds of [["camera", "microphone"], ["microphone", "camera"]]) {
    const [first, second] = kinds;
    for (const kind of kinds) permissions[kind].state = "denied";
    const { own } = await opened();
    assert.deepEqual([own.state, own.problem], ["refused", "refused"]);
    own.toggleMute();
    allow(first);
    await answer();
    assert.deepEqual([own.state, own.problem, own.devices[second]], ["open", `${second}_refused`, []]);
    kept.set(`callnet.${second}`, JSON.stringify(second === "camera" ? "back" : "mic"));
    allow(second);
    await answer();
    assert.deepEqual([own.problem, own.inUse[second]], ["", second === "camera" ? "back" : "mic"]);
    assert.notDeepEqual(own.devices[second], []);
    assert.equal(own.stream.getAudioTracks()[0].enabled, false);
    own.close();
    assert.deepEqual(idsOf(open), []);
  }
});

test("what is allowed while the other one opens is opened, too", async () => {
  for (const kind of ["camera", "microphone"]) permissions[kind].state = "denied";
  const { own } = await opened();
  allow("camera");
  await settled();
  allow("microphone");
  await answer();
  assert.deepEqual([own.problem, idsOf(open)], ["", ["front", "mic"]]);
});

test("what is allowed once a call is over, or where a person goes without, is not opened", async () => {
  permissions.microphone.state = "denied";
  const { own } = await opened();
  own.close();
  allow("microphone");
  await answer();
  permissions.camera.state = permissions.microphone.state = "denied";
  const { own: other } = await opened();
  other.goWithout();
  allow("camera");
  await answer();
  assert.deepEqual([idsOf(open), other.problem], [[], "nothing"]);
});

test("a camera that the system refuses is asked for by itself once, and not when a held call goes on", async () => {
  refused = "video";
  const { own } = await opened();
  assert.deepEqual([own.problem, questions], ["camera_refused", ["audio+video", "audio", "video"]]);
  own.pause();
  own.resume();
  await answer();
  assert.deepEqual([idsOf(open), questions.slice(3)], [["mic"], ["audio"]]);
});
