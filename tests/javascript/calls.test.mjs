// What frames mean for the call that a device is in (clients/javascript/calls.js).

import assert from "node:assert/strict";
import { test } from "node:test";

import { Calls } from "../../clients/javascript/calls.js";
import { begin } from "./wire.mjs";

const ROOM = "a".repeat(32);
const OTHER_ROOM = "b".repeat(32);
const PAGE = `/static/demo/direct_chat.html?room_id=${ROOM}`;
/** Milliseconds after which a call that the server did not mention is not waited for any more. */
const DOUBT = 1_000;

const CALLED = { type: "called", from_phone: "2", from_device_id: "tv", room_id: ROOM, expires_in: 45 };
const SUCCESS = { type: "call_success", to_phone: "2", to_device_id: "tv", room_id: ROOM, page: PAGE };
const REFUSE = { type: "call_refuse", to_phone: "2", to_device_id: "tv" };
const FAILED = { type: "call_failed", to_phone: "2", to_device_id: "tv", reason: "busy" };
const HANGUP = { type: "calling_hangup", notified_phone: "2", notified_device_id: "tv", room_id: ROOM };
const BE_HANGUP = { type: "calling_be_hangup", fire_phone: "2", fire_device_id: "tv", room_id: ROOM };
const ACCEPT = { type: "called_success", from_phone: "2", from_device_id: "tv", room_id: ROOM };
const VIEW = { room_id: ROOM, peer_phone: "2", peer_device_id: "tv", page: PAGE, started_at: 1 };
const PEER_STATE = { type: "peer_state", room_id: ROOM };

/** Of somebody else, to a device that is in a call. */
const SECOND = { ...CALLED, from_phone: "3", room_id: OTHER_ROOM };
const SECOND_BE_HANGUP = { ...BE_HANGUP, fire_phone: "3", room_id: OTHER_ROOM };
const SECOND_ACCEPT = { ...ACCEPT, from_phone: "3", room_id: OTHER_ROOM };

/** A device's calls, what they have said, and how each call has changed, in words. */
function device(test, canWait = false) {
  const said = [];
  const changes = [];
  const calls = new Calls(
    (frame) => said.push(frame) > 0,
    ({ state, reason, isOwnEnd, isForgotten }) =>
      changes.push([state, reason, isOwnEnd ? "own" : "", isForgotten ? "forgotten" : ""].filter(Boolean).join(" ")),
    (work) => work(),
    canWait,
  );
  return { calls, said, changes, clock: begin(test) };
}

test("a call goes from calling over ringing to active and over", (t) => {
  const { calls, said, changes } = device(t);
  calls.place("2", "*");
  calls.hear({ type: "call_ringing", to_phone: "2", to_device_id: "*", room_id: ROOM, id: "call-1" });
  calls.hear({ ...SUCCESS, id: "call-1" });
  calls.hear({ ...BE_HANGUP, reason: "connection_lost" });
  assert.deepEqual(changes, ["calling", "ringing", "active", "over connection_lost"]);
  assert.deepEqual(said, [{ type: "call", to_phone: "2", to_device_id: "*", id: "call-1" }]);
  assert.equal(calls.present, null);
});

test("only the answer to this very call counts", (t) => {
  const { calls, changes } = device(t);
  calls.place("2", "tv");
  calls.place("2", "tv");
  calls.hear({ ...FAILED, id: "call-1" });
  calls.hear({ ...FAILED, to_phone: "3" });
  assert.deepEqual(changes, ["calling", "over cancelled own", "calling"]);
  calls.hear({ ...FAILED, id: "call-2" });
  assert.equal(changes.at(-1), "over busy");
});

test("without ids the answer is known by the address, which a server leaves out that cannot accept it", (t) => {
  for (const answer of [REFUSE, { ...REFUSE, reason: "refused" }]) {
    const { calls, changes } = device(t);
    calls.place("2", "*");
    calls.hear(answer);
    assert.deepEqual(changes, ["calling", "over refused"]);
  }
  const { calls, changes } = device(t);
  calls.place("x", "tv");
  calls.hear({ ...FAILED, to_phone: "", to_device_id: "", reason: "invalid" });
  assert.deepEqual(changes, ["calling", "over invalid"]);
});

