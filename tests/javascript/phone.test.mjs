// The phone without its looks (callnet/static/phone/phone.js), with an account that answers when it is told to.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Account } from "../../clients/javascript/index.js";
import { begin, FakeSocket, settled } from "./wire.mjs";

globalThis.navigator ??= {};
globalThis.WebSocket = FakeSocket;
globalThis.document = { visibilityState: "visible" };
const kept = new Map();
globalThis.sessionStorage = {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, text) => kept.set(name, text),
  removeItem: (name) => kept.delete(name),
};
const { Phone } = await import("../../callnet/static/phone/phone.js");

/** A phone that is logged in, and the answers that its account still owes, the oldest first. */
function phone() {
  const owed = [];
  const mine = new Phone(() => {}, () => {});
  const ask = () => new Promise((resolve) => owed.push(resolve));
  mine.account = { links: ask, settings: ask };
  return { phone: mine, owed };
}

test("a change that is done is in the list, though that is being read once more", async () => {
  const { phone: mine, owed } = phone();
  const [first, second] = [mine.changeLinks(async () => "one"), mine.changeLinks(async () => "other")];
  await settled();
  owed[0](["one"]);
  await first;
  assert.deepEqual(mine.links, ["one"]);
  owed[1](["one", "other"]);
  await second;
  assert.deepEqual(mine.links, ["one", "other"]);
});

test("of two answers that overtake each other the later question counts", async () => {
  const { phone: mine, owed } = phone();
  const changes = [mine.changeLinks(async () => "one"), mine.changeLinks(async () => "other")];
  await settled();
  owed[1](["one", "other"]);
  await changes[1];
  owed[0](["one"]);
  await changes[0];
  assert.deepEqual(mine.links, ["one", "other"]);
});

test("an answer that comes when somebody else has logged in is not taken over", async () => {
  const { phone: mine, owed } = phone();
  const change = mine.changeLinks(async () => "one");
  await settled();
  mine.account = {};
  owed[0](["one"]);
  await change;
  assert.equal(mine.links, null);
});

test("of two changes on end only what the later one answers is shown", async () => {
  const { phone: mine, owed } = phone();
  const changes = ["anyone", "contacts"].map((who) => mine.setWhoMayCall(who));
  await settled();
  owed[0]({ who_may_call: "anyone" });
  await changes[0];
  assert.equal(mine.settings, null);
  owed[1]({ who_may_call: "contacts" });
  await changes[1];
  assert.deepEqual(mine.settings, { who_may_call: "contacts" });
});

const WELCOME = { type: "welcome", phone: "1", device_id: "tv", ping_every: 20, ice_servers: [], calls_of_phone: [] };
const ROOM = "a".repeat(32);
const CALLED = { type: "called", from_phone: "2", from_device_id: "tv", room_id: ROOM };
const CALL = { room_id: ROOM, peer_phone: "2", peer_device_id: "tv", page: "/", state: "active", direction: "incoming" };
const DISPLACED = 4409;

/** A phone in a call, whose device has been in use in another place for an hour; and each later state of its call. */
function displaced(test, protocol = "callnet.v2") {
  const clock = begin(test);
  kept.clear();
  test.mock.method(globalThis, "fetch", () => new Promise(() => {}));
  const states = [];
  const mine = new Phone(() => states.push(mine.device.call?.state), () => {});
  test.after(() => void mine.device.close());
  const credentials = { token: "t", expiresAt: Date.now() + 7 * 86_400_000, secret: "s" };
  mine._enter(new Account({ site: "https://calls.example.org", phone: "1", deviceId: "tv", kept: credentials }));
  FakeSocket.last.open(protocol);
  if (mine.device.isExtended) FakeSocket.last.hear(WELCOME);
  FakeSocket.last.hear(CALLED);
  mine.device.call.accept();
  assert.equal(kept.has("callnet.call"), true);
  FakeSocket.last.lose(DISPLACED);
  assert.deepEqual([mine.device.state, mine.device.call.state], ["elsewhere", "active"]);
  clock.pass(3_600_000);
  states.length = 0;
  return { phone: mine, states };
}

test("a device that comes back from elsewhere, where its call was ended, is in none at any time", (t) => {
  const { phone: mine, states } = displaced(t);
  assert.equal(kept.has("callnet.call"), false); // nor is it after a reload
  mine.comeBack();
  FakeSocket.last.open("callnet.v2");
  FakeSocket.last.hear(WELCOME);
  assert.deepEqual([mine.device.state, states.includes("active")], ["online", false]);
});

test("a device that comes back from elsewhere, where its call still goes on, is in it", (t) => {
  const { phone: mine } = displaced(t);
  mine.comeBack();
  FakeSocket.last.open("callnet.v2");
  FakeSocket.last.hear({ ...WELCOME, call: CALL });
  assert.equal(mine.device.call.state, "active");
});

test("a device that comes back on the base protocol, where nobody says whether its call goes on, is in it", (t) => {
  const { phone: mine } = displaced(t, "");
  mine.comeBack();
  assert.equal(mine.device.call.state, "active");
});
