// What the two sides of a connection of the call's page say before and after there is an offer
// (callnet/static/demo/connection.js).

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

import { Connection } from "../../callnet/static/demo/connection.js";
import { OldPeerConnection, PeerConnection, Stream } from "./webrtc.mjs";
import { settled } from "./wire.mjs";

/** One side of a call, and what it says, as the other side would hear it. */
class Side {
  #said = [];
  misses = 0;
  /** Whether anything is to come. */
  isDue = true;
  /** How often another picture than the last one was made ready for. */
  expects = 0;

  constructor(t, offers, itsFormats) {
    const nothing = () => {};
    const handlers = { say: (data) => this.#said.push(JSON.stringify(data)) };
    for (const name of ["changed", "picture", "screen", "heard", "verified", "channel", "dropped"]) handlers[name] = nothing;
    handlers.isDue = () => this.isDue;
    handlers.missed = () => (this.misses += 1);
    handlers.expected = () => (this.expects += 1);
    this.formats = itsFormats;
    this.connection = new Connection({ offers, stream: new Stream(), iceServers: [], relayOnly: false, handlers });
    t.after(() => this.connection.close());
  }

  async prepare() {
    PeerConnection.formats = this.formats;
    this.connection.prepare();
    await settled();
    return PeerConnection.made.at(-1);
  }

  /** Another offer takes the place of what was said before, as in the phone. */
  said() {
    const said = this.#said.splice(0).map((text) => JSON.parse(text));
    return said.slice(Math.max(0, said.findLastIndex(({ kind }) => kind === "offer")));
  }

  async hear(messages) {
    PeerConnection.formats = this.formats;
    for (const message of messages) this.connection.hear(message);
    await settled();
  }
}

/** Caller and callee, who make ready, and their RTCPeerConnections. */
async function two(t, formatsOfCallee = "96") {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  const [caller, callee] = [new Side(t, false, "96"), new Side(t, true, formatsOfCallee)];
  return { caller, callee, callers: await caller.prepare(), callees: await callee.prepare() };
}

/** The last of what the caller said while it rang: the server has kept that. */
function kept(t, caller) {
  t.mock.timers.tick(200);
  return caller.said().slice(-1);
}

beforeEach(() => {
  PeerConnection.made = [];
});

test("each takes the offer of the other one for the answer to its own, and the caller checks first", async (t) => {
  const { caller, callee, callers, callees } = await two(t);
  callers.find("host");
  callees.find("host");
  const early = kept(t, caller);
  assert.deepEqual([early[0].kind, early[0].connection, early[0].round], ["answer", null, 1]);
  assert.match(early[0].sdp, /candidate:host/);
  assert.deepEqual([callers, callees].map(({ localDescription }) => localDescription.sdp.includes("a=ice-lite")), [true, false]);
  assert.doesNotMatch(early[0].sdp, /ice-lite/);
  for (const side of [caller, callee]) side.connection.expect();
  await callee.hear(early);
  await caller.hear(callee.said());
  const answer = caller.said();
  assert.doesNotMatch(answer[0].sdp, /ice-lite/);
  assert.match(callees.remoteDescription.sdp, /ufrag:1\r\na=setup:active\r\n$/);
  assert.match(callers.remoteDescription.sdp, /ufrag:2\r\na=setup:passive/);
  assert.match(callers.remoteDescription.sdp, /candidate:host/);
  assert.deepEqual(callees.added, []);
  t.mock.timers.tick(100);
  await settled();
  assert.deepEqual(callees.added, ["candidate:host"]);
  await callee.hear(answer);
  assert.equal(PeerConnection.made.length, 2);
});

test("offers that do not fit are answered as ever, and no candidate is lost", async (t) => {
  const { caller, callee, callers, callees } = await two(t, "100");
  callers.find("host");
  for (const candidate of ["host", "srflx", "relay"]) callees.find(candidate);
  const early = kept(t, caller);
  for (const side of [caller, callee]) side.connection.expect();
  await callee.hear(early);
  assert.equal(callees.remoteDescription, null);
  await caller.hear(callee.said());
  const anew = PeerConnection.made.at(-1);
  assert.deepEqual([callers.signalingState, anew.remoteDescription.type, anew.added], ["closed", "offer", []]);
  for (const candidate of ["host", "srflx", "relay"]) assert.match(anew.remoteDescription.sdp, RegExp(`candidate:${candidate}`));
  await callee.hear(caller.said());
  assert.match(callees.remoteDescription.sdp, /ufrag:3/);
});

test("a callee that has got no early answer takes the one that follows", async (t) => {
  const { caller, callee, callers, callees } = await two(t);
  callers.find("host");
  kept(t, caller);
  for (const side of [caller, callee]) side.connection.expect();
  await caller.hear(callee.said());
  await callee.hear(caller.said());
  assert.match(callees.remoteDescription.sdp, /ufrag:1\r\na=setup:active/);
});

test("candidates that are found after the early answer reach the callee", async (t) => {
  const { caller, callee, callers, callees } = await two(t);
  callers.find("host");
  const early = kept(t, caller);
  callers.find("relay");
  for (const side of [caller, callee]) side.connection.expect();
  await callee.hear(early);
  await caller.hear(callee.said());
  callers.find("later");
  await callee.hear(caller.said());
  assert.deepEqual(callees.added.sort(), ["candidate:host", "candidate:relay", "later"]);
});

test("an early answer of a network that is no more is followed by another offer", async (t) => {
  const { caller, callee, callers } = await two(t);
  callers.find("host");
  const dead = kept(t, caller);
  const moved = await caller.prepare();
  for (const side of [caller, callee]) side.connection.expect();
  await callee.hear(dead);
  await caller.hear(callee.said());
  await callee.hear(caller.said());
  const again = PeerConnection.made.at(-1);
  assert.equal(again.signalingState, "have-local-offer");
  await caller.hear(callee.said());
  await callee.hear(caller.said());
  assert.equal(moved.signalingState, "closed");
  assert.equal(again.remoteDescription.type, "answer");
  // Where a connection is renewed in a call the last picture stays until there is another one.
  assert.deepEqual([caller.expects, callee.expects], [2, 1]);
});

test("whoever has taken the early answer, and is asked for the offer, says it again", async (t) => {
  const { caller, callee, callers } = await two(t);
  callers.find("host");
  const early = kept(t, caller);
  for (const side of [caller, callee]) side.connection.expect();
  await callee.hear(early);
  callee.said();
  await callee.hear([{ kind: "negotiate" }]);
  await caller.hear(callee.said());
  assert.equal(callers.remoteDescription.type, "answer");
});

test("once the other page is there, nothing is answered before its offer, and no candidate is lost", async (t) => {
  const { caller, callee, callers, callees } = await two(t);
  callers.find("host");
  kept(t, caller);
  for (const side of [caller, callee]) side.connection.expect();
  callers.find("late");
  callers.find("");
  t.mock.timers.tick(200);
  assert.deepEqual(caller.said(), []);
  await caller.hear(callee.said());
  await callee.hear(caller.said());
  assert.match(callees.remoteDescription.sdp, /a=candidate:late/);
});

test("whoever comes to another network before there is an offer asks for one", async (t) => {
  const { caller } = await two(t);
  caller.connection.expect();
  caller.connection.move(true);
  assert.deepEqual(caller.said(), [{ kind: "negotiate" }]);
});

test("a connection that falls silent is missed, and repaired when the relay is back, though it seems to stand", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  let now = performance.now();
  t.mock.method(performance, "now", () => now);
  const side = new Side(t, true, "96");
  await side.hear([{ kind: "negotiate" }]);
  const [peer] = PeerConnection.made;
  peer.become("connected");
  /** Seconds in which so many bytes come. */
  const pass = async (seconds, bytes) => {
    for (let second = 0; second < seconds; second += 0.5) {
      peer.received += bytes;
      now += 500;
      t.mock.timers.tick(500);
      await settled();
    }
  };
  await pass(4, 1_000);
  side.isDue = false;
  await pass(4, 0);
  side.isDue = true;
  await pass(4, 1_000);
  side.connection.reach(false);
  side.connection.reach(true);
  assert.deepEqual([side.misses, peer.restarts], [0, 0]);
  await pass(2, 0);
  assert.deepEqual([side.misses, peer.restarts], [1, 0]);
  side.connection.reach(false);
  await pass(2, 0);
  side.connection.reach(true);
  assert.deepEqual([side.misses, peer.restarts], [1, 1]);
  peer.become("disconnected");
  assert.equal(side.misses, 2);
});

test("a browser that tells of ICE alone, as Firefox before 113, is connected once the channel is open, too", async (t) => {
  t.mock.timers.enable({ apis: ["setTimeout", "setInterval"] });
  globalThis.RTCPeerConnection = OldPeerConnection;
  t.after(() => (globalThis.RTCPeerConnection = PeerConnection));
  const side = new Side(t, true, "96");
  await side.hear([{ kind: "negotiate" }]);
  const [peer] = PeerConnection.made;
  side.connection.reach(true);
  const flowing = (state) => {
    peer.become(state);
    return side.connection.flowing;
  };
  assert.deepEqual(["checking", "connected"].map(flowing), [false, false]);
  peer.open();
  assert.equal(side.connection.flowing, true);
  assert.deepEqual(["completed", "disconnected"].map(flowing), [true, false]);
  assert.deepEqual([side.misses, peer.restarts], [1, 0]);
  peer.become("failed");
  t.mock.timers.tick(500);
  assert.deepEqual([PeerConnection.made.length, peer.restarts], [1, 1]);
});