test("an answer to an earlier call is not taken for that to a new one, though it has the same address", (t) => {
  for (const isExtended of [true, false]) {
    const { calls, changes } = device(t);
    calls.connected(isExtended);
    calls.place("2", "tv");
    calls.hear({ ...REFUSE, room_id: ROOM, reason: "refused", ...(isExtended && { id: "call-1" }) });
    calls.connected(isExtended);
    calls.place("2", "*");
    calls.hear({ ...REFUSE, room_id: ROOM, reason: "refused" });
    // What it had not heard of before has no id either, and of a failure the server does not say the room.
    if (isExtended) {
      calls.hear({ ...REFUSE, room_id: OTHER_ROOM, reason: "refused" });
      calls.hear(FAILED);
    }
    assert.deepEqual(changes, ["calling", "over refused", "calling"]);
    calls.hear({ ...FAILED, ...(isExtended && { id: "call-2" }) });
    assert.equal(changes.at(-1), "over busy");
  }
});

test("a call that was placed on an earlier connection is answered without its id", (t) => {
  const { calls, changes } = device(t);
  calls.connected(true);
  calls.place("2", "tv");
  calls.connected(true);
  calls.hear(FAILED);
  assert.deepEqual(changes, ["calling", "over busy"]);
});

test("who is rung accepts, and says so again to a server that has not heard it", (t) => {
  const { calls, said, changes } = device(t);
  calls.hear({ ...CALLED, from_name: "Bob", auto_answer: true, page: PAGE });
  const { name, autoAnswer, page, peer } = calls.present;
  assert.deepEqual([name, autoAnswer, page, peer], ["Bob", true, PAGE, { phone: "2", deviceId: "tv" }]);
  calls.present.accept();
  calls.present.accept();
  calls.hear(CALLED);
  assert.deepEqual(changes, ["ringing", "active"]);
  assert.deepEqual(said, [ACCEPT, ACCEPT]);
});

test("who answers by itself says so", (t) => {
  const { calls, said } = device(t);
  calls.hear(CALLED);
  calls.present.accept({ byItself: true });
  assert.deepEqual(said, [{ ...ACCEPT, auto_answer: true }]);
});

test("who is rung refuses, and says so again to a server that has not heard it", (t) => {
  const { calls, said, changes } = device(t);
  calls.hear(CALLED);
  calls.present.refuse();
  calls.hear(CALLED);
  assert.deepEqual(changes, ["ringing", "over refused own"]);
  assert.deepEqual(said, [{ ...ACCEPT, type: "called_refuse" }, { ...ACCEPT, type: "called_refuse" }]);
});

test("who calls back the phone that rings it accepts, and of other calls that cross the server decides", (t) => {
  const { calls, said, changes } = device(t);
  calls.hear(CALLED);
  assert.equal(calls.place("2", "*"), calls.present);
  assert.deepEqual(said, [ACCEPT]);
  calls.place("3", "tv");
  calls.hear({ ...CALLED, room_id: OTHER_ROOM });
  assert.deepEqual(changes, ["ringing", "active", "over hangup own", "calling"]);
});

test("a device that is called while it calls rings if its request changed nothing", (t) => {
  const failed = { ...FAILED, to_phone: "3" };
  const pulled = { type: "error", id: "call-1" };
  const ring = { ...CALLED, from_phone: "4" };
  const ringing = { type: "call_ringing", to_phone: "3", to_device_id: "tv", room_id: OTHER_ROOM };
  for (const [begins, frames, rings] of [
    [(calls) => calls.place("3", "tv"), [{ ...failed, reason: "rate_limited" }], true],
    [(calls) => calls.place("3", "tv"), [{ ...failed, reason: "unavailable" }], true],
    [(calls) => calls.pull(OTHER_ROOM), [pulled], true],
    [(calls) => calls.place("3", "tv"), [failed], false],
    [(calls) => calls.place("3", "tv"), [BE_HANGUP, { ...failed, reason: "rate_limited" }], false],
    [(calls) => calls.place("3", "tv"), [ringing, { ...failed, reason: "unavailable" }], false],
  ]) {
    const { calls } = device(t);
    begins(calls);
    calls.hear(ring);
    assert.equal(calls.present.state, "calling");
    frames.forEach((frame) => calls.hear(frame));
    assert.equal(calls.present?.roomId, rings ? ROOM : undefined);
    calls.left();
  }
});

