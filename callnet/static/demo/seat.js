/**
 * Where this tab sits in a room (docs/room.md).
 */

import { tab } from "../shared/memory.js";
import { randomId } from "./ids.js";

/** The address of the server's room socket. */
export function socketUrl() {
  const url = new URL("/room", location.href);
  url.protocol = location.protocol === "https:" ? "wss:" : "ws:";
  return url.href;
}

/** The key of this tab's seat in a room, the same after a reload. */
export function seatKey(roomId) {
  const name = `seat.${roomId}`;
  const key = tab.get(name) ?? randomId();
  tab.set(name, key);
  return key;
}
