/**
 * Plays a story with a daemon: `node run_story.mjs STORY PROTOCOL ACCOUNT_URL SIGNALING_URL` prints the log;
 * STORY is its JSON.
 * On Node.js 20 it needs `--experimental-websocket`.
 */

import { once } from "node:events";
import net from "node:net";

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

const [story, protocol, accounts, signaling] = process.argv.slice(2);
const log = await play(JSON.parse(story), protocol, { site: accounts, gate: () => gate(new URL(signaling)) });
process.stdout.write(log);
