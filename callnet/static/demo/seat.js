/**
 * Where this tab sits in a room (docs/room.md).
 */

import { randomId } from "../client/room.js";
import { tab } from "../shared/memory.js";

/** The key of this tab's seat in a room, the same after a reload. */
export function seatKey(roomId) {
  const name = `seat.${roomId}`;
  const key = tab.get(name) ?? randomId();
  tab.set(name, key);
  return key;
}

/** The switches of that seat as they were left, `{isMuted, isCameraOff}`: a reload sends no more than before. */
export function keptSwitches(roomId) {
  return tab.get(`switches.${roomId}`) ?? { isMuted: false, isCameraOff: false };
}

/** Keep them. */
export function keepSwitches(roomId, { isMuted, isCameraOff }) {
  tab.set(`switches.${roomId}`, isMuted || isCameraOff ? { isMuted, isCameraOff } : null);
}
