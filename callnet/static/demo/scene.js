/**
 * From the facts of a call to what the page shows: no DOM, no clock of its own.
 */

const SLOW_AFTER = 12_000;
const UNREACHABLE_AFTER = 6_000;

/** A room id of 32 hex digits was made for a call; others were made up by hand (protocol §2.2). */
const OF_A_CALL = /^[0-9a-f]{32}$/;

/**
 * @param {import("./call.js").Call | null} call null: no room was entered
 * @param {number} now on the clock of performance.now()
 * @param {number} begunAt when the visit began
 * @returns {{state: string, title: string, hint: string, ended?: string, room?: string, actions: string[]}}
 *   state: `data-call-state` (protocol §3) · title, hint, ended, actions: names in words.js, the first
 *   action is the main one · room: the room id, where it helps to see it
 */
export function sceneOf(call, now, begunAt) {
  if (call === null) return { state: "idle", title: "idle", hint: "idle", actions: [] };
  if (call.over !== "") return overScene(call);
  if (call.flowing) return scene("connected", "connected", "");
  if (call.refusal !== "") return refusalScene(call.refusal);
  if (call.media === "refused") return scene("error", "refused", "refused", ["retry", "without"]);
  if (call.isLost) return scene("error", "lost", "lost", ["anew", "other_room"]);
  if (call.lacksRelay) return scene("error", "no_relay", "no_relay", ["direct", "other_room"]);
  if (call.room === null) {
    const name = !call.online && now - begunAt > UNREACHABLE_AFTER ? "unreachable" : "joining";
    return scene("connecting", name, name);
  }
  const isMeeting = call.room.state === "meeting";
  const isAsking = call.media !== "open";
  if (isAsking) return scene(isMeeting ? "connecting" : "waiting", "permission", "permission");
  if (!isMeeting) return waitingScene(call);
  if (call.flowedAt !== null) return scene("reconnecting", "reconnecting", lossOf(call));
  if (!call.online) return scene("connecting", "connecting", "offline");
  const isSlow = call.connectingAt !== null && now - call.connectingAt > SLOW_AFTER;
  return scene("connecting", "connecting", isSlow ? "slow" : "connecting");
}

/** The name of what the person should know besides, in words.js; "" if nothing. */
export function noticeOf(call, isSilent) {
  if (isSilent) return "silent";
  if (call.flowing && !call.online) return "offline";
  if (call.flowing && call.isPictureHeld && call.hasCamera && !call.isCameraOff) return "held";
  if (call.problem !== "") return call.problem;
  return call.flowing && call.other.isMuted ? "other_muted" : "";
}

function scene(state, title, hint, actions = []) {
  return { state, title, hint, actions };
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
  return { ...scene("waiting", "waiting", "waiting_adhoc"), room: call.roomId };
}

function lossOf(call) {
  if (!call.online) return "offline";
  return call.room.peer.present ? "reconnecting" : "away";
}