test("a ring ends when the server says so, and by itself if it does not", (t) => {
  const { calls, changes, clock } = device(t);
  calls.hear(CALLED);
  calls.hear({ ...BE_HANGUP, reason: "answered_elsewhere" });
  calls.hear({ ...CALLED, room_id: OTHER_ROOM });
  clock.pass(47_900);
  assert.deepEqual(changes, ["ringing", "over answered_elsewhere", "ringing"]);
  clock.pass(200);
  assert.equal(changes.at(-1), "over no_answer");
});

test("who is rung by another call is not rung by the one before any more", (t) => {
  const { calls, changes } = device(t);
  calls.hear(CALLED);
  calls.hear({ ...CALLED, room_id: OTHER_ROOM });
  assert.deepEqual([changes, calls.present.roomId], [["ringing", "over over", "ringing"], OTHER_ROOM]);
});

test("what the device has ended it ends again whenever the server speaks of it as if it went on", (t) => {
  const { calls, said, changes } = device(t);
  calls.hear(CALLED);
  calls.present.accept();
  calls.present.hangUp();
  calls.welcomed({ ...VIEW, state: "active", direction: "incoming" });
  assert.equal(changes.at(-1), "over hangup own");
  assert.deepEqual(said.slice(1), [HANGUP, HANGUP]);
});

test("so it does with a call that it took back before it knew its room", (t) => {
  const { calls, said, changes } = device(t);
  calls.place("2", "tv");
  calls.present.hangUp();
  calls.welcomed({ ...VIEW, state: "ringing", direction: "outgoing" });
  calls.hear(SUCCESS);
  assert.deepEqual(changes, ["calling", "over cancelled own"]);
  assert.deepEqual(said.slice(1), [{ ...HANGUP, room_id: "" }, HANGUP, HANGUP]);
});

test("a program that begins anew takes up the call that the server names", (t) => {
  for (const direction of ["incoming", "outgoing"]) {
    const { calls, changes } = device(t);
    calls.welcomed({ ...VIEW, state: "active", direction, answered_at: 5 });
    assert.deepEqual([changes, calls.present.roomId, calls.present.answeredAt], [["active"], ROOM, 5_000]);
  }
  const { calls, changes } = device(t);
  calls.welcomed({ ...VIEW, state: "ringing", direction: "outgoing" });
  calls.hear(SUCCESS);
  assert.deepEqual(changes, ["ringing", "active"]);
});

test("of a call that rang several devices the room may be another one with the answer", (t) => {
  const { calls, changes } = device(t);
  calls.place("2", "*");
  calls.hear({ type: "call_ringing", to_phone: "2", to_device_id: "*", room_id: ROOM });
  const call = calls.present;
  calls.welcomed({ ...VIEW, room_id: OTHER_ROOM, state: "active", direction: "outgoing", answered_at: 5 });
  assert.equal(calls.present, call);
  assert.deepEqual([call.roomId, changes.at(-1)], [OTHER_ROOM, "active"]);
});

test("it takes up a call that it remembers itself, and one whose answer comes unasked", (t) => {
  const first = device(t);
  const peer = { phone: "2", deviceId: "tv" };
  first.calls.resume({ direction: "incoming", peer, roomId: ROOM, page: PAGE, name: "", answeredAt: 5_000 });
  first.calls.welcomed({ ...VIEW, state: "active", direction: "incoming" });
  assert.deepEqual([new Set(first.changes), first.calls.present.answeredAt], [new Set(["active"]), 5_000]);
  const second = device(t);
  second.calls.hear(SUCCESS);
  assert.deepEqual([second.changes, second.calls.present.roomId], [["active"], ROOM]);
});

test("a call that the server has forgotten is over, if it only rang", (t) => {
  for (const start of [(calls) => calls.place("2", "tv"), (calls) => calls.hear(CALLED)]) {
    const { calls, changes, clock } = device(t);
    start(calls);
    calls.welcomed(undefined);
    clock.pass(DOUBT);
    assert.equal(changes.at(-1), "over forgotten");
  }
});

