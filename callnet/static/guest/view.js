/**
 * Puts the facts of a guest's call on the page.
 */

import { CallPage } from "../shared/call_page.js";
import { put } from "../shared/elements.js";
import { duration } from "../shared/format.js";
import { Preview } from "./preview.js";
import { beginScene } from "../shared/presses.js";
import { Ringer } from "../shared/ringer.js";
import { codeOf, said, speak } from "../shared/words.js";

/** Which section of the page shows a scene. */
const SECTIONS = { calling: "ring" };
/** What has the focus first in a scene. Of a call its page takes it. */
const FIRST = { door: ["name", "ring-now"], calling: ["cancel"], call: [], over: ["again"], incomplete: [] };

export class View {
  #elements;
  #words;
  #page;
  #preview;
  #ringer = new Ringer();
  #scene = "starting";

  /** @param {object} doings what is done with the call's page (call_page.js) */
  constructor(doings) {
    const named = document.querySelectorAll("[id]");
    this.#elements = Object.fromEntries(Array.from(named, (element) => [element.id, element]));
    this.#preview = new Preview(this.#elements.preview, (isSeen) => this._showPreview(isSeen));
    this.#page = new CallPage(this.#elements["call-page"], doings);
  }

  get elements() {
    return this.#elements;
  }

  /** Speak with these words from now on. */
  speak(words) {
    this.#words = words;
    speak(words);
  }

  /** @param {import("./guest.js").Guest} guest */
  show(guest) {
    const words = this.#words;
    const { scene, call, problem } = guest;
    const isNew = scene !== this.#scene;
    this.#scene = document.body.dataset.scene = scene;
    if (scene !== "call") this.#page.close();
    this.#preview.show(scene === "calling"); // before the call's page wants the camera
    const shown = SECTIONS[scene] ?? scene;
    for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== shown;
    put(this.#elements.problem, problem === "" ? "" : words[problem]);
    this.#elements.name.setAttribute("aria-invalid", String(problem !== ""));
    put(this.#elements["starting-hint"], call?.isLost ? words.waits : words.reconnecting);
    put(this.#elements["ring-hint"], call?.isLost ? words.waits : words.calling_hint);
    if (scene === "over") this._showEnd(guest.end, call);
    this.#ringer.ring(scene === "calling" ? "outgoing" : null, words.name, words.name, "", true);
    this.#page.show(scene === "call" ? call : null, { lang: codeOf(words.lang) }, words.name, "");
    this.#page.showHangUp(this.#elements["call-hangup"]);
    if (isNew) beginScene();
    if (isNew) this.main()?.focus();
  }

  /** What matters most now: the name, unless it is known. */
  main() {
    const [first, second] = (FIRST[this.#scene] ?? []).map((id) => this.#elements[id]);
    return second !== undefined && first.value !== "" ? second : first ?? null;
  }

  _showPreview(isSeen) {
    this.#elements.preview.hidden = !isSeen;
    this.#elements["ring-emblem"].hidden = isSeen;
  }

  _showEnd(end, { retryAfter, answeredAt, endedAt, isForgotten }) {
    const { over, lasted } = this.#words;
    const { title, hint = "" } = over[end];
    // When one ended that the server has forgotten, and one that goes on elsewhere, nobody knows.
    const isTimed = answeredAt !== null && !isForgotten && end !== "elsewhere";
    const time = !isTimed ? "" : lasted({ time: duration(endedAt - answeredAt) });
    put(this.#elements["over-title"], title);
    put(this.#elements["over-hint"], [said(hint, { count: retryAfter ?? 60 }), time].filter(Boolean).join(" "));
  }
}
