// One visit to a room by the page of a call (callnet/static/demo/call.js), over a socket and RTCPeerConnections that a test
// moves. This side has no devices.

import assert from "node:assert/strict";
import { test } from "node:test";

import { PeerConnection } from "./webrtc.mjs";
import { begin, FakeSocket, settled } from "./wire.mjs";

/** The session of the other page, which is less than any: this side offers. */
const OTHER = "0".repeat(32);
const HANDLERS = ["changed", "expected", "picture", "screen", "chat", "reaction", "signal"];
const nothing = () => {};

Object.defineProperty(globalThis, "navigator", { value: {}, configurable: true });
Object.assign(globalThis, {
  addEventListener: nothing,
  removeEventListener: nothing,
  HTMLMediaElement: class {},
  location: { origin: "https://calls.example.org:8080" },
  WebSocket: FakeSocket,
});
const { Call } = await import("../../callnet/static/demo/call.js");
const { Own } = await import("../../callnet/static/demo/own.js");

/** A call with another page, which has asked for an offer, and the last state of each file in it. */
class Talk {
  files = new Map();

  constructor(t) {
    this.clock = begin(t);
    PeerConnection.made = [];
    const own = new Own("", { changed: nothing, replaced: nothing, failed: nothing });
    const handlers = Object.fromEntries(HANDLERS.map((name) => [name, nothing]));
    handlers.file = ({ id, state }) => this.files.set(id, state);
    own.goWithout();
    this.call = new Call(own, handlers, { isRelayOnly: false, side: "", hold: { here: false, there: false } });
    t.after(() => this.call.leave());
    this.call.join("kitchen");
    FakeSocket.last.open();
    FakeSocket.last.hear({
      type: "room", state: "meeting", reason: "", ice_servers: [], peer: { session: OTHER, present: true },
    });
    FakeSocket.last.hear({ type: "relay", from: OTHER, data: { kind: "negotiate" } });
  }

  get peer() {
    return PeerConnection.made.at(-1);
  }

  /** Have media flow over the RTCPeerConnection. */
  async connect() {
    await settled();
    this.peer.become("connected");
    this.peer.open();
  }

  /** Let seconds pass, in each of which so many bytes of media come. The server answers. */
  async pass(seconds, bytes = 0) {
    for (let halves = 0; halves < 2 * seconds; halves += 1) {
      this.peer.received += bytes / 2;
      this.clock.pass(500, () => FakeSocket.last.sent.at(-1).type === "ping" && FakeSocket.last.hear({ type: "pong" }));
      await settled();
    }
  }

  /** Hear what the other side tells of its microphone and its camera. */
  hear({ isMuted, isCameraOff }) {
    const note = { kind: "state", muted: isMuted, camera_off: isCameraOff, sharing: false };
    this.peer.channel.onmessage({ data: JSON.stringify(note) });
  }

  /** The texts and emoji that went over an RTCPeerConnection. */
  written({ channel }) {
    return channel.told.flatMap(({ text, emoji }) => text ?? emoji ?? []);
  }
}

test("what is written while the connection is broken is not said to be sent, whatever becomes of the connection", async (t) => {
  const talk = new Talk(t);
  await talk.connect();
  const first = talk.peer;
  assert.deepEqual([talk.call.chat("Hello"), talk.call.react("👍")], [true, true]);
  first.become("disconnected");
  assert.deepEqual([talk.call.chat("I am on my way"), talk.call.react("🎉")], [false, false]);
  await talk.pass(12);
  assert.equal(first.restarts, 1);
  assert.notEqual(talk.peer, first);
  assert.equal(talk.call.chat("Still on my way"), false);
  await talk.connect();
  assert.equal(talk.call.chat("Here"), true);
  assert.deepEqual([first, talk.peer].map(talk.written), [["Hello", "👍"], ["Here"]]);
});

test("a file that is offered outlives a new path, and no new RTCPeerConnection", async (t) => {
  const talk = new Talk(t);
  await talk.connect();
  assert.ok(talk.call.files.offer({ name: "photo.jpg", size: 1_000 }));
  talk.peer.become("disconnected");
  await talk.pass(4);
  talk.peer.become("connected");
  assert.deepEqual([...talk.files.values()], ["offered"]);
  talk.peer.become("failed");
  await talk.pass(12);
  assert.equal(PeerConnection.made.length, 2);
  await talk.connect();
  assert.deepEqual([...talk.files.values()], ["failed"]);
});

const ON = { isMuted: false, isCameraOff: false };
const goOn = (talk) => talk.call.hold({ here: false, there: false });
for (const [name, fall, end] of [
  ["of a call that is held here", (talk) => talk.call.hold({ here: true, there: false }), goOn],
  ["of a call that the other side holds", (talk) => talk.call.hold({ here: false, there: true }), goOn],
  [
    "of who has neither microphone nor camera",
    (talk) => talk.hear({ isMuted: true, isCameraOff: true }),
    (talk) => talk.hear(ON),
  ],
]) {
  test(`the silence ${name} is no poor connection, but one that comes after it may be`, async (t) => {
    const talk = new Talk(t);
    await talk.connect();
    await talk.pass(8, 1_000);
    fall(talk);
    await talk.pass(6);
    assert.deepEqual([talk.call.quality, talk.call.isFrozen], ["good", false]);
    end(talk);
    await talk.pass(4); // a camera opens
    assert.equal(talk.call.quality, "good");
    await talk.pass(2, 1_000);
    await talk.pass(4);
    assert.equal(talk.call.quality, "bad");
  });
}

test("who has a microphone or a camera on is missed", async (t) => {
  for (const switches of [ON, { ...ON, isMuted: true }, { ...ON, isCameraOff: true }]) {
    const talk = new Talk(t);
    await talk.connect();
    talk.hear(switches);
    await talk.pass(8, 1_000);
    await talk.pass(4);
    assert.equal(talk.call.quality, "bad");
  }
});
