/**
 * What the page says in the middle of the screen, what can be done about it, and the line above a call.
 */

import { duration } from "../shared/format.js";
import { draw, elements, put } from "./dom.js";
import { CONTROLLED } from "./view.js";

const ICONS = {
  waiting: "person",
  connecting: "link",
  reconnecting: "link",
  ended: "hangup",
  full: "people",
  permission: "video",
  refused: "video-off",
  choosing: "video",
  left: "person",
  on_hold: "person",
  taken: "tabs",
};

export class Message {
  #words = null;

  show({ scene, call, roomId }, words) {
    this.#words = words;
    elements.panel.hidden = scene.state === "connected";
    draw("emblem-icon", ICONS[scene.title] ?? ICONS[scene.state] ?? "alert");
    put("title", words.title[scene.title]);
    put("hint", scene.state === "ended" ? endedText(words, scene, call) : words.hint[scene.hint] ?? "");
    put("room", scene.room ?? "");
    elements.form.hidden = scene.state !== "idle";
    elements["room-label"].hidden = roomId !== "";
    elements["room-id"].hidden = roomId !== "";
    elements["new-room"].hidden = roomId !== "";
    elements.actions.hidden = scene.actions.length === 0;
    put("action", words.action[scene.actions[0]] ?? "");
    put("second-action", words.action[scene.actions[1]] ?? "");
  }

  showRoomProblem(isBad) {
    put("room-problem", isBad ? this.#words.notice.bad_room : "");
    elements["room-id"].setAttribute("aria-invalid", String(isBad));
  }
}

export class Status {
  show({ scene, call, notice, now }, words) {
    const quality = call?.quality ?? "good";
    elements.status.dataset.quality = quality;
    draw("status-icon", quality);
    put("status-text", call?.flowing ? `${words.quality[quality]} · ${duration(now - call.talkingSince)}` : "");
    put("notice", CONTROLLED.has(scene.state) ? words.notice[notice] ?? "" : "");
  }
}

function endedText(words, scene, call) {
  const why = words.ended[scene.ended] ?? words.ended.other;
  if (call.talkingSince === null) return why;
  return words.lasted({ why, time: duration(call.overAt - call.talkingSince) });
}
