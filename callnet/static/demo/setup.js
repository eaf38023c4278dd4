/**
 * What the server is told of how a visit came to be connected (docs/room.md), so that its operator can count it.
 */

/** Seconds. The server takes no more. */
const LONGEST = 120;

/**
 * @param {number | null} flowedAfter milliseconds from when both pages were there until media first flowed; null: it
 *   never did
 * @param {number | null} waited milliseconds after which this page gave up; null: it has not
 * @param {object} numbers of the connection (measure.js); {}: nothing was measured yet
 * @param {import("./servers.js").IceServers} servers
 * @returns {{path: string, seconds: number, relay_offered?: boolean, relay_answered?: boolean} | null} path: "host" "srflx"
 *   "relay" "unknown", or "none" if media never flowed, then with whether there was a relay, and it answered · null: there
 *   is nothing to be told, or not yet
 */
export function setUp(flowedAfter, waited, numbers, servers) {
  if (flowedAfter !== null) return "path" in numbers ? of(pathOf(numbers), flowedAfter) : null;
  if (waited === null) return null;
  return { ...of("none", waited), relay_offered: servers.hasRelay, relay_answered: servers.hasRelayAnswered };
}

function of(path, milliseconds) {
  return { path, seconds: Math.min(LONGEST, milliseconds / 1_000) };
}

// A relay of the other side's is one, too. Whom the other side sees at an address that this one did not know of
// (prflx) is behind a NAT.
function pathOf({ path, pathRemote }) {
  if (path === "relay" || pathRemote === "relay") return "relay";
  if (path === "host") return "host";
  return path === "srflx" || path === "prflx" ? "srflx" : "unknown";
}
