/**
 * The active call that a tab remembers over a reload. It is kept again and again while it goes on.
 */

import { tab } from "./memory.js";

/** Milliseconds after which the server has ended a call whose device is gone, and its room may be another's. */
const KEPT_FOR = 120_000;

/** Keep what is to be known of a call; null: there is none. */
export function keepCall(name, call) {
  tab.set(name, call && { ...call, keptAt: Date.now() });
}

/** What was kept last under a name; null: nothing, or too long ago. */
export function keptCall(name) {
  const kept = tab.get(name);
  const isOld = Date.now() - kept?.keptAt >= KEPT_FOR; // a page of 1.0.0rc1 has kept no time
  return isOld ? null : kept;
}
