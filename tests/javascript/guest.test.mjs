// A call by a link that rings (clients/javascript/guest.js), over sockets that a test speaks on.

import assert from "node:assert/strict";
import { mock, test } from "node:test";

import { GuestCall, isGuest } from "../../clients/javascript/index.js";
import { begin, FakeSocket, settled } from "./wire.mjs";

const SITE = "https://calls.example.org:8080";
const ROOM = "a".repeat(32);
const IDLE = { type: "welcome", ping_every: 20, state: "idle" };
const SUCCESS = { type: "call_success", room_id: ROOM, page: `/page?room_id=${ROOM}` };
const HANGUP = { type: "calling_hangup" };

/** A call that has begun, with a service that gives this answer, or none; and the states that it has told. */
async function ringing(test, answer = { errorCode: 0, guest_token: "t k", expires_in: 86_400 }, headers = {}, status = 200) {
  const clock = begin(test);
  const asked = [];
  mock.method(globalThis, "fetch", async (url, { body }) => {
    asked.push([url, JSON.parse(body)]);
    if (answer === "lost") throw new Error("lost");
    return { status, headers: new Headers(headers), json: async () => answer };
  });
  const call = new GuestCall({ site: SITE, secret: "s", name: "Eve", WebSocket: FakeSocket });
  const told = [];
  call.addEventListener("state", ({ detail }) => told.push(detail));
  call.ring();
  await settled();
  return { call, told, clock, asked };
}

/** The same, on a connection that was welcomed. */
async function welcomed(test) {
  const all = await ringing(test);
  FakeSocket.last.open("callnet.v2");
  FakeSocket.last.hear(IDLE);
  return all;
}

test("a guest enters, rings once it is welcomed, and is in the room that it is told", async (t) => {
  const { call, told, clock, asked } = await welcomed(t);
  assert.deepEqual(asked, [[`${SITE}/links/enter`, { secret: "s", name: "Eve" }]]);
  assert.equal(FakeSocket.last.url.href, "wss://calls.example.org:8080/socket.io/guest?token=t%20k");
  assert.deepEqual(FakeSocket.last.said, [{ type: "ring" }]);
  clock.pass(3_000, () => FakeSocket.last.hear({ type: "pong" }));
  FakeSocket.last.hear(SUCCESS);
  assert.deepEqual([call.state, call.roomId, call.page], ["active", ROOM, SUCCESS.page]);
  clock.pass(2_000, () => FakeSocket.last.hear({ type: "pong" }));
  assert.equal(call.duration, 2_000);
  FakeSocket.last.hear({ type: "calling_be_hangup", room_id: ROOM, reason: "hangup" });
  assert.deepEqual([call.reason, call.isOwnEnd, told], ["hangup", false, ["ringing", "active", "over"]]);
  assert.ok(FakeSocket.last.isClosed);
});

test("what keeps it from ringing is told", async (t) => {
  const late = { "Retry-After": "7" };
  for (const [answer, reason, retryAfter, status] of [
    [{ errorCode: 6, message: "" }, "rate_limited", 7, 429],
    [{ errorCode: 2, message: "" }, "invalid", 7, 200],
    [{ errorCode: 2, message: "" }, "unreachable", 7, 404],
    [{ errorCode: 1, message: "" }, "unreachable", 7],
    ["lost", "unreachable", null],
  ]) {
    const { call, told } = await ringing(t, answer, late, status);
    assert.deepEqual([call.reason, call.retryAfter, told], [reason, retryAfter, ["ringing", "over"]]);
    assert.equal(FakeSocket.all.length, 0);
  }
});

test("the outcome of a ring is told", async (t) => {
  for (const frame of [
    { type: "call_refuse", reason: "refused" },
    { type: "call_failed", reason: "no_answer" },
  ]) {
    const { call } = await welcomed(t);
    FakeSocket.last.hear(frame);
    assert.deepEqual([call.state, call.reason], ["over", frame.reason]);
  }
});

test("a guest hangs up, in whatever state", async (t) => {
  const { call } = await welcomed(t);
  call.hangUp();
  assert.deepEqual([call.reason, call.isOwnEnd, FakeSocket.last.said.at(-1)], ["cancelled", true, HANGUP]);
  const active = (await welcomed(t)).call;
  FakeSocket.last.hear(SUCCESS);
  active.hangUp();
  active.hangUp();
  assert.deepEqual([active.reason, FakeSocket.last.said], ["hangup", [{ type: "ring" }, HANGUP]]);
  const entering = await ringing(t);
  entering.call.hangUp();
  assert.deepEqual(entering.told, ["ringing", "over"]);
});

test("the end that its page has seen is said to the server", async (t) => {
  const { call } = await welcomed(t);
  call.noteEnd();
  assert.equal(call.state, "ringing");
  FakeSocket.last.hear(SUCCESS);
  call.noteEnd();
  assert.deepEqual([call.reason, call.isOwnEnd, FakeSocket.last.said.at(-1)], ["over", false, HANGUP]);
});

test("a lost connection comes back, and the call with it", async (t) => {
  const { call, told, clock } = await welcomed(t);
  FakeSocket.last.lose(1006);
  clock.pass(1_000);
  FakeSocket.last.open("callnet.v2");
  FakeSocket.last.hear({ ...IDLE, state: "ringing" });
  assert.deepEqual(FakeSocket.last.said, []);
  FakeSocket.last.hear(SUCCESS);
  FakeSocket.last.hear(SUCCESS);
  assert.deepEqual([call.state, told], ["active", ["ringing", "active"]]);
});

test("a call that the server has forgotten is over, unless its page may go on", async (t) => {
  for (const isActive of [false, true]) {
    const { call, told, clock } = await welcomed(t);
    if (isActive) FakeSocket.last.hear(SUCCESS);
    FakeSocket.last.lose(1006);
    clock.pass(1_000);
    FakeSocket.last.open("callnet.v2");
    FakeSocket.last.hear(IDLE);
    clock.pass(3_000, () => FakeSocket.last.hear({ type: "pong" }));
    const expected = isActive ? ["", ["ringing", "active", "active"]] : ["forgotten", ["ringing", "over"]];
    assert.deepEqual([call.isForgotten, call.reason, told], [true, ...expected]);
  }
});

test("a token that is refused ends it", async (t) => {
  const { call } = await ringing(t);
  FakeSocket.last.open("callnet.v2");
  FakeSocket.last.lose(4401);
  assert.deepEqual([call.state, call.reason], ["over", "failed"]);
});

test("who waits is told, and when it is closed", async (t) => {
  const { call } = await welcomed(t);
  const active = call.until("active");
  const over = call.until("over");
  FakeSocket.last.hear(SUCCESS);
  assert.equal(await active, "active");
  call.close();
  assert.equal(await over, "active");
  call.ring();
  assert.equal(FakeSocket.all.length, 1);
});

test("a guest is known by its phone", () => {
  assert.deepEqual(["guest:0a", "13651884967", ""].map(isGuest), [true, false, false]);
});
