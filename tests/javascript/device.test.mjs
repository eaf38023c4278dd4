// A device on the signaling socket (clients/javascript/device.js and line.js), over sockets that a test speaks on.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Account, Device } from "../../clients/javascript/index.js";
import { begin, FakeSocket, settled } from "./wire.mjs";

const SITE = "https://calls.example.org:8080";
const ROOM = "a".repeat(32);
const EXTENDED = "callnet.v2";
const WELCOME = { type: "welcome", phone: "1", device_id: "tv", ping_every: 20, ice_servers: [], calls_of_phone: [] };
const SUCCESS = { type: "call_success", to_phone: "2", to_device_id: "phone", room_id: ROOM, page: "/" };
const HANGUP = { type: "calling_hangup", notified_phone: "2", notified_device_id: "phone", room_id: ROOM };

/** A device with a good token, and what it has told. */
function connected(test, options = {}, credentials = {}) {
  const clock = begin(test);
  const kept = { token: "t k", expiresAt: Date.now() + 7 * 86_400_000, secret: "s", ...credentials };
  const account = new Account({ site: SITE, phone: "1", deviceId: "tv", kept });
  const device = new Device(account, { WebSocket: FakeSocket, ...options });
  const told = [];
  device.addEventListener("state", ({ detail }) => told.push(detail));
  device.addEventListener("call", ({ detail }) => told.push(detail.state));
  device.connect();
  return { account, device, told, clock };
}

/** The same, welcomed by a server with the extended protocol. */
function online(test, welcome = {}) {
  const all = connected(test);
  FakeSocket.last.open(EXTENDED);
  FakeSocket.last.hear({ ...WELCOME, ...welcome });
  return all;
}

/** An account service that gives these answers, and what it was asked. */
function answering(test, ...answers) {
  const asked = [];
  test.mock.method(globalThis, "fetch", async (url) => {
    asked.push(new URL(url).pathname);
    const { status = 200, after, ...answer } = answers.length > 1 ? answers.shift() : answers[0];
    const headers = new Headers(after === undefined ? {} : { "Retry-After": after });
    return { status, headers, json: async () => ({ errorCode: 0, message: "", ...answer }) };
  });
  return asked;
}

test("the token goes into the query, and a device is online when the extended server has welcomed it", (t) => {
  const { device, told } = connected(t);
  const { url, protocols } = FakeSocket.last;
  assert.equal(url.href, "wss://calls.example.org:8080/socket.io?token=t%20k");
  assert.deepEqual(protocols, [EXTENDED]);
  FakeSocket.last.open(EXTENDED);
  assert.deepEqual(told, ["connecting"]);
  FakeSocket.last.hear(WELCOME);
  assert.deepEqual([told, device.isExtended], [["connecting", "online"], true]);
});

test("another welcome on a connection does not renew the token again", (t) => {
  const { account } = connected(t);
  let renewals = 0;
  account.renew = async () => {
    renewals += 1;
  };
  FakeSocket.last.open(EXTENDED);
  FakeSocket.last.hear(WELCOME);
  FakeSocket.last.hear(WELCOME);
  assert.equal(renewals, 1);
});

test("a device that stays online has its token renewed when that has a day left", async (t) => {
  const asked = answering(t, { token: "new", expires_in: 604_800 });
  const { account, clock } = connected(t, {}, { expiresAt: 1_000_000 + 24.5 * 3_600_000 });
  const socket = FakeSocket.last;
  socket.open(EXTENDED);
  socket.hear(WELCOME);
  const answer = () => socket.sent.splice(0).forEach(() => socket.hear({ type: "pong" }));
  clock.pass(3_599_000, answer);
  assert.deepEqual(asked, []);
  clock.pass(1_000, answer);
  await settled();
  assert.deepEqual([asked, account.token, FakeSocket.all.length], [["/account/refresh"], "new", 1]);
});

test("a device says that a second call may ring, to an extended server", (t) => {
  connected(t, { callWaiting: true });
  assert.equal(FakeSocket.last.url.search, "?token=t%20k&call_waiting=1");
  connected(t, { callWaiting: true, extended: false });
  assert.equal(FakeSocket.last.url.search, "?token=t%20k");
});

