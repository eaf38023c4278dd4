/**
 * Ringing while the phone is not open: the browser's push service wakes worker.js, which shows who calls (docs/waking.md).
 *
 * A browser rings for one device, the one for which that was last switched on: a call to all devices of a phone would
 * ring in it several times.
 */

import { kept } from "./identity.js";
import { browser } from "../shared/memory.js";

const WORKER = "/worker.js";
/** What the page leaves for the worker, and the worker for the page. */
const PLACE = "callnet.worker";
/** What the worker leaves there: the call that is to be accepted. */
const ANSWER = "/answer";
/** Characters of the value by which a message names a call. */
const NAME = 32;

const isSupported = "serviceWorker" in navigator && "PushManager" in window && "Notification" in window && "caches" in window;

export class Waking {
  #changed;
  /** The server's key; null: it has no Web Push; undefined: not known yet. */
  #key = undefined;
  /** What this page has registered, and by which login. */
  #registered = "";
  #words = null;
  /** The call that the worker was told to show, or "". */
  #shown = "";
  /** Counts forget(): what was begun before the last of them is not gone on with. */
  #turn = 0;

  /** Whether it is being switched on or off. */
  isBusy = false;

  /** @param {() => void} changed */
  constructor(changed) {
    this.#changed = changed;
  }

