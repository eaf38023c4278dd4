/**
 * A new release of the page, which nobody is there to load: the site names its scripts under another version then
 * (callnet/web/site.py).
 */

import { tab } from "../shared/memory.js";

const VERSION = /\/v-[0-9a-f]{16}\//;
/** Of several nodes, some may have the new release already: the page is loaded again once in this time, in milliseconds. */
const ONCE_IN = 600_000;

/** Load the page again if the site has another release of it, and `isIdle()` then. */
export async function takeNewRelease(isIdle) {
  const [own] = import.meta.url.match(VERSION) ?? [null];
  const last = tab.get("taken-at");
  if (own === null || (last !== null && Math.abs(Date.now() - last) < ONCE_IN)) return;
  const answer = await fetch(location.pathname, { cache: "no-cache" });
  const page = answer.ok ? await answer.text() : "";
  if (!VERSION.test(page) || page.includes(own) || !isIdle()) return;
  tab.set("taken-at", Date.now());
  location.reload();
}
