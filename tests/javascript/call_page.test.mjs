// Those parts of the call's page (callnet/static/demo) that need no page.

import assert from "node:assert/strict";
import { test } from "node:test";

import { asAnswer, fit } from "../../callnet/static/demo/early.js";
import { verificationOf } from "../../callnet/static/demo/fingerprints.js";
import { Files, LARGEST_FILE, safeName } from "../../callnet/static/demo/files.js";
import { linked } from "../../callnet/static/demo/links.js";
import { readNote } from "../../callnet/static/demo/notes.js";
import { noticeOf, sceneOf } from "../../callnet/static/demo/scene.js";
import { IceServers } from "../../callnet/static/demo/servers.js";
import { setUp } from "../../callnet/static/demo/setup.js";

const ID = "ab".repeat(16);

// Verification

const sdpOf = (digits) => ({ sdp: `a=fingerprint:sha-256 ${Array(32).fill(digits).join(":")}\r\n` });

test("what is heard before this page learns that the descriptions are in force breaks nothing", async () => {
  const peer = { currentLocalDescription: sdpOf("AA"), currentRemoteDescription: null, getTransceivers: () => [] };
  const said = [];
  let learn;
  const learned = new Promise((resolve) => {
    learn = resolve;
  });
  const run = verificationOf(peer, { settled: () => learned, offers: false, say: (note) => said.push(note.kind), changed() {} });
  assert.ok(run.hear({ kind: "commit", hash: "0".repeat(64) }));
  await new Promise((resolve) => setTimeout(resolve));
  assert.deepEqual([run.state, said], ["pending", []]);
  peer.currentRemoteDescription = sdpOf("BB");
  learn();
  await run.recheck();
  assert.deepEqual([run.state, said], ["pending", ["nonce"]]);
});

test("another certificate is seen though its description is replaced before the page has done what it has to", async () => {
  const peer = { currentLocalDescription: sdpOf("AA"), currentRemoteDescription: sdpOf("BB"), getTransceivers: () => [] };
  let settle;
  const busy = new Promise((resolve) => {
    settle = resolve;
  });
  const run = verificationOf(peer, { settled: () => busy, offers: false, say() {}, changed() {} });
  run.begin();
  await run.recheck();
  assert.equal(run.state, "pending");
  peer.currentRemoteDescription = sdpOf("CC");
  const checked = run.recheck();
  await new Promise((resolve) => setTimeout(resolve));
  peer.currentRemoteDescription = sdpOf("BB");
  settle();
  await checked;
  assert.equal(run.state, "broken");
});

// Answers before the offer

const OFFER = [
  "v=0",
  "o=- 1 2 IN IP4 127.0.0.1",
  "a=group:BUNDLE 0 1",
  "m=audio 9 UDP/TLS/RTP/SAVPF 111 9",
  "a=ice-ufrag:abcd",
  "a=setup:actpass",
  "a=mid:0",
  "a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level",
  "a=rtpmap:111 opus/48000/2",
  "a=fmtp:111 minptime=10",
  "m=application 9 UDP/DTLS/SCTP webrtc-datachannel",
  "a=setup:actpass",
  "a=mid:1",
  "a=sctp-port:5000",
  "",
].join("\r\n");

test("two offers fit if they have the same lines, formats and extensions by the same numbers", () => {
  const other = OFFER.replace("o=- 1", "o=- 7").replace("abcd", "efgh").replace("audio 9 ", "audio 50123 ");
  assert.ok(fit(OFFER, other.replaceAll("\r\n", "\n")));
  for (const [line, with_] of [
    ["111 9", "111 0"],
    ["opus/48000/2", "opus/48000"],
    ["extmap:1", "extmap:2"],
    ["minptime=10", "minptime=20"],
    ["BUNDLE 0 1", "BUNDLE 0"],
    ["sctp-port:5000", "sctp-port:5001"],
  ]) {
    assert.equal(fit(OFFER, other.replace(line, with_)), false, line);
  }
});