test("of a second call that is accepted it tells when the first has ended, and none rings in between", (t) => {
  const { device } = connected(t, { callWaiting: true });
  FakeSocket.last.open(EXTENDED);
  const view = { room_id: ROOM, peer_phone: "2", peer_device_id: "phone", page: "/", state: "active", direction: "incoming" };
  FakeSocket.last.hear({ ...WELCOME, call: view });
  FakeSocket.last.hear({ type: "called", from_phone: "3", from_device_id: "phone", room_id: "b".repeat(32) });
  const first = device.call;
  const told = [];
  device.addEventListener("call", ({ detail }) => told.push([detail === first, device.call.state, device.waitingCall]));
  device.waitingCall.accept();
  assert.deepEqual(told, [
    [true, "active", null],
    [false, "active", null],
  ]);
  assert.deepEqual(FakeSocket.last.said.map(({ type }) => type), ["called_success"]);
});

test("a device that is closed on hearing that it connects stays away", (t) => {
  const { device } = online(t);
  device.close();
  device.addEventListener("state", ({ detail }) => detail === "connecting" && device.close());
  const before = FakeSocket.all.length;
  device.connect();
  assert.deepEqual([device.state, FakeSocket.all.length], ["off", before]);
});

test("a server that chose no protocol speaks the base protocol, and lets in at once whom it lets in", (t) => {
  const { device, told } = connected(t);
  FakeSocket.last.open("");
  assert.deepEqual([told, device.isExtended], [["connecting", "online"], false]);
  device.place("2", "phone");
  assert.deepEqual(FakeSocket.last.sent, [{ type: "call", to_phone: "2", to_device_id: "phone" }]);
  assert.equal(device.pull(ROOM), null);
});

test("on the base protocol what the server has forgotten is over in the end, and keeps no other call from ringing", (t) => {
  for (const isRung of [false, true]) {
    const { device, clock } = connected(t, { extended: false });
    const again = (code) => {
      if (code !== undefined) FakeSocket.last.lose(code);
      clock.pass(500);
      FakeSocket.last.open("");
    };
    again();
    const call = device.place("2", "phone");
    again(1006);
    const other = { type: "called", from_phone: "3", from_device_id: "tv", room_id: ROOM };
    if (isRung) {
      FakeSocket.last.hear(other);
      assert.deepEqual([call.isOver, device.call.roomId], [true, ROOM]);
      device.close();
      device.connect();
      again();
    }
    const last = device.call;
    clock.pass(30_000);
    again(1006);
    clock.pass(32_400);
    assert.equal(last.isOver, false);
    clock.pass(200);
    assert.deepEqual([last.reason, device.call], ["forgotten", null]);
  }
});

test("on the base protocol a call goes on for which the server speaks before", (t) => {
  const { device, clock } = connected(t);
  FakeSocket.last.open("");
  const call = device.place("2", "phone");
  for (const protocol of ["", EXTENDED]) {
    FakeSocket.last.lose(1006);
    clock.pass(500);
    FakeSocket.last.open(protocol);
  }
  const view = { room_id: ROOM, peer_phone: "2", peer_device_id: "phone", page: "/", state: "ringing", direction: "outgoing" };
  FakeSocket.last.hear({ ...WELCOME, call: view });
  clock.pass(70_000, () => FakeSocket.last.hear({ type: "pong" }));
  assert.equal(call.isOver, false);
  FakeSocket.last.lose(1006);
  clock.pass(500);
  FakeSocket.last.open("");
  FakeSocket.last.hear(SUCCESS);
  clock.pass(70_000);
  assert.deepEqual([call.state, call.isForgotten], ["active", false]);
});

test("the signaling service may be elsewhere, and be plain", (t) => {
  connected(t, { site: "http://127.0.0.1:8082" });
  assert.equal(FakeSocket.last.url.origin, "ws://127.0.0.1:8082");
});

test("what was lost is opened again, later each time, and at once by a server that let it in", (t) => {
  const { clock, told } = connected(t);
  for (const delay of [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000]) {
    const count = FakeSocket.all.length;
    FakeSocket.last.fail();
    clock.pass(delay - 100);
    assert.equal(FakeSocket.all.length, count, `${delay}`);
    clock.pass(100);
    assert.equal(FakeSocket.all.length, count + 1, `${delay}`);
  }
  FakeSocket.last.open(EXTENDED);
  FakeSocket.last.hear(WELCOME);
  FakeSocket.last.lose(1001);
  clock.pass(500);
  assert.equal(FakeSocket.all.length, 9);
  assert.deepEqual(told, ["connecting", "offline", "online", "offline"]);
});

/** The protocols that four attempts offer of which three fail. */
function offered({ clock }) {
  for (const delay of [500, 1_000, 2_000]) {
    FakeSocket.last.fail();
    clock.pass(delay);
  }
  return FakeSocket.all.map(({ protocols }) => protocols);
}

