/**
 * The calls of notifications. What a person does there is done to the call that rings here; calls go by their names
 * (waking.js).
 */

import { isGuest } from "../client/call.js";
import { marked } from "./sentences.js";
import { lastCall, nameOfCall } from "./waking.js";

/** Milliseconds in which what rings a device is told once it is connected. */
export const TOLD_AFTER = 1_000;

export class NotifiedCalls {
  #phone;
  /** The name of the call that is to be accepted as soon as it rings, or null. */
  #awaited = null;

  /** @param {import("./phone.js").Phone} phone */
  constructor(phone) {
    this.#phone = phone;
  }

  /** Whether a call is to be accepted as soon as it rings. */
  get isAwaited() {
    return this.#awaited !== null;
  }

  /** Accept a call, now or when the device is connected. */
  answer(name) {
    this.#awaited = name;
    if (this.#phone.device?.state === "online") this.connected();
  }

  /** Refuse a call, if it rings. */
  async refuse(name) {
    (await this._find(name))?.refuse();
  }

  /** Whether a call rings here. If not, the connection may be dead. */
  async doesRing(name) {
    const found = await this._find(name);
    if (found === null) this.#phone.device?.check();
    return found !== null;
  }

  /** The device is connected, and is told what rings it. */
  connected() {
    if (!this.isAwaited) return;
    this.rings();
    setTimeout(() => this._missed(), TOLD_AFTER);
  }

  /** A call may ring that is to be accepted. The one that goes on is held meanwhile, if it can be. */
  async rings() {
    const name = this.#awaited;
    const found = name === null ? null : await this._find(name);
    if (found === null || name !== this.#awaited) return;
    this.#awaited = null;
    found.accept({ hold: found.canHold });
  }

  async _find(name) {
    for (const call of this.#phone.ringing) if ((await nameOfCall(call)) === name) return call;
    return null;
  }

  /** Say what became of the call that was to be accepted, if it does not ring. */
  async _missed() {
    const phone = this.#phone;
    if (!this.isAwaited || phone.device?.state !== "online") return;
    const call = await lastCall();
    const isMeant = this.#awaited === call?.call;
    this.#awaited = null;
    if (!isMeant) return;
    const name = phone.nameOf(call.from_phone, call.from_name);
    const ended = ({ over: { incoming } }) => incoming[call.reason] ?? incoming.cancelled;
    phone.say((words) => ended(words)({ name: marked(name, isGuest(call.from_phone), words) }));
  }
}
