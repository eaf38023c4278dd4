// A seat in a room (clients/javascript/room.js), over sockets that a test speaks on.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Room } from "../../clients/javascript/index.js";
import { begin, FakeSocket } from "./wire.mjs";

const SITE = "https://calls.example.org:8080";
const VIEW = { type: "room", state: "waiting", reason: "", peer: null, ice_servers: [] };

/** A room that was joined, and what it has told. */
function joined(test, options = {}) {
  const clock = begin(test);
  const room = new Room({ site: SITE, roomId: "kitchen", WebSocket: FakeSocket, ...options });
  const told = [];
  for (const type of ["reach", "room", "relay", "refused"]) {
    room.addEventListener(type, ({ detail }) => told.push([type, detail]));
  }
  room.join();
  FakeSocket.last.open();
  return { room, told, clock };
}

test("it joins with its key and its session, the same on each socket, and with others in another visit", (t) => {
  const { room, clock } = joined(t);
  const join = { type: "join", room_id: "kitchen", key: room.key, session: room.session };
  assert.match(`${room.key} ${room.session}`, /^[0-9a-f]{32} [0-9a-f]{32}$/);
  assert.deepEqual(FakeSocket.last.sent, [join]);
  assert.equal(FakeSocket.last.url.href, "wss://calls.example.org:8080/room");
  FakeSocket.last.lose(1006);
  clock.pass(500);
  FakeSocket.last.open();
  assert.deepEqual(FakeSocket.last.sent, [join]);
  const { room: other } = joined(t, { key: room.key });
  assert.deepEqual([other.key === room.key, other.session === room.session], [true, false]);
});

test("it tells how the room is, what the other client said, and whether the server answers", (t) => {
  const { room, told } = joined(t);
  FakeSocket.last.hear(VIEW);
  FakeSocket.last.hear({ type: "relay", from: "b", data: { kind: "offer" } });
  FakeSocket.last.lose(1006);
  assert.deepEqual(told, [
    ["reach", true],
    ["room", VIEW],
    ["relay", { from: "b", data: { kind: "offer" } }],
    ["reach", false],
  ]);
  assert.equal(room.relay("b", 1), false);
});

test("it relays, and reports how it went", (t) => {
  const { room } = joined(t);
  assert.equal(room.relay("b", { kind: "answer" }), true);
  assert.equal(room.report({ path: "host", seconds: 1 }), true);
  assert.deepEqual(FakeSocket.last.sent.slice(1), [
    { type: "relay", to: "b", data: { kind: "answer" } },
    { type: "ping", media: { path: "host", seconds: 1 } },
  ]);
});

test("the server is asked every two seconds, and given up after six", (t) => {
  const { told, clock } = joined(t);
  FakeSocket.last.hear(VIEW);
  clock.pass(20_000, () => FakeSocket.last.sent.at(-1).type === "ping" && FakeSocket.last.hear({ type: "pong" }));
  assert.equal(FakeSocket.last.sent.length, 11);
  clock.pass(8_000);
  assert.deepEqual(told.at(-1), ["reach", false]);
});

test("a server that is doubted has a second and a half to answer, and its socket is replaced at once", (t) => {
  const { room, told, clock } = joined(t);
  FakeSocket.last.hear(VIEW);
  room.check();
  assert.equal(FakeSocket.last.sent.at(-1).type, "ping");
  clock.pass(300);
  FakeSocket.last.hear({ type: "pong" });
  clock.pass(1_900);
  assert.deepEqual([FakeSocket.all.length, told.at(-1)], [1, ["room", VIEW]]);
  room.check();
  clock.pass(1_500);
  room.check();
  assert.equal(FakeSocket.all.length, 1);
  clock.pass(400);
  assert.deepEqual([FakeSocket.all.length, FakeSocket.all[0].closeCode, told.at(-1)], [2, 4000, ["reach", false]]);
  // Of a socket that does not stand yet nothing can be asked.
  room.check();
  clock.pass(3_000);
  assert.equal(FakeSocket.all.length, 2);
});

test("a server has four times as long as its last pong took", (t) => {
  const { room, clock } = joined(t);
  FakeSocket.last.hear(VIEW);
  room.check();
  clock.pass(1_000);
  FakeSocket.last.hear({ type: "pong" });
  room.check();
  clock.pass(4_100);
  assert.equal(FakeSocket.all.length, 1);
  clock.pass(300);
  assert.equal(FakeSocket.all.length, 2);
});

test("a socket that has just replaced a doubted one has six seconds, as if nobody had doubted", (t) => {
  const { room, clock } = joined(t);
  FakeSocket.last.hear(VIEW);
  room.check();
  clock.pass(2_000);
  FakeSocket.last.open();
  FakeSocket.last.hear(VIEW);
  room.check();
  clock.pass(2_000);
  assert.equal(FakeSocket.all.length, 2);
  clock.pass(8_000);
  assert.equal(FakeSocket.all.length, 3);
  FakeSocket.last.open();
  FakeSocket.last.hear(VIEW);
  room.check();
  clock.pass(1_900);
  assert.equal(FakeSocket.all.length, 4);
});

test("a seat that is left is left with a goodbye", (t) => {
  const { room } = joined(t);
  room.close();
  assert.equal(FakeSocket.last.closeCode, 1000);
});

