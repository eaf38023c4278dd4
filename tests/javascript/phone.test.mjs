// The phone without its looks (callnet/static/phone/phone.js), with an account that answers when it is told to.

import assert from "node:assert/strict";
import { test } from "node:test";

import { settled } from "./wire.mjs";

globalThis.navigator ??= {};
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