  /**
   * null: not known yet, or the server does not · "insecure": the page is · "unsupported" by the browser ·
   * "blocked" by the person · "off" · "on"
   * @param {Account} account
   */
  stateOf(account) {
    if (!this.#key) return null;
    if (!isSecureContext) return "insecure";
    if (!isSupported) return "unsupported";
    if (Notification.permission === "denied") return "blocked";
    return Notification.permission === "granted" && isSame(browser.get("rings"), account) ? "on" : "off";
  }

  /** Whether the person is to be asked: once, after the first call. @param {Account} account */
  isOffered(account) {
    return browser.get("offer") === "due" && this.stateOf(account) === "off";
  }

  /** A call was answered in this browser, and is over. */
  noteCall() {
    if (browser.get("offer") === null) browser.set("offer", "due");
  }

  /** The person has been asked. */
  noteOffered() {
    browser.set("offer", "done");
    this.#changed();
  }

  /**
   * The device is connected: see to it that it is woken, if it is to be. The browser may have subscribed anew, and the
   * server forgets a device that logs in again.
   * @param {Account} account
   * @throws {Error} what the server or the browser say
   */
  async renew(account) {
    const turn = this.#turn;
    this.#key = await account.pushKey();
    this.#changed();
    if (this.stateOf(account) === "on") await this._register(account, turn);
  }

  /**
   * Ring when the phone is not open, if the person allows it.
   * @param {Account} account
   * @throws {Error} what the server or the browser say
   */
  async turnOn(account) {
    const turn = this.#turn;
    await this._busily(async () => {
      if ((await Notification.requestPermission()) !== "granted") return;
      await this._register(account, turn);
      if (turn !== this.#turn) return;
      const before = browser.get("rings");
      browser.set("rings", { phone: account.phone, deviceId: account.deviceId });
      if (before !== null && !isSame(before, account)) await unregister(before);
    });
  }

  /**
   * Ring no more when the phone is not open.
   * @param {Account} account
   * @throws {Error} what the server says
   */
  async turnOff(account) {
    await this._busily(async () => {
      await account.setPush("none");
      await this.forget(account);
    });
  }

  /** The device has logged out; the server knows. @param {Account} account */
  async forget(account) {
    this.#turn += 1;
    this.#registered = "";
    if (!isSame(browser.get("rings"), account)) return;
    browser.set("rings", null);
    const registration = await navigator.serviceWorker?.getRegistration("/");
    for (const shown of (await registration?.getNotifications()) ?? []) shown.close();
    await (await registration?.pushManager.getSubscription())?.unsubscribe();
    await window.caches?.delete(PLACE);
  }

  /** Have the worker wait for the site where that does not answer, as far as the browser has workers here. */
  async waitForSite() {
    await leave("/words", this.#words);
    await navigator.serviceWorker?.register(WORKER, { updateViaCache: "none" });
  }

  /** Let the worker speak with these words. */
  async speak({ lang, accept, refuse, title, over, guest, link }) {
    const name = "{name}";
    const { cancelled, answered_elsewhere, refused_elsewhere } = over.incoming;
    this.#words = {
      lang,
      dir: document.documentElement.dir,
      ringing: title.ringing({ name }),
      guest: guest.named({ name }),
      missed: cancelled({ name }),
      answered_elsewhere: answered_elsewhere({ name }),
      refused_elsewhere: refused_elsewhere({ name }),
      actions: { accept, refuse },
      waiting: link.offline,
    };
    if ((await navigator.serviceWorker?.getRegistration("/")) !== undefined) await leave("/words", this.#words);
  }

  /**
   * Have the worker show the call that rings this device, where nobody sees the page; close what it shows of others.
   * @param {Account} account
   * @param {import("../client/index.js").Call | null} ringing
   * @param {string} name what the owner of this phone calls the caller
   */
  async show(account, ringing, name) {
    const registration = await navigator.serviceWorker?.getRegistration("/");
    if (registration === undefined) return;
    const { phone, deviceId } = account;
    const isSeen = document.visibilityState === "visible";
    const call = isSeen || ringing === null ? "" : await nameOfCall(ringing);
    for (const shown of await registration.getNotifications()) {
      const { data } = shown;
      const isOurs = data.phone === phone && data.device_id === deviceId;
      if (isOurs && (isSeen || data.event === "wake") && data.call !== call) shown.close();
    }
    if (call === this.#shown || this.stateOf(account) !== "on") return;
    this.#shown = call;
    if (call === "") return;
    const caller = { from_phone: ringing.peer.phone, from_name: name };
    registration.active?.postMessage({ event: "wake", phone, device_id: deviceId, call, ...caller });
  }

  async _register(account, turn) {
    await this.waitForSite();
    const { pushManager, active } = await navigator.serviceWorker.ready;
    active.postMessage({ event: "here", phone: account.phone, device_id: account.deviceId });
    let subscription = await pushManager.getSubscription();
    if (subscription !== null && base64url(subscription.options.applicationServerKey) !== this.#key) {
      await subscription.unsubscribe();
      subscription = null;
    }
    if (subscription === null) {
      subscription = await pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: this.#key });
    }
    const target = JSON.stringify(subscription);
    const registered = `${account.token} ${target}`;
    if (registered === this.#registered || turn !== this.#turn) return;
    await account.setPush("webpush", target);
    if (turn !== this.#turn) return;
    await leave("/registered", { phone: account.phone, device_id: account.deviceId, key: this.#key, target });
    this.#registered = registered;
  }

  async _busily(work) {
    this.isBusy = true;
    this.#changed();
    try {
      await work();
    } finally {
      this.isBusy = false;
      this.#changed();
    }
  }
}

/** The device for which this browser rings, or null. */
export function deviceThatRings() {
  return browser.get("rings");
}

/** The call of the last message: `{call, from_phone, from_name, reason}`, the last if it rings no more; or null. */
export async function lastCall() {
  try {
    const found = await (await caches.open(PLACE)).match("/call");
    return found ? await found.json() : null;
  } catch {
    return null;
  }
}

/** The value by which messages name a call. @param {import("../client/index.js").Call} call */
export async function nameOfCall({ roomId }) {
  return base64url(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(roomId))).slice(0, NAME);
}

/**
 * What notifications ask of this page, now and later.
 * @param {import("./notified_calls.js").NotifiedCalls} calls
 */
export async function onAnswer(calls) {
  const take = async () => {
    const name = await takeAnswer();
    if (name !== null) calls.answer(name);
  };
  navigator.serviceWorker?.addEventListener("message", async ({ data, ports }) => {
    if (data.event === "answer") await take();
    else if (data.event === "refuse") await calls.refuse(data.call);
    else ports[0].postMessage(await calls.doesRing(data.call));
  });
  await take();
}

/** The name of the call that somebody has accepted by its notification; it is said once. */
async function takeAnswer() {
  try {
    const found = await caches.match(ANSWER, { cacheName: PLACE });
    return found && (await (await caches.open(PLACE)).delete(ANSWER)) ? await found.json() : null;
  } catch {
    return null;
  }
}

/** Have another device of this browser woken no more. One that is not logged in is not woken anyway. */
async function unregister(device) {
  const body = JSON.stringify({ token: kept(device)?.token ?? "", kind: "none" });
  const headers = { "Content-Type": "application/json" };
  await fetch("/devices/push", { method: "POST", headers, body }).catch(() => {});
}

async function leave(name, content) {
  try {
    await (await caches.open(PLACE)).put(name, new Response(JSON.stringify(content)));
  } catch {
    // A browser that keeps nothing.
  }
}

function isSame(one, other) {
  return one !== null && one.phone === other.phone && one.deviceId === other.deviceId;
}

function base64url(buffer) {
  const text = btoa(String.fromCharCode(...new Uint8Array(buffer)));
  return text.replace(/\+/g, "-").replace(/\//g, "_").replace(/=+$/, "");
}