test("a server that has given a secret knows the extended protocol: no failure has it offered another", (t) => {
  assert.deepEqual(offered(connected(t)), [[EXTENDED], [EXTENDED], [EXTENDED], [EXTENDED]]);
});

test("so does one whose token names a key, as the seed's do not", (t) => {
  const token = `${btoa('{"alg":"HS256","kid":"k"}').replace(/=+$/, "")}.e30.x`;
  assert.deepEqual(offered(connected(t, {}, { secret: null, token })), [[EXTENDED], [EXTENDED], [EXTENDED], [EXTENDED]]);
});

test("a server that has become one of the seed's is offered the base protocol after the next login", async (t) => {
  const asked = answering(t, { token: "new" });
  const { clock } = connected(t);
  while (FakeSocket.last.protocols.length > 0) {
    assert.ok(FakeSocket.all.length < 12);
    FakeSocket.last.fail();
    await settled();
    const attempts = FakeSocket.all.length;
    while (FakeSocket.all.length === attempts) clock.pass(500);
  }
  assert.deepEqual(asked, ["/account/login"]);
});

test("of a server that may be of the seed every second attempt offers the base protocol: some fail who offers another", (t) => {
  const all = connected(t, {}, { secret: null });
  assert.deepEqual(offered(all), [[EXTENDED], [], [EXTENDED], []]);
  all.device.connect();
  assert.deepEqual(FakeSocket.last.protocols, [EXTENDED]);
});

test("a server that goes away says when to come again, and nobody comes before", (t) => {
  const { clock, device } = online(t);
  FakeSocket.last.hear({ type: "going_away", reconnect_in: 3, deadline: 10 });
  FakeSocket.last.lose(1001);
  device.check();
  clock.pass(2_900);
  assert.equal(FakeSocket.all.length, 1);
  clock.pass(100);
  assert.equal(FakeSocket.all.length, 2);
});

test("a server is asked whether it lives as often as it says, every two seconds in a call, and given up after six", (t) => {
  const { clock, device, told } = online(t, { ping_every: 10 });
  const socket = FakeSocket.last;
  let answered = 0;
  const answer = () => {
    for (; answered < socket.sent.length; answered += 1) socket.hear({ type: "pong" });
  };
  clock.pass(60_000, answer);
  assert.equal(socket.sent.length, 6);
  device.place("2", "phone");
  clock.pass(20_000, answer);
  assert.equal(socket.sent.filter(({ type }) => type === "ping").length, 16);
  clock.pass(9_000);
  assert.deepEqual([told.at(-1), socket.isClosed], ["offline", true]);
});

test("who says nothing to a question of the program's own is given up soon, and connected again at once", (t) => {
  const { clock, device, told } = online(t);
  clock.pass(2_000);
  device.check();
  assert.equal(FakeSocket.last.sent.at(-1).type, "ping");
  clock.pass(1_900);
  assert.deepEqual([told.at(-1), FakeSocket.all.length], ["offline", 2]);
});

test("who wants to know now, while the next attempt is still to come, tries now, at most once in ten seconds", (t) => {
  const { clock, device } = online(t);
  for (const delay of [500, 1_000, 2_000, 4_000, 8_000]) {
    FakeSocket.last.fail();
    clock.pass(delay);
  }
  FakeSocket.last.fail();
  const before = FakeSocket.all.length;
  device.check();
  assert.equal(FakeSocket.all.length, before + 1);
  FakeSocket.last.fail();
  for (const [pause, more] of [[0, 1], [9_900, 1], [100, 2]]) {
    clock.pass(pause);
    device.check();
    assert.equal(FakeSocket.all.length, before + more);
  }
});

test("who asks on hearing that the connection is lost opens no second one", (t) => {
  const { clock, device } = online(t);
  device.addEventListener("state", () => device.check());
  FakeSocket.last.lose(1006);
  clock.pass(500);
  assert.equal(FakeSocket.all.length, 2);
});

test("what is said while the connection is away is said when it is back, before anything newer; signals are not", (t) => {
  const { clock, device } = online(t);
  const call = device.place("2", "phone");
  FakeSocket.last.hear({ ...SUCCESS, id: "call-1" });
  FakeSocket.last.lose(1006);
  assert.equal(call.signal(1), false);
  call.hangUp();
  assert.equal(device.place("3", "tv"), null);
  device.addEventListener("state", ({ detail }) => detail === "online" && device.place("2", "phone"));
  clock.pass(500);
  FakeSocket.last.open(EXTENDED);
  FakeSocket.last.hear(WELCOME);
  assert.deepEqual(FakeSocket.last.said, [HANGUP, { type: "call", to_phone: "2", to_device_id: "phone", id: "call-2" }]);
});