test("an answer says on every line which side opens DTLS", () => {
  assert.equal(asAnswer(OFFER, "active"), OFFER.replaceAll("actpass", "active"));
});

// Links

const hrefs = (text) => linked(text).flatMap(({ href }) => (href === null ? [] : [href]));

test("addresses of the web are links, whole and without what ends the sentence", () => {
  assert.deepEqual(linked("see https://example.org/a?b=1#c."), [
    { text: "see ", href: null },
    { text: "https://example.org/a?b=1#c", href: "https://example.org/a?b=1#c" },
    { text: ".", href: null },
  ]);
  assert.deepEqual(hrefs("(http://a.example/x_(y)) 请看https://b.example/页，谢谢"), [
    "http://a.example/x_(y)",
    "https://b.example/%E9%A1%B5",
  ]);
});

test("nothing else is a link, and no text is lost", () => {
  for (const text of [
    "javascript:alert(1)",
    "data:text/html,x",
    "example.org",
    "https://",
    "https://bank.example@evil.example/",
    "ftp://x.example",
    "",
  ]) {
    assert.deepEqual(hrefs(text), []);
  }
  for (const text of ["a\nhttps://b.example/ c", "https://a.example,https://b.example", "…"]) {
    assert.equal(linked(text).map((part) => part.text).join(""), text);
  }
});

// Notes

test("the notes of files and reactions are read, and none that breaks a rule", () => {
  const good = { kind: "file", id: ID, name: "a", size: LARGEST_FILE };
  assert.deepEqual(readNote(JSON.stringify(good)), good);
  for (const wrong of [{ size: 0 }, { size: LARGEST_FILE + 1 }, { size: 1.5 }, { name: "" }, { id: "1" }, { name: "x".repeat(256) }]) {
    assert.equal(readNote(JSON.stringify({ ...good, ...wrong })), null);
  }
  assert.equal(readNote(JSON.stringify({ kind: "reaction", emoji: "x".repeat(17) })), null);
  assert.equal(readNote(JSON.stringify({ kind: "reaction", emoji: "👍" })).emoji, "👍");
});

// Files

test("a name can be saved: no path, nothing hidden, nothing too long, its ending kept", () => {
  assert.equal(safeName("../../etc/passwd"), "_.._etc_passwd");
  assert.equal(safeName("C:\\a\u0000b\u202ecod.exe"), "C__a_b_cod.exe");
  assert.equal(safeName("..."), "file");
  assert.equal(safeName(".bashrc"), "bashrc");
  const long = safeName(`${"照".repeat(300)}.jpeg`);
  assert.equal(Array.from(long).length, 120);
  assert.ok(long.endsWith(".jpeg"));
});

/** A channel whose other end takes what is sent only when it is told to. */
class Channel {
  readyState = "connecting";
  bufferedAmount = 0;
  bufferedAmountLowThreshold = 0;
  waiting = [];
  constructor(label) {
    this.label = label;
  }
  send(data) {
    this.waiting.push(data);
    this.bufferedAmount += data.byteLength ?? data.length;
  }
  open(other) {
    this.readyState = other.readyState = "open";
    this.other = other;
    other.other = this;
    this.onopen?.();
  }
  flow() {
    this._deliver();
    this.onbufferedamountlow?.();
  }
  _deliver() {
    for (const data of this.waiting.splice(0)) {
      this.bufferedAmount -= data.byteLength ?? data.length;
      this.other.onmessage?.({ data });
    }
  }
  /** What waits is sent before. */
  close() {
    if (this.readyState === "open") this._deliver();
    this.lose();
  }
  lose() {
    for (const end of [this, this.other]) {
      if (end === undefined || end.readyState === "closed") continue;
      end.readyState = "closed";
      end.onclose?.();
    }
  }
}

/**
 * Two sides, the channels that were opened between them, and what became of each transfer. `isOld`: they do not know what
 * was not said in the first version.
 */
