// The countdown of an automatic answer (callnet/static/phone/auto_answer.js), in a browser that keeps nothing.

import assert from "node:assert/strict";
import { test } from "node:test";

const refuse = () => {
  throw new DOMException("", "QuotaExceededError");
};
globalThis.document = { visibilityState: "visible" };
globalThis.sessionStorage = { getItem: () => null, setItem: refuse, removeItem: refuse };
const { AutoAnswer } = await import("../../callnet/static/phone/auto_answer.js");

test("a countdown that was stopped does not begin again, and that of another call does", () => {
  const auto = new AutoAnswer(() => {});
  const ringing = (roomId) => ({
    state: "online",
    call: { isIncoming: true, state: "ringing", autoAnswer: true, roomId },
  });
  auto.follow(ringing("first"), true);
  auto.stop();
  auto.follow(ringing("first"), true);
  assert.equal(auto.left, null);
  auto.follow(ringing("second"), true);
  assert.equal(auto.left, 10);
  auto.follow(null, true);
});
