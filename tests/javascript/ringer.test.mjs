// The ring of the page (callnet/static/shared/ringer.js), in browsers that let a page sound each in their own way.

import assert from "node:assert/strict";
import { beforeEach, mock, test } from "node:test";

import { Ringer } from "../../callnet/static/shared/ringer.js";

/** How many tones an incoming call has each time that it comes again, and after how many milliseconds it does. */
const TONES = 6;
const AGAIN = 3_000;

class Node {
  #outputs = new Set();
  gain = { setValueAtTime() {}, linearRampToValueAtTime() {}, exponentialRampToValueAtTime() {} };
  frequency = {};
  constructor(context) {
    this.context = context;
  }
  connect(output) {
    this.#outputs.add(output);
    return output;
  }
  disconnect() {
    this.#outputs.clear();
  }
  start() {}
  stop() {}
  /** Whether what it plays comes out. */
  get isAudible() {
    return Array.from(this.#outputs).some((output) => output === this.context.destination || output.isAudible);
  }
}

/** A context that each browser lets run if `mayRun` is so at that moment, and from then on at any time. */
class Context {
  static all = [];
  static mayRun = false;
  #isFree = false;
  #waiting = [];
  #tones = [];
  state = "suspended";
  currentTime = 0;
  destination = {};
  constructor() {
    Context.all.push(this);
  }
  /** How many tones come out of all of them. */
  static get audible() {
    return Context.all
      .filter(({ state }) => state === "running")
      .flatMap((context) => context.#tones)
      .filter(({ isAudible }) => isAudible).length;
  }
  async resume() {
    if (this.state === "closed") throw new DOMException("", "InvalidStateError");
    this.#isFree ||= Context.mayRun;
    if (!this.#isFree) return new Promise((resolve) => this.#waiting.push(resolve));
    this.state = "running";
    for (const resolve of this.#waiting.splice(0)) resolve();
  }
  async suspend() {
    this.state = "suspended";
  }
  async close() {
    this.state = "closed";
  }
  createGain() {
    return new Node(this);
  }
  createOscillator() {
    this.#tones.push(new Node(this));
    return this.#tones.at(-1);
  }
}

/** WebKit on an iPhone lets a context run while it handles what somebody does; others, once somebody has done something. */
const BROWSERS = { "an iPhone": false, "another browser": true };
let isRemembered = false;

const settled = () => new Promise((resolve) => setImmediate(resolve));

/** Do what somebody does, such as "click". */
async function touch(kind) {
  Context.mayRun = kind !== "pointerdown"; // it may become a swipe
  document.dispatchEvent(new Event(kind));
  Context.mayRun &&= isRemembered;
  await settled();
}

function ringerIn(browser) {
  isRemembered = BROWSERS[browser];
  return new Ringer();
}

async function ring(ringer, kind) {
  ringer.ring(kind, "Ann is calling", "callnet", "", true);
  await settled();
}

beforeEach(() => {
  globalThis.window = globalThis;
  globalThis.document = Object.assign(new EventTarget(), { title: "" });
  globalThis.AudioContext = Context;
  globalThis.matchMedia = () => ({ matches: true });
  [Context.all, Context.mayRun] = [[], false];
  mock.timers.reset();
  mock.timers.enable({ apis: ["setInterval"] });
});

for (const browser of Object.keys(BROWSERS)) {
  test(`each ring sounds long after the page was touched: ${browser}`, async () => {
    const ringer = ringerIn(browser);
    await touch("pointerup");
    for (const kind of ["incoming", "incoming"]) {
      await ring(ringer, kind);
      assert.equal(Context.audible, TONES);
      mock.timers.tick(AGAIN);
      assert.equal(Context.audible, 2 * TONES);
      await ring(ringer, "countdown");
      assert.equal(Context.audible, 2);
      await ring(ringer, null);
      assert.equal(Context.audible, 0);
    }
  });

  test(`a ring before the page was touched sounds with the first touch: ${browser}`, async () => {
    const ringer = ringerIn(browser);
    await ring(ringer, "incoming");
    mock.timers.tick(AGAIN);
    assert.equal(Context.audible, 0);
    await touch("pointerdown");
    await touch("pointerup");
    assert.equal(Context.audible, TONES);
  });

  test(`a ring that nobody could hear sounds no more when it is over: ${browser}`, async () => {
    const ringer = ringerIn(browser);
    await ring(ringer, "incoming");
    await ring(ringer, null);
    await touch("click");
    assert.equal(Context.audible, 0);
    await ring(ringer, "countdown");
    assert.equal(Context.audible, 2);
  });

  test(`nothing runs while nothing rings: ${browser}`, async () => {
    const ringer = ringerIn(browser);
    const areRunning = () => Context.all.some(({ state }) => state === "running");
    for (const kind of ["keydown", "click"]) {
      await touch(kind);
      assert.ok(!areRunning());
    }
    await ring(ringer, "incoming");
    await ring(ringer, null);
    assert.ok(!areRunning());
  });
}