test("of a call that it did not mention the server may still say the end", (t) => {
  const { calls, changes, clock } = device(t);
  calls.place("2", "tv");
  calls.welcomed(undefined);
  calls.hear({ ...REFUSE, reason: "refused" });
  clock.pass(DOUBT);
  assert.deepEqual(changes, ["calling", "over refused"]);
});

test("an active call that the server has forgotten goes on until somebody ends it", (t) => {
  const { calls, changes, clock } = device(t);
  calls.hear(CALLED);
  calls.present.accept();
  calls.welcomed(undefined);
  clock.pass(DOUBT);
  calls.present.hangUp();
  assert.deepEqual(changes.slice(2), ["active forgotten", "over hangup own forgotten"]);
});

test("what becomes of the other side is told, and what is about another call is not taken", (t) => {
  const { calls, changes } = device(t);
  calls.hear(CALLED);
  calls.present.accept();
  calls.hear({ ...PEER_STATE, state: "reconnecting" });
  assert.equal(calls.present.otherSide, "reconnecting");
  calls.hear({ ...PEER_STATE, state: "moved", device_id: "phone" });
  assert.deepEqual([calls.present.otherSide, calls.present.peer.deviceId], ["here", "phone"]);
  calls.hear({ ...BE_HANGUP, room_id: OTHER_ROOM });
  calls.hear({ ...PEER_STATE, room_id: OTHER_ROOM, state: "reconnecting" });
  assert.deepEqual([calls.present.otherSide, changes.at(-1)], ["here", "active"]);
});

test("who pulls a call leaves its own first, and has it when the server says so", (t) => {
  const { calls, said, changes } = device(t);
  calls.hear({ ...CALLED, room_id: OTHER_ROOM });
  calls.present.accept();
  const call = calls.pull(ROOM);
  assert.deepEqual(said.at(-1), { type: "pull", room_id: ROOM, id: "call-1" });
  assert.deepEqual(call.peer, { phone: "", deviceId: "" });
  calls.hear({ ...SUCCESS, id: "call-1" });
  assert.deepEqual(call.peer, { phone: "2", deviceId: "tv" });
  assert.deepEqual(changes, ["ringing", "active", "over hangup own", "calling", "active"]);
});

test("a call that cannot be pulled is over", (t) => {
  for (const [answer, reason] of [
    [{ type: "error", errorCode: 2, message: "pull: room_id", id: "call-1" }, "failed"],
    [{ ...BE_HANGUP, reason: "expired", id: "call-1" }, "expired"],
  ]) {
    const { calls, changes } = device(t);
    calls.pull(ROOM);
    calls.hear({ ...answer, id: "call-7", room_id: OTHER_ROOM });
    calls.hear(answer);
    assert.deepEqual(changes, ["calling", `over ${reason}`]);
  }
});

test("signals go out while the call is active, and only then", (t) => {
  const { calls, said } = device(t);
  calls.hear(CALLED);
  const call = calls.present;
  assert.equal(call.signal(1), false);
  call.accept();
  assert.equal(call.signal({ sdp: "v=0" }), true);
  assert.deepEqual(said.at(-1), { type: "signal", room_id: ROOM, data: { sdp: "v=0" } });
  assert.equal(call.signal(2, { ofPage: true }), true);
  assert.deepEqual(said.at(-1), { type: "signal", room_id: ROOM, data: 2, of_page: true });
  call.hangUp();
  assert.equal(call.signal(1), false);
});

test("of what rings, signals of the caller's page go out, and no others", (t) => {
  const { calls, said } = device(t);
  const call = calls.place("2", "tv");
  assert.equal(call.signal(1, { ofPage: true }), false);
  calls.hear({ type: "call_ringing", to_phone: "2", to_device_id: "tv", room_id: ROOM, id: "call-1" });
  assert.equal(call.signal(2), false);
  assert.equal(call.signal(3, { ofPage: true }), true);
  assert.deepEqual(said.at(-1), { type: "signal", room_id: ROOM, data: 3, of_page: true });
  call.hangUp();
  calls.hear({ ...CALLED, room_id: "c".repeat(32) });
  assert.equal(calls.present.signal(4, { ofPage: true }), false);
});

