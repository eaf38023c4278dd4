/**
 * From the facts of a call to what the page shows: no DOM, no clock of its own.
 */

const SLOW_AFTER = 12_000;
const UNREACHABLE_AFTER = 6_000;
const CHOOSING_AFTER = 1_500;

/** A room id of 32 hex digits was made for a call; others were made up by hand (protocol §2.2). */
const OF_A_CALL = /^[0-9a-f]{32}$/;

/**
 * @param {import("./call.js").Call | null} call null: none was joined yet
 * @param {number} now on the clock of performance.now()
 * @param {number} begunAt when the visit began
 * @param {string} roomId the room that the person is about to join; "" while it is not known
 * @returns {{state: string, title: string, hint: string, ended?: string, room?: string, actions: string[]}}
 *   state: `data-call-state` (protocol §3) · title, hint, ended, actions: names in the words, the first
 *   action is the main one · room: the room id, where it helps to see it
 */
export function sceneOf(call, now, begunAt, roomId) {
  if (call === null) return lobbyScene(roomId);
  if (call.over !== "") return overScene(call);
  if (call.flowing && call.own.state !== "refused" && !call.isOnHold) return scene("connected", "connected", "");
  if (call.refusal !== "") return refusalScene(call.refusal);
  if (call.own.state === "refused") return scene("error", "refused", "refused", ["retry", "without"]);
  if (call.isApart) return scene("error", "apart", "apart", ["anew", "other_room"]);
  if (call.isRelayAway) return scene("error", "relay_away", "relay_away", ["anew", "other_room"]);
  if (call.isLost) return scene("error", "lost", "lost", ["anew", "other_room"]);
  if (call.lacksRelay) return scene("error", "no_relay", "no_relay", ["direct", "other_room"]);
  if (call.room === null) {
    const name = !call.online && now - begunAt > UNREACHABLE_AFTER ? "unreachable" : "joining";
    return scene("connecting", name, name);
  }
  const isMeeting = call.room.state === "meeting";
  const isAsking = call.own.state !== "open";
  if (isAsking) return scene(isMeeting ? "connecting" : "waiting", "permission", "permission");
  if (call.isOnHold) return scene("waiting", "on_hold", "on_hold");
  if (!isMeeting) return waitingScene(call);
  if (call.hasOtherLeft) return scene("waiting", "left", "left");
  if (call.flowedAt !== null) return scene("reconnecting", "reconnecting", lossOf(call));
  if (!call.online) return scene("connecting", "connecting", "offline");
  // Most have chosen long ago, and their browsers take a moment only.
  if (call.choosingSince !== null && now - call.choosingSince > CHOOSING_AFTER) return scene("connecting", "choosing", "choosing");
  if (call.isStranded) return scene("connecting", "connecting", "stranded");
  const isSlow = call.connectingAt !== null && now - call.connectingAt > SLOW_AFTER;
  return scene("connecting", "connecting", isSlow ? "slow" : "connecting");
}

/**
 * The name of what the person should know besides, in the words; "" if nothing.
 *
 * @param {import("./call.js").Call} call
 * @param {boolean} isSilent whether the browser plays the other side without its sound
 * @param {string} passing a notice that is shown for some seconds; "" if there is none
 */
export function noticeOf(call, isSilent, passing) {
  if (call.isOnHold) return "";
  if (isSilent) return "silent";
  if (passing !== "") return passing;
  if (call.flowing && !call.online) return "offline";
  if (call.isPictureHeld && call.own.isSeen) return "held";
  if (call.isFrozen) return "frozen";
  if (call.quality === "bad") return "bad";
  if (call.own.screen !== null && call.flowing) return "own_screen";
  if (call.own.problem !== "") return call.own.problem;
  if (call.flowing && call.other.isMuted) return "other_muted";
  return call.quality === "weak" ? "weak" : "";
}

/** Whether somebody else has a place in the room, which is no call's. */
export function canInvite(call) {
  return call !== null && call.room !== null && call.room.state !== "meeting" && !OF_A_CALL.test(call.roomId);
}

/** The name of what is to be read instead of one's own picture before the call, in the words; "" if it is there. */
export function previewOf(own) {
  if (own.state === "asking" || own.state === "refused") return own.state;
  if (own.problem !== "") return own.problem;
  return own.isCameraOff ? "off" : "";
}

function scene(state, title, hint, actions = []) {
  return { state, title, hint, actions };
}

function lobbyScene(roomId) {
  if (roomId === "") return scene("idle", "idle", "idle");
  const room = OF_A_CALL.test(roomId) ? "" : roomId;
  return { ...scene("idle", "prejoin", "prejoin"), room };
}

function overScene(call) {
  if (OF_A_CALL.test(call.roomId)) return { ...scene("ended", "ended", "", ["other_room"]), ended: call.over };
  // Of a call the server cannot say who hung up: it may have been a device of this side.
  const ended = call.over === "hangup" ? "theirs" : call.over;
  return { ...scene("ended", "ended", "", ["again", "other_room"]), ended };
}

function refusalScene(refusal) {
  switch (refusal) {
    case "full":
      return scene("full", "full", "full", ["other_room"]);
    case "taken":
      return scene("error", "taken", "taken", ["here"]);
    case "broken":
      return scene("error", "broken", "broken", ["reload"]);
    default:
      return scene("error", refusal, refusal, ["other_room"]);
  }
}

function waitingScene(call) {
  if (!call.online) return scene("reconnecting", "reconnecting", "offline");
  if (call.flowedAt !== null) return scene("waiting", "left", "left");
  if (OF_A_CALL.test(call.roomId)) return scene("waiting", "waiting", "waiting");
  return { ...scene("waiting", "waiting", "waiting_adhoc", ["invite"]), room: call.roomId };
}

function lossOf(call) {
  if (!call.online) return "offline";
  return call.room.peer.present ? "reconnecting" : "away";
}
