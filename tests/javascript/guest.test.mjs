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
const PARTED = { type: "pong", id: "hangup" };

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
  assert.deepEqual([call.reason, call.isOwnEnd, FakeSocket.last.said.slice(1)], ["cancelled", true, [HANGUP]]);
  FakeSocket.last.hear({ type: "pong" });
  assert.ok(!FakeSocket.last.isClosed);
  FakeSocket.last.hear(PARTED);
  assert.ok(FakeSocket.last.isClosed);
  const active = (await welcomed(t)).call;
  FakeSocket.last.hear(SUCCESS);
  active.hangUp();
  active.hangUp();
  assert.deepEqual([active.reason, FakeSocket.last.said], ["hangup", [{ type: "ring" }, HANGUP]]);
  active.close();
  const entering = await ringing(t);
  entering.call.hangUp();
  assert.deepEqual(entering.told, ["ringing", "over"]);
});

test("a hang-up without a connection is said with the next one, within half a minute", async (t) => {
  for (const isActive of [false, true]) {
    const { call, told, clock } = await welcomed(t);
    if (isActive) FakeSocket.last.hear(SUCCESS);
    FakeSocket.last.lose(1006);
    call.hangUp();
    assert.deepEqual([call.state, call.isOwnEnd, told.length], ["over", true, isActive ? 4 : 3]);
    clock.pass(1_000);
    FakeSocket.last.open("callnet.v2");
    FakeSocket.last.hear({ ...IDLE, state: isActive ? "active" : "ringing" });
    assert.deepEqual(FakeSocket.last.said, [HANGUP]);
    FakeSocket.last.hear(PARTED);
    assert.ok(FakeSocket.last.isClosed);
    assert.equal(told.length, isActive ? 4 : 3);
  }
  const { call, told, clock } = await welcomed(t);
  FakeSocket.last.lose(1006);
  call.hangUp();
  clock.pass(31_000);
  FakeSocket.last.open("callnet.v2");
  FakeSocket.last.hear({ ...IDLE, state: "ringing" });
  assert.deepEqual([FakeSocket.last.said, told], [[], ["ringing", "ringing", "over"]]);
});

test("a hang-up that a dead path has swallowed is said again", async (t) => {
  const { call, clock } = await welcomed(t);
  FakeSocket.last.hear(SUCCESS);
  call.hangUp();
  const { length } = FakeSocket.all;
  clock.pass(10_000);
  assert.equal(FakeSocket.all.length, length + 1);
  FakeSocket.last.open("callnet.v2");
  FakeSocket.last.hear({ ...IDLE, state: "active" });
  assert.deepEqual(FakeSocket.last.said, [HANGUP]);
  FakeSocket.last.hear(PARTED);
  assert.ok(FakeSocket.last.isClosed);
});

test("a call that was closed is taken up again", async (t) => {
  const before = (await welcomed(t)).call;
  FakeSocket.last.hear(SUCCESS);
  before.close();
  const call = new GuestCall({ site: SITE, secret: "s", name: "Eve", WebSocket: FakeSocket });
  call.resume(before);
  assert.deepEqual([call.state, call.page, call.roomId], ["resuming", SUCCESS.page, ROOM]);
  assert.equal(FakeSocket.last.url.href, "wss://calls.example.org:8080/socket.io/guest?token=t%20k");
  FakeSocket.last.open("callnet.v2");
  FakeSocket.last.hear({ ...IDLE, state: "active" });
  FakeSocket.last.hear(SUCCESS);
  assert.deepEqual([call.state, call.answeredAt, FakeSocket.last.said], ["active", before.answeredAt, []]);
  call.hangUp();
  assert.deepEqual([call.reason, FakeSocket.last.said], ["hangup", [HANGUP]]);
  call.close();
});