test("who waits for a state is told it, or the end, or that the device was closed", async (t) => {
  const { calls } = device(t);
  const first = calls.place("2", "tv");
  const ringing = first.until("ringing");
  const active = first.until("active");
  assert.equal(await first.until("calling"), "calling");
  calls.hear({ type: "call_ringing", to_phone: "2", to_device_id: "tv", room_id: ROOM, id: "call-1" });
  assert.equal(await ringing, "ringing");
  first.hangUp();
  assert.deepEqual([await active, await first.until("active")], ["over", "over"]);
  const left = calls.place("2", "tv").until("active");
  calls.left();
  assert.equal(await left, "calling");
});

test("who has logged out has left its call, and a call whose page is over is ended", (t) => {
  const { calls, said, changes } = device(t);
  calls.hear(CALLED);
  calls.revoked(true);
  assert.equal(changes.at(-1), "over revoked own");
  calls.revoked(true);
  calls.hear({ ...CALLED, room_id: OTHER_ROOM });
  const call = calls.present;
  call.accept();
  calls.noteEnd(call);
  calls.noteEnd(call);
  assert.equal(changes.at(-1), "over over");
  assert.deepEqual(said.slice(1), [{ ...HANGUP, room_id: OTHER_ROOM }]);
});

/** A device that is in a call, the first one, while another one rings, the second; `changes` are those since then. */
function rungInCall(test) {
  const all = device(test, true);
  all.calls.hear(CALLED);
  all.calls.present.accept();
  all.calls.hear(SECOND);
  assert.deepEqual(all.changes.splice(0), ["ringing", "active", "ringing"]);
  all.said.splice(0);
  const { present: first, waiting: second } = all.calls;
  assert.deepEqual([first.roomId, second.roomId, second.peer.phone], [ROOM, OTHER_ROOM, "3"]);
  return { ...all, first, second, held: () => [all.calls.present, all.calls.waiting] };
}

test("who accepts a second call leaves the first without a word to the server, which knows", (t) => {
  const { calls, said, changes, first, second, held } = rungInCall(t);
  second.accept();
  assert.deepEqual([changes, held()], [["over replaced own", "active"], [second, null]]);
  assert.deepEqual(said, [SECOND_ACCEPT]);
  assert.deepEqual([first.isOver, second.state], [true, "active"]);
  calls.welcomed({ ...VIEW, state: "active", direction: "incoming" });
  assert.deepEqual([said.at(-1), held()], [HANGUP, [second, null]]);
});

test("who refuses a second call, or takes it back, goes on with the first", (t) => {
  for (const act of ["refuse", "hangUp"]) {
    const { said, changes, first, second, held } = rungInCall(t);
    second[act]();
    assert.deepEqual([changes, held()], [["over refused own"], [first, null]]);
    assert.deepEqual(said, [{ ...SECOND_ACCEPT, type: "called_refuse" }]);
  }
});

test("a second call rings on when the first one ends, and is the only one then", (t) => {
  for (const [end, told] of [
    [({ first }) => first.hangUp(), "over hangup own"],
    [({ calls }) => calls.hear({ ...BE_HANGUP, reason: "hangup" }), "over hangup"],
    [({ calls, first }) => calls.noteEnd(first), "over over"],
  ]) {
    const all = rungInCall(t);
    end(all);
    assert.deepEqual([all.changes, all.held()], [[told], [all.second, null]]);
    all.clock.pass(48_100);
    assert.deepEqual([all.changes.at(-1), all.held()], ["over no_answer", [null, null]]);
  }
});

test("the end of a second call leaves the first as it is, whether it is told or comes by itself", (t) => {
  for (const [end, told] of [
    [({ calls }) => calls.hear({ ...SECOND_BE_HANGUP, reason: "cancelled" }), "over cancelled"],
    [({ clock }) => clock.pass(48_100), "over no_answer"],
    [({ calls }) => calls.welcomed({ ...VIEW, state: "active", direction: "incoming" }), "over busy"],
  ]) {
    const all = rungInCall(t);
    end(all);
    assert.deepEqual([all.changes[0], all.held(), all.said], [told, [all.first, null], []]);
    all.calls.hear(SECOND);
    assert.equal(all.calls.waiting.roomId, OTHER_ROOM);
  }
});