function two({ isOld = false, hasChannels = true } = {}) {
  const channels = [];
  const seen = { here: new Map(), there: new Map() };
  const side = (name, other) =>
    new Files({
      tell: (note) => {
        sides[other].hear(readNote(JSON.stringify(isOld ? { ...note, says_done: undefined } : note)));
        return true;
      },
      open: (label) => {
        if (!hasChannels) return null;
        channels.push(new Channel(label));
        return channels.at(-1);
      },
      changed: (transfer) => seen[name].set(transfer.id, transfer),
    });
  const sides = { here: side("here", "there"), there: side("there", "here") };
  return { ...sides, channels, seen };
}

const settled = () => new Promise((resolve) => setTimeout(resolve));
const fileOf = (size) => Object.assign(new Blob([new Uint8Array(size).map((_, place) => place % 251)]), { name: "a.bin" });

/** A file that was offered and accepted: its channel stands, and nothing has gone over it. */
async function accepted(size, options = {}) {
  const all = two(options);
  assert.ok(all.here.offer(fileOf(size)));
  const [id] = all.seen.there.keys();
  all.there.accept(id);
  const [channel] = all.channels;
  const far = new Channel(channel.label);
  all.there.take(far);
  channel.open(far);
  await settled();
  return { ...all, id, channel, far };
}

test("a file goes in pieces, no more than fit, and is done at both sides when it has arrived", async () => {
  const { id, channel, seen } = await accepted(1_000_000);
  assert.ok(channel.bufferedAmount <= 262_144 + 16_384);
  assert.ok(channel.waiting.every((data) => data.byteLength <= 16_384));
  for (let round = 0; round < 10; round += 1) channel.flow();
  const [own, theirs] = [seen.here.get(id), seen.there.get(id)];
  assert.deepEqual([own.state, theirs.state, own.moved], ["done", "done", 1_000_000]);
  const bytes = new Uint8Array(await theirs.content.arrayBuffer());
  assert.ok(bytes.every((value, place) => value === place % 251));
  assert.equal(theirs.content.type, "application/octet-stream");
});

test("a file that was handed over is not sent if the receiver is gone before it has all of it", async () => {
  for (const pieces of [0, 2, 3]) {
    const { id, channel, far, seen } = await accepted(40_000);
    far.send = () => {}; // lost with the connection
    for (const data of channel.waiting.slice(0, pieces)) far.onmessage({ data });
    channel.lose();
    const states = [seen.here.get(id).state, seen.there.get(id).state];
    assert.deepEqual(states, ["failed", pieces === 3 ? "done" : "failed"]);
  }
});

test("a receiver of an older version closes the channel when it has all of it", async () => {
  const { id, channel, far, seen } = await accepted(40_000, { isOld: true });
  far.send = () => {};
  channel.flow();
  assert.equal(seen.here.get(id).state, "done");
});

test("a receiver is told if there is no way to send what it has accepted", () => {
  const all = two({ hasChannels: false });
  all.here.offer(fileOf(10));
  const [id] = all.seen.there.keys();
  all.there.accept(id);
  assert.deepEqual([all.seen.here.get(id).state, all.seen.there.get(id).state], ["failed", "cancelled"]);
});

test("either side can stop it", async () => {
  for (const who of ["here", "there"]) {
    const all = await accepted(1_000_000);
    all.channel.flow();
    all[who].cancel(all.id);
    assert.deepEqual([all.seen.here.get(all.id).state, all.seen.there.get(all.id).state], ["cancelled", "cancelled"]);
    assert.equal(all.channel.readyState, "closed");
  }
});

test("more than was offered is not taken", async () => {
  const { id, far, seen } = await accepted(10);
  far.onmessage({ data: new ArrayBuffer(11) });
  assert.equal(seen.there.get(id).state, "cancelled");
  assert.equal(seen.there.get(id).content, null);
});