test("a seat that was left is not taken again because of a doubt", (t) => {
  const { room, clock } = joined(t);
  room.check();
  room.close();
  room.check();
  clock.pass(60_000);
  assert.equal(FakeSocket.all.length, 1);
});

test("a server is doubted when the browser tells of another network, and not of another speed", (t) => {
  const connection = Object.assign(new EventTarget(), { type: "wifi" });
  const navigator = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { configurable: true, value: { connection } });
  const listeners = new EventTarget();
  for (const name of ["addEventListener", "removeEventListener"]) globalThis[name] = listeners[name].bind(listeners);
  t.after(() => {
    delete globalThis.addEventListener;
    delete globalThis.removeEventListener;
    if (navigator === undefined) delete globalThis.navigator;
    else Object.defineProperty(globalThis, "navigator", navigator);
  });
  for (const [target, type] of [[connection, "change"], [listeners, "online"]]) {
    const { room, clock } = joined(t);
    FakeSocket.last.hear(VIEW);
    connection.dispatchEvent(new Event("change"));
    clock.pass(1_600);
    assert.equal(FakeSocket.all.length, 1);
    connection.type += "!";
    target.dispatchEvent(new Event(type));
    clock.pass(1_600);
    assert.equal(FakeSocket.all.length, 2);
    FakeSocket.last.open();
    room.close();
    target.dispatchEvent(new Event(type));
    clock.pass(60_000);
    assert.equal(FakeSocket.all.length, 2);
  }
});

test("a room that is full is tried again after five seconds, and no other that refused", (t) => {
  for (const reason of ["full", "unknown_room", "invalid"]) {
    const { told, clock } = joined(t);
    FakeSocket.last.hear({ type: "refused", reason });
    FakeSocket.last.lose(4403);
    assert.deepEqual(told, [["refused", reason], ["reach", false]]);
    clock.pass(4_900);
    assert.equal(FakeSocket.all.length, 1);
    clock.pass(60_000);
    assert.equal(FakeSocket.all.length > 1, reason === "full");
  }
});

test("a seat that was taken is given up, and so is a server that does not understand", (t) => {
  for (const [code, reason] of [
    [4409, "taken"],
    [4400, "broken"],
  ]) {
    const { told, clock } = joined(t);
    FakeSocket.last.lose(code);
    clock.pass(60_000);
    assert.deepEqual([told, FakeSocket.all.length], [[["reach", false], ["refused", reason]], 1]);
  }
});

test("who hangs up says so and is told no more", (t) => {
  const { room, told } = joined(t);
  const socket = FakeSocket.last;
  room.hangUp();
  room.hangUp();
  assert.deepEqual([room.relay("b", 1), socket.sent.map(({ type }) => type)], [false, ["join", "hangup", "ping"]]);
  socket.hear({ ...VIEW, state: "ended" });
  socket.hear({ type: "pong" });
  assert.deepEqual([socket.isClosed, socket.closeCode, told], [true, 1000, []]);
});

test("who hangs up over a dead path says so again", (t) => {
  const { room, told, clock } = joined(t);
  FakeSocket.last.hear(VIEW);
  told.length = 0;
  room.hangUp();
  clock.pass(2_000);
  assert.equal(FakeSocket.all.length, 2);
  FakeSocket.last.open();
  assert.deepEqual(FakeSocket.last.said.map(({ type }) => type), ["join", "hangup"]);
  FakeSocket.last.hear({ type: "pong" });
  assert.deepEqual([FakeSocket.last.isClosed, told], [true, []]);
  clock.pass(60_000);
  assert.equal(FakeSocket.all.length, 2);
});

test("who hangs up takes no seat that somebody else has got meanwhile", (t) => {
  const { room, clock } = joined(t);
  FakeSocket.last.lose(1006);
  room.hangUp();
  clock.pass(500);
  FakeSocket.last.open();
  FakeSocket.last.hear({ type: "refused", reason: "full" });
  clock.pass(60_000);
  assert.deepEqual([FakeSocket.all.length, FakeSocket.last.isClosed], [2, true]);
});

test("while the server is away hanging up is tried for half a minute", (t) => {
  const { room, clock } = joined(t);
  FakeSocket.last.lose(1006);
  room.hangUp();
  clock.pass(500);
  FakeSocket.last.open();
  assert.deepEqual(FakeSocket.last.said.map(({ type }) => type), ["join", "hangup"]);
  FakeSocket.last.hear({ type: "pong" });
  assert.equal(FakeSocket.last.isClosed, true);
  const second = joined(t);
  FakeSocket.last.lose(1006);
  second.room.hangUp();
  second.clock.pass(30_000, () => FakeSocket.last.readyState < 2 && FakeSocket.last.fail());
  const count = FakeSocket.all.length;
  second.clock.pass(60_000);
  assert.equal(FakeSocket.all.length, count);
});

test("who closes a room leaves without a word", (t) => {
  const { room, told, clock } = joined(t);
  room.close();
  FakeSocket.last.lose(1005);
  clock.pass(60_000);
  assert.deepEqual([FakeSocket.all.length, FakeSocket.last.said.length, told], [1, 1, []]);
});