test("a second call that is told again stays, and gives way to a third one", (t) => {
  const { calls, changes, first, second, held } = rungInCall(t);
  calls.hear(SECOND);
  assert.deepEqual([changes, held()], [[], [first, second]]);
  calls.hear({ ...SECOND, room_id: "c".repeat(32) });
  assert.deepEqual([changes, calls.waiting.roomId], [["over over", "ringing"], "c".repeat(32)]);
});

test("who calls somebody leaves both calls, or accepts the second if it is theirs", (t) => {
  for (const begin of [(calls) => calls.place("4", "*"), (calls) => calls.pull("c".repeat(32))]) {
    const { calls, said, changes, held } = rungInCall(t);
    const call = begin(calls);
    assert.deepEqual([changes, held()], [["over refused own", "over hangup own", "calling"], [call, null]]);
    assert.deepEqual([said[0].type, said[1]], ["called_refuse", HANGUP]);
    calls.hear(SECOND);
    assert.equal(said.at(-1).type, "called_refuse");
  }
  const { calls, said, second, held } = rungInCall(t);
  assert.equal(calls.place("3", "*"), second);
  assert.deepEqual([held(), said], [[second, null], [SECOND_ACCEPT]]);
});

test("what is said goes with the first call alone, and who logs out leaves both", async (t) => {
  const { calls, changes, first, second, held } = rungInCall(t);
  assert.deepEqual([first.signal(1), second.signal(1)], [true, false]);
  calls.revoked(true);
  assert.deepEqual([changes, held()], [["over revoked own", "over revoked own"], [null, null]]);
  const closed = rungInCall(t);
  const states = [closed.first.until("over"), closed.second.until("active")];
  closed.calls.left();
  assert.deepEqual(await Promise.all(states), ["active", "ringing"]);
});

const VIEWS = [{ ...VIEW, direction: "incoming", state: "active", answered_at: 1 }];
VIEWS.push({ ...VIEWS[0], room_id: OTHER_ROOM, peer_phone: "3" });

/** A device that holds its first call for the second. */
function holding(test) {
  const all = device(test, true);
  all.calls.hear(CALLED);
  all.calls.present.accept();
  all.calls.hear({ ...SECOND, can_hold: true });
  all.calls.waiting.accept({ hold: true });
  const { present: second, held: first } = all.calls;
  assert.deepEqual([first.roomId, second.roomId], [ROOM, OTHER_ROOM]);
  all.said.splice(0);
  return { ...all, first, second };
}

test("if a welcome names neither of two calls both are doubted alike", (t) => {
  const { calls, said, first, second, clock } = holding(t);
  calls.welcomed(undefined, undefined);
  clock.pass(DOUBT);
  assert.deepEqual([calls.present, calls.held, said], [second, first, []]);
  assert.deepEqual([first.isForgotten, second.isForgotten], [true, true]);
  calls.welcomed(VIEWS[1], VIEWS[0]);
  assert.deepEqual([first.isForgotten, second.isForgotten], [false, false]);
});

test("if a welcome names one of two calls the server is told that the other one is over", (t) => {
  for (const named of [0, 1]) {
    const { calls, said, first, second } = holding(t);
    const [stays, ends] = named === 0 ? [first, second] : [second, first];
    calls.welcomed(VIEWS[named], undefined);
    assert.deepEqual([calls.present, calls.held, ends.state], [stays, null, "over"]);
    assert.deepEqual(said, [{ ...HANGUP, notified_phone: ends.peer.phone, room_id: ends.roomId }]);
  }
});

test("a call is doubted if the server rings the device by another one instead", (t) => {
  const { calls, clock } = device(t, true);
  calls.hear(CALLED);
  const first = calls.present;
  first.accept();
  calls.welcomed({ ...VIEWS[1], state: "ringing" }, undefined);
  calls.hear(SECOND);
  clock.pass(DOUBT);
  assert.deepEqual([first.isForgotten, calls.waiting.roomId], [true, OTHER_ROOM]);
});

test("a call that was placed is over if the server rings the device by another one instead", (t) => {
  const { calls, changes, clock } = device(t);
  calls.place("2", "tv");
  calls.welcomed({ ...VIEWS[1], state: "ringing" }, undefined);
  calls.hear(SECOND);
  assert.deepEqual([changes, calls.present.roomId], [["calling", "over over", "ringing"], OTHER_ROOM]);
  calls.present.hangUp();
  const call = calls.place("2", "tv");
  calls.connected(true);
  calls.welcomed({ ...VIEWS[1], state: "ringing" }, undefined);
  clock.pass(DOUBT);
  assert.equal(call.reason, "forgotten");
});