test("nothing is sent that was not accepted, and no channel is taken that nobody waits for", () => {
  const all = two();
  all.here.offer(fileOf(10));
  assert.equal(all.channels.length, 0);
  const stray = new Channel(`file-${ID}`);
  stray.readyState = "open";
  all.there.take(stray);
  assert.equal(stray.readyState, "closed");
});

test("with the connection all is given up that was under way", async () => {
  const { here, there, id, seen } = await accepted(1_000_000);
  here.drop();
  there.drop();
  assert.deepEqual([seen.here.get(id).state, seen.there.get(id).state], ["failed", "failed"]);
});

test("an empty file and one that is too large are not offered", () => {
  const { here, seen } = two();
  assert.equal(here.offer({ name: "a", size: 0 }), false);
  assert.equal(here.offer({ name: "a", size: LARGEST_FILE + 1 }), false);
  assert.equal(seen.here.size, 0);
});

// What the page says

const MEETING = {
  over: "",
  flowing: false,
  refusal: "",
  online: true,
  own: { state: "open" },
  room: { state: "meeting", peer: { session: ID, present: true } },
  roomId: "a",
  flowedAt: null,
  connectingAt: 0,
  choosingSince: null,
};
const titleOf = (facts) => sceneOf({ ...MEETING, ...facts }, 5_000, 0, "a").title;

test("whoever refuses the camera in a call that was prepared is asked what to do", () => {
  assert.equal(titleOf({ flowing: true, own: { state: "asking" } }), "connected");
  assert.equal(titleOf({ flowing: true, own: { state: "refused" } }), "refused");
});

test("who is choosing camera and microphone, and who has left, is told apart from who cannot be reached", () => {
  assert.equal(titleOf({}), "connecting");
  assert.equal(titleOf({ choosingSince: 4_500 }), "connecting");
  assert.equal(titleOf({ choosingSince: 1_000 }), "choosing");
  assert.equal(titleOf({ choosingSince: 1_000, isStranded: true }), "choosing");
  assert.equal(titleOf({ hasOtherLeft: true, flowedAt: 1 }), "left");
  assert.equal(titleOf({ flowedAt: 1 }), "reconnecting");
});

test("a picture that stands still is no camera that is off", () => {
  const call = { ...MEETING, flowing: true, own: { state: "open", problem: "", screen: null }, other: {}, quality: "bad" };
  assert.equal(noticeOf(call, false, ""), "bad");
  assert.equal(noticeOf({ ...call, isFrozen: true }, false, ""), "frozen");
});

test("two networks without a path or a relay are named as that, and reported", () => {
  assert.equal(titleOf({ isLost: true }), "lost");
  assert.equal(titleOf({ isLost: true, isApart: true }), "apart");
  const none = { path: "none", seconds: 30, relay_offered: false, relay_answered: false };
  assert.deepEqual(setUp(null, 30_000, {}, new IceServers()), none);
  assert.deepEqual(setUp(500, null, { path: "host" }, new IceServers()), { path: "host", seconds: 0.5 });
});

test("a relay that does not answer is told apart from none, and from one that does", () => {
  assert.equal(titleOf({ isLost: true, isRelayAway: true }), "relay_away");
  const servers = new IceServers();
  servers.take([{ urls: ["stun:stun.example"] }, { urls: ["turn:turn.example"], username: "a", credential: "b" }]);
  const none = { path: "none", seconds: 30, relay_offered: true, relay_answered: false };
  servers.note("candidate:1 1 udp 1 203.0.113.7 7 typ srflx raddr 0.0.0.0 rport 0");
  assert.deepEqual(setUp(null, 30_000, {}, servers), none);
  servers.note("candidate:2 1 udp 1 203.0.113.7 8 typ relay raddr 203.0.113.7 rport 7");
  assert.deepEqual(setUp(null, 30_000, {}, servers), { ...none, relay_answered: true });
});
