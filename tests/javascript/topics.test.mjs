// What the phone reads of its account, and reads again (callnet/static/phone/topics.js), with readers that fail when told.

import assert from "node:assert/strict";
import { test } from "node:test";

import { AccountError, ERROR } from "../../callnet/static/client/account.js";
import { Topics } from "../../callnet/static/phone/topics.js";

/** Topics whose readers have these failures ahead of them, and what was read. */
function topics(failures) {
  const read = [];
  const reader = (topic) => async () => {
    read.push(topic);
    const failure = failures[topic]?.shift();
    if (failure !== undefined) throw failure;
  };
  return { read, topics: new Topics({ contacts: reader("contacts"), links: reader("links") }) };
}

const settled = () => new Promise((resolve) => setTimeout(resolve));

test("what fails for now is read again until it succeeds, and nothing else", async () => {
  const away = () => new AccountError(ERROR.UNREACHABLE, "away");
  const { read, topics: mine } = topics({ contacts: [away(), away()], links: [new AccountError(ERROR.DEVICE, "not yours")] });
  mine.readAll();
  for (let round = 0; round < 4; round += 1) {
    await settled();
    mine.readAgain();
  }
  assert.deepEqual(read, ["contacts", "links", "contacts", "contacts"]);
});

test("what was asked for too often is not read before the server allows it", async () => {
  const { read, topics: mine } = topics({ contacts: [new AccountError(ERROR.RATE_LIMITED, "often", 60, 429)] });
  mine.read(["contacts"]);
  await settled();
  mine.readAgain();
  assert.deepEqual(read, ["contacts"]);
});

test("who has added the phone is read with its contacts, and what is not known is not read", () => {
  const { read, topics: mine } = topics({});
  mine.read(["added", "contacts", "weather"]);
  assert.deepEqual(read, ["contacts"]);
});