test("no call is begun over a connection that is closing: said later it would ring for nobody", (t) => {
  const { clock, device, told } = online(t);
  FakeSocket.last.readyState = 2;
  assert.deepEqual([device.state, device.place("2", "phone"), device.pull(ROOM)], ["online", null, null]);
  FakeSocket.last.lose(1001);
  clock.pass(500);
  FakeSocket.last.open(EXTENDED);
  FakeSocket.last.hear(WELCOME);
  assert.deepEqual([FakeSocket.last.said, told], [[], ["connecting", "online", "offline", "online"]]);
});

test("if it goes on with the held call while the connection is away the server is told that when it is back", (t) => {
  const view = { peer_phone: "2", peer_device_id: "phone", page: "/", state: "active", direction: "incoming" };
  const both = { call: { ...view, room_id: ROOM }, held_call: { ...view, room_id: "b".repeat(32) } };
  const { clock, device } = online(t, both);
  FakeSocket.last.lose(1006);
  for (let times = 0; times < 3; times += 1) device.swap();
  clock.pass(500);
  FakeSocket.last.open(EXTENDED);
  FakeSocket.last.hear({ ...WELCOME, ...both });
  assert.deepEqual([device.call.roomId, device.heldCall.roomId], ["b".repeat(32), ROOM]);
  assert.deepEqual(FakeSocket.last.said, [{ type: "resume", room_id: "b".repeat(32), id: "resume-4" }]);
});

test("who is told of a change may do what it likes: what that causes is told after, and to everybody in this order", (t) => {
  const { device, told } = online(t);
  device.addEventListener("call", ({ detail: call }) => {
    if (call.isOver && call.peer.phone === "2") device.place("4", "tv");
  });
  const seen = [];
  device.addEventListener("call", ({ detail }) => seen.push(`${detail.peer.phone} ${detail.state}`));
  device.place("2", "phone");
  FakeSocket.last.hear({ ...SUCCESS, id: "call-1" });
  // The server rings for another call: the one before is over, and a listener answers that with a call of its own.
  FakeSocket.last.hear({ type: "called", from_phone: "3", from_device_id: "tv", room_id: "b".repeat(32) });
  assert.deepEqual(seen, ["2 calling", "2 active", "2 over", "3 over", "3 over", "4 calling"]);
  assert.deepEqual(FakeSocket.last.said.map(({ type }) => type), ["call", "called_refuse", "call"]);
  assert.deepEqual([device.call.peer.phone, told.length], ["4", 8]);
});

test("who has connected elsewhere stays away until told to come back", (t) => {
  const { clock, device, told } = online(t);
  FakeSocket.last.lose(4409);
  clock.pass(60_000);
  assert.deepEqual([told.at(-1), FakeSocket.all.length], ["elsewhere", 1]);
  device.connect();
  assert.equal(FakeSocket.all.length, 2);
});

test("who has logged out is off, and in no call any more", (t) => {
  const { account, clock, device, told } = online(t);
  device.place("2", "phone");
  account.forget();
  FakeSocket.last.lose(4401);
  clock.pass(60_000);
  assert.deepEqual([told.slice(2), FakeSocket.all.length], [["calling", "over", "off"], 1]);
});

test("who logs out while a login is tried again is off, and does not come back with the server", async (t) => {
  const { account, clock, device, told } = online(t);
  const asked = answering(t, { errorCode: 1 }, { token: "new", expires_in: 60 });
  const call = device.place("2", "phone");
  FakeSocket.last.lose(4401);
  await settled();
  account.forget();
  clock.pass(22_500);
  await settled();
  assert.deepEqual([told.slice(2), asked], [["calling", "offline", "over", "off"], ["/account/login"]]);
  assert.deepEqual([call.reason, call.isOwnEnd, FakeSocket.all.length], ["revoked", true, 1]);
});

test("who logs out while it logs in is off", async (t) => {
  answering(t, { token: "new", expires_in: 60 });
  const { account, clock, told } = connected(t, {}, { expiresAt: 0 });
  account.forget();
  await settled();
  clock.pass(60_000);
  assert.deepEqual([told, FakeSocket.all.length], [["connecting", "off"], 0]);
});

