/**
 * Plays stories with daemons. Each line of its input is a JSON array, the story, its protocol and the URLs of accounts and
 * signaling; for each it prints a line, `{log, errors, status}`: what a thread of its own has written to its outputs, and its
 * exit status, once nothing that the story began goes on. On Node.js 20 it needs `--experimental-websocket`.
 */

import { once } from "node:events";
import net from "node:net";
import { createInterface } from "node:readline";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { Worker, isMainThread, workerData } from "node:worker_threads";

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

/** Milliseconds after which a thread that does not end is ended, with status 1. */
const LIMIT = 120_000;

/** What becomes of a story in a thread of its own. */
async function outcome(asked) {
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: asked, stdout: true, stderr: true });
  const limit = setTimeout(() => worker.terminate(), LIMIT);
  const failures = [];
  worker.on("error", (error) => failures.push(error.stack));
  const [log, errors, status] = await Promise.all([text(worker.stdout), text(worker.stderr), exit(worker)]);
  clearTimeout(limit);
  return { log, errors: errors + failures.join("\n"), status };
}

/** Its exit status. `once` would take an error for the end. */
function exit(worker) {
  return new Promise((resolve) => {
    worker.on("exit", resolve);
  });
}

if (isMainThread) {
  for await (const line of createInterface({ input: process.stdin })) {
    process.stdout.write(`${JSON.stringify(await outcome(JSON.parse(line)))}\n`);
  }
} else {
  const [story, protocol, accounts, signaling] = workerData;
  process.stdout.write(await play(story, protocol, { site: accounts, gate: () => gate(new URL(signaling)) }));
}
