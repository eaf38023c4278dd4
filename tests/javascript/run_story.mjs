/**
 * Plays stories with daemons. Each line of its input is a JSON array, the story, its protocol and the URLs of accounts and
 * signaling; for each it prints a line, `{log, errors, left}`: its log, what was written to the output for errors, and what it
 * began that goes on all the same. On Node.js 20 it needs `--experimental-websocket`.
 */

import { once } from "node:events";
import net from "node:net";
import { createInterface } from "node:readline";
import { setTimeout } from "node:timers/promises";

import { play } from "./story.mjs";

/** A TCP forwarder, which can be shut and cut. */
async function gate({ hostname, port }) {
  const passing = new Set();
  let isShut = false;
  const listening = net.createServer((near) => {
    near.on("error", () => {});
    if (isShut) return near.destroy();
    const far = net.connect(Number(port), hostname);
    far.on("error", () => {});
    near.on("close", () => far.destroy());
    far.on("close", () => near.destroy());
    near.pipe(far).pipe(near);
    passing.add(near);
    return near.on("close", () => passing.delete(near));
  });
  listening.unref();
  await once(listening.listen(0, "127.0.0.1"), "listening");
  return {
    site: `http://127.0.0.1:${listening.address().port}`,
    shut(value) {
      isShut = value;
    },
    cut() {
      for (const near of passing) near.resetAndDestroy();
    },
  };
}

/** Milliseconds after which a story that does not end has failed. */
const LIMIT = 120_000;
/** Milliseconds until it is looked again whether all has ended. */
const LOOK_AGAIN = 5;

/** The text that was written to the output for errors, and the errors that nobody has caught. */
let errors = "";
process.stderr.write = (text) => {
  errors += text;
  return true;
};
process.on("uncaughtException", (error) => {
  errors += error.stack;
});

/** The outcome of a story, once nothing that it began keeps the process alive any more. */
async function outcome([story, protocol, accounts, signaling]) {
  errors = "";
  let log = "";
  const until = performance.now() + LIMIT;
  try {
    log = await play(story, protocol, { site: accounts, gate: () => gate(new URL(signaling)) });
  } catch (error) {
    errors += error.stack;
  }
  while (underWay().length > 0 && performance.now() < until) await setTimeout(LOOK_AGAIN);
  return { log, errors, left: underWay() };
}

/** The kinds of resources that keep the process alive beside its input and output. */
function underWay() {
  return process.getActiveResourcesInfo().filter((kind) => kind !== "PipeWrap");
}

for await (const line of createInterface({ input: process.stdin })) {
  process.stdout.write(`${JSON.stringify(await outcome(JSON.parse(line)))}\n`);
}
process.exit(); // whatever a story has left