test("a device that was removed by another one has no call any more", async (t) => {
  const { device, told } = online(t);
  answering(t, { errorCode: 5 });
  const call = device.place("2", "phone");
  FakeSocket.last.lose(4401);
  await settled();
  assert.deepEqual([told.slice(2), device.call], [["calling", "offline", "over", "denied"], null]);
  assert.deepEqual([call.reason, call.isOwnEnd], ["revoked", false]);
});

test("a path or a host that the service does not know is the operator's error: the login is tried again", async (t) => {
  const asked = answering(t, { status: 404, errorCode: 2 }, { status: 421, errorCode: 2 }, { token: "t", expires_in: 60 });
  const { clock, device } = connected(t, {}, { expiresAt: 0 });
  for (const number of [1, 2]) {
    await settled();
    assert.deepEqual([device.state, asked.length], ["connecting", number]);
    clock.pass(15_000);
  }
  await settled();
  assert.equal(FakeSocket.all.length, 1);
});

test("who lets a device connect on hearing that its call is over is not overtaken by the old state", async (t) => {
  const { device, told } = online(t);
  answering(t, { errorCode: 5 }, { token: "new", expires_in: 60 });
  const call = device.place("2", "phone");
  device.addEventListener("call", () => call.isOver && device.connect());
  FakeSocket.last.lose(4401);
  await settled();
  assert.deepEqual(told.slice(-3), ["over", "denied", "connecting"]);
  assert.equal(device.state, "connecting");
});

test("presence, missed calls and signals are told, and the calls of other devices are known", (t) => {
  const call = { room_id: ROOM, device_id: "phone", peer_phone: "2", peer_device_id: "tv", answered_at: 1 };
  const { device } = online(t, { calls_of_phone: [call] });
  assert.deepEqual(device.callsOfPhone, [call]);
  const heard = [];
  for (const type of ["presence", "missed", "changed", "signal"]) device.addEventListener(type, ({ detail }) => heard.push(detail));
  const presence = { type: "presence", phone: "2", device_id: "tv", online: true };
  FakeSocket.last.hear(presence);
  FakeSocket.last.hear({ type: "missed", calls: [{ room_id: ROOM }] });
  FakeSocket.last.hear({ type: "changed", what: ["contacts", "profile"] });
  device.pull(ROOM);
  FakeSocket.last.hear({ ...SUCCESS, id: "call-1" });
  FakeSocket.last.hear({ type: "signal", room_id: "b".repeat(32), data: 0 });
  FakeSocket.last.hear({ type: "signal", room_id: ROOM, data: { a: 1 } });
  assert.deepEqual(heard, [presence, [{ room_id: ROOM }], ["contacts", "profile"], { call: device.call, data: { a: 1 } }]);
});

test("a frame of a type that it does not know changes nothing", (t) => {
  const { device, told } = online(t);
  FakeSocket.last.hear({ type: "of-the-future", call: 1 });
  assert.deepEqual([told, device.call], [["connecting", "online"], null]);
});

test("who closes a device hears no more of its sockets, but of the moment at which the last is gone", async (t) => {
  const { clock, device, told } = online(t);
  const socket = FakeSocket.last;
  let isGone = false;
  const gone = device.close().then(() => (isGone = true));
  await settled();
  assert.deepEqual([socket.isClosed, isGone], [true, false]);
  socket.lose(1005);
  await gone;
  await device.close();
  clock.pass(60_000);
  assert.deepEqual([told, FakeSocket.all.length], [["connecting", "online", "off"], 1]);
});

test("nothing is left of a closed device whose login was to be tried again", async (t) => {
  const timers = () => process.getActiveResourcesInfo().filter((kind) => kind === "Timeout").length;
  answering(t, { status: 429, after: 25, errorCode: 6 });
  const device = new Device(new Account({ site: SITE, phone: "1", deviceId: "tv" }), { WebSocket: FakeSocket });
  const before = timers();
  device.connect();
  await settled();
  assert.equal(timers(), before + 1);
  device.close();
  assert.equal(timers(), before);
});

test("who waits for a state is told it, or one that lasts", async (t) => {
  const { device } = connected(t);
  const there = device.until("online");
  FakeSocket.last.open("");
  assert.equal(await there, "online");
  const away = device.until("offline");
  device.close();
  assert.equal(await away, "off");
  await settled();
});

test("without a WebSocket a device says what to do", (t) => {
  begin(t);
  const given = globalThis.WebSocket;
  delete globalThis.WebSocket;
  t.after(() => given && (globalThis.WebSocket = given));
  const account = new Account({ site: SITE, phone: "1", deviceId: "tv" });
  assert.throws(() => new Device(account), /--experimental-websocket/);
});