/** A call that is taken up again, and has told no state yet but "resuming". */
function resumed(test) {
  const clock = begin(test);
  const call = new GuestCall({ site: SITE, secret: "s", name: "Eve", WebSocket: FakeSocket });
  const told = [];
  call.addEventListener("state", ({ detail }) => told.push(detail));
  call.resume({ token: "t", roomId: ROOM, page: SUCCESS.page, answeredAt: Date.now() });
  return { call, told, clock };
}

test("a call that is taken up too late is over, and never active", async (t) => {
  const { call, told, clock } = resumed(t);
  FakeSocket.last.open("callnet.v2");
  FakeSocket.last.hear(IDLE);
  clock.pass(3_000, () => FakeSocket.last.hear({ type: "pong" }));
  assert.deepEqual([call.reason, call.isForgotten, told], ["forgotten", true, ["resuming", "over"]]);
  const known = resumed(t);
  FakeSocket.last.open("callnet.v2");
  FakeSocket.last.hear(IDLE);
  FakeSocket.last.hear(SUCCESS);
  assert.deepEqual(known.told, ["resuming", "active"]);
  known.call.close();
  const away = resumed(t);
  away.clock.pass(31_000);
  assert.deepEqual([away.call.reason, away.told.at(-1)], ["unreachable", "over"]);
});

test("who is in it in another place leaves it to that one", async (t) => {
  const { call, clock } = await welcomed(t);
  FakeSocket.last.hear(SUCCESS);
  FakeSocket.last.lose(4409);
  assert.deepEqual([call.state, call.reason, call.isOwnEnd], ["over", "elsewhere", false]);
  clock.pass(60_000);
  assert.equal(FakeSocket.all.length, 1);
});

test("the end that its page has seen is said to the server", async (t) => {
  const { call } = await welcomed(t);
  call.noteEnd();
  assert.equal(call.state, "ringing");
  FakeSocket.last.hear(SUCCESS);
  call.noteEnd();
  assert.deepEqual([call.reason, call.isOwnEnd, FakeSocket.last.said.slice(1)], ["over", false, [HANGUP]]);
  call.close();
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
  assert.deepEqual([call.state, told], ["active", ["ringing", "ringing", "ringing", "active"]]);
});

test("a guest is told while it has no connection, and after half a minute of that it rings no more", async (t) => {
  for (const hasRung of [false, true]) {
    const { call, told, clock } = await ringing(t);
    FakeSocket.last.open("callnet.v2");
    if (hasRung) FakeSocket.last.hear(IDLE);
    clock.pass(20_000, () => FakeSocket.last.hear({ type: hasRung ? "pong" : "no_welcome" }));
    assert.equal(call.isLost, false);
    FakeSocket.last.lose(1006);
    clock.pass(5_000);
    assert.deepEqual([call.isLost, call.state, told], [true, "ringing", ["ringing", "ringing"]]);
    clock.pass(6_000);
    assert.equal(call.state, hasRung ? "ringing" : "over");
    clock.pass(30_000);
    assert.deepEqual([call.reason, told], ["unreachable", ["ringing", "ringing", "over"]]);
  }
});

test("a call that is welcomed again, or was answered, does not end so", async (t) => {
  for (const isActive of [false, true]) {
    const { call, clock } = await welcomed(t);
    if (isActive) FakeSocket.last.hear(SUCCESS);
    FakeSocket.last.lose(1006);
    clock.pass(isActive ? 40_000 : 1_000);
    FakeSocket.last.open("callnet.v2");
    FakeSocket.last.hear({ ...IDLE, state: call.state });
    assert.equal(call.isLost, false);
    clock.pass(40_000, () => FakeSocket.last.hear({ type: "pong" }));
    assert.equal(call.state, isActive ? "active" : "ringing");
  }
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
    const expected = isActive ? ["", ["ringing", "active"]] : ["forgotten", ["ringing"]];
    const again = told.splice(isActive ? 2 : 1);
    assert.deepEqual([call.isForgotten, call.reason, told], [true, ...expected]);
    assert.deepEqual(again, isActive ? ["active", "active", "active"] : ["ringing", "ringing", "over"]);
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