test("a call that is missing in the welcome is not doubted any more when it rings", (t) => {
  const { calls, clock } = device(t);
  const call = calls.place("2", "tv");
  calls.welcomed(undefined, undefined);
  calls.hear({ type: "call_ringing", to_phone: "2", to_device_id: "tv", room_id: ROOM });
  clock.pass(DOUBT);
  assert.equal(call.state, "ringing");
});

test("a server that was apart is told of an end that another one has told", (t) => {
  const { calls, said } = device(t);
  calls.place("2", "tv");
  calls.hear({ ...SUCCESS, id: "call-1" });
  calls.hear({ ...BE_HANGUP, reason: "connection_lost" });
  for (const state of ["ringing", "active"]) {
    calls.welcomed({ ...VIEW, direction: "outgoing", state }, undefined);
    assert.deepEqual([said.pop(), calls.present], [HANGUP, null]);
  }
});

test("a call that was taken over again is not over, though the device was told so", (t) => {
  const { calls, said } = device(t);
  calls.place("2", "tv");
  calls.hear({ ...SUCCESS, id: "call-1" });
  calls.hear({ ...BE_HANGUP, reason: "moved" });
  calls.pull(ROOM);
  calls.hear({ ...SUCCESS, id: "call-2" });
  calls.welcomed({ ...VIEW, direction: "outgoing", state: "active" }, undefined);
  assert.deepEqual([said.at(-1).type, calls.present.state], ["pull", "active"]);
});

test("a server that has not heard of an exchange is told again", (t) => {
  const { calls, said, first, second } = holding(t);
  calls.swap();
  calls.welcomed(VIEWS[1], VIEWS[0]);
  assert.deepEqual([calls.present, calls.held], [first, second]);
  assert.deepEqual(said, [1, 2].map((times) => ({ type: "resume", room_id: ROOM, id: `resume-${times}` })));
  calls.hear({ type: "error", message: "no", id: "resume-1" });
  assert.equal(calls.present, first);
  calls.hear({ type: "error", message: "no", id: "resume-2" });
  assert.deepEqual([calls.present, calls.held], [second, first]);
});

test("a call that was remembered is on hold if it was then", (t) => {
  const { calls } = device(t);
  const remembered = { direction: "incoming", peer: { phone: "2", deviceId: "tv" }, roomId: ROOM, page: PAGE, name: "" };
  calls.resume({ ...remembered, answeredAt: 1, isOnHold: true });
  assert.equal(calls.present.isOnHold, true);
  calls.resume({ ...remembered, answeredAt: 1 });
  assert.equal(calls.present.isOnHold, false);
});

test("a second welcome on a connection does not overrule what the server has yet to handle", (t) => {
  const { calls, said } = device(t, true);
  calls.connected(true);
  calls.welcomed(undefined, undefined);
  const call = calls.place("2", "tv");
  calls.welcomed(VIEWS[1], undefined);
  calls.hear({ ...SUCCESS, id: "call-1" });
  assert.deepEqual([calls.present, call.state, said.length], [call, "active", 1]);
  call.hangUp();
  calls.hear({ ...CALLED, room_id: "c".repeat(32) });
  const rung = calls.present;
  rung.accept();
  calls.welcomed(VIEWS[1], undefined);
  assert.equal(calls.present, rung);
});

test("a call that rings goes on ringing beside that of a second welcome", (t) => {
  for (const canWait of [true, false]) {
    const { calls, said } = device(t, canWait);
    calls.connected(true);
    calls.welcomed(undefined, undefined);
    calls.hear(CALLED);
    const rung = calls.present;
    for (let times = 0; times < 2; times += 1) calls.welcomed(VIEWS[1], undefined);
    assert.deepEqual([calls.present.roomId, calls.waiting, said], [OTHER_ROOM, canWait ? rung : null, []]);
    calls.welcomed(VIEWS[1], { ...VIEWS[0], room_id: "c".repeat(32) });
    assert.deepEqual([calls.waiting, rung.isOver], [null, true]);
  }
});
