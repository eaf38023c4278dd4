// The settings of this device (callnet/static/phone/own_device.js), with a browser's memory.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { forget, forgetEarlier, ownSettings, remember } from "../../callnet/static/phone/own_device.js";

const kept = new Map();
globalThis.localStorage = {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, text) => kept.set(name, text),
  removeItem: (name) => kept.delete(name),
};
const EARLIER = "callnet.answers.1.tv";
const OFF = { kiosk: false, auto_answers: false };

/** An account, and what it was told. */
function account(failure = null) {
  const told = [];
  const configureDevice = async (...what) => {
    if (failure !== null) throw failure;
    told.push(what);
  };
  return { phone: "1", deviceId: "tv", told, configureDevice };
}

/** The devices of the phone. */
function devices(settings) {
  return [{ device_id: "desk", this: false, kiosk: false, auto_answers: true }, { device_id: "tv", this: true, ...settings }];
}

beforeEach(() => kept.clear());

test("a device is what the account says, and before that what it was", async () => {
  const own = account();
  assert.deepEqual(ownSettings(own, null), OFF);
  await remember(own, devices({ kiosk: true, auto_answers: false }));
  assert.deepEqual(ownSettings(own, null), { kiosk: true, auto_answers: false });
  assert.equal(ownSettings(own, devices(OFF)).kiosk, false);
  forget(own);
  assert.deepEqual(ownSettings(own, null), OFF);
  assert.deepEqual(own.told, []);
});

test("what an earlier release kept in the browser is told to the account once", async () => {
  kept.set(EARLIER, "true");
  await assert.rejects(remember(account(new Error("away")), devices(OFF)));
  assert.ok(kept.has(EARLIER));
  const own = account();
  await remember(own, devices(OFF));
  assert.deepEqual(own.told, [["tv", { auto_answers: true }]]);
  await remember(own, devices(OFF));
  assert.equal(own.told.length, 1);
});

test("two answers that come at a time tell it once", async () => {
  kept.set(EARLIER, "true");
  const own = account();
  const both = Promise.all([remember(own, devices(OFF)), remember(own, devices(OFF))]);
  assert.ok(kept.has(EARLIER)); // until the account knows
  await both;
  assert.deepEqual([own.told.length, kept.has(EARLIER)], [1, false]);
});

test("what an earlier release kept is gone once somebody sets it, and with the device", async () => {
  for (const leave of [forget, forgetEarlier]) {
    kept.set(EARLIER, "true");
    const own = account();
    leave(own);
    await remember(own, devices(OFF));
    assert.deepEqual(own.told, []);
  }
});

test("a kiosk that the account does not know is none", async () => {
  const own = account();
  await remember(own, devices({ kiosk: true, auto_answers: true }));
  const others = devices(OFF).slice(0, 1);
  assert.deepEqual(ownSettings(own, others), OFF);
  await remember(own, others);
  assert.deepEqual(ownSettings(own, null), OFF);
});

test("an account that says so already is not told", async () => {
  kept.set(EARLIER, "true");
  const own = account();
  await remember(own, devices({ kiosk: false, auto_answers: true }));
  assert.deepEqual(own.told, []);
  assert.ok(!kept.has(EARLIER));
});
