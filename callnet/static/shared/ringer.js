/**
 * How a call makes itself heard and seen to who looks at something else: sound, the title of the page, a
 * notification. A browser lets no page sound before somebody has touched it; until then the rest must do.
 */

import { browser } from "./memory.js";

/** Tones as [hertz, start, length] in seconds, and after how many seconds they come again. */
const INCOMING = {
  tones: [
    [659, 0, 0.35],
    [784, 0.2, 0.35],
    [988, 0.4, 0.7],
    [659, 1.2, 0.35],
    [784, 1.4, 0.35],
    [988, 1.6, 0.7],
  ],
  every: 3,
};
/** While one talks: twice, softly. */
const SECOND = {
  tones: [
    [784, 0, 0.3],
    [988, 0.25, 0.5],
    [784, 4, 0.3],
    [988, 4.25, 0.5],
  ],
  every: null,
};
/** How much softer that is. */
const SOFTLY = 0.25;
/** While a call is about to be answered by itself: who is in the room must hear it, and know it from the ring. */
const COUNTDOWN = { tones: [[880, 0, 0.25], [587, 0.3, 0.3]], every: 1 };
/** Of an incoming call, at full volume; what nobody has chosen is USUAL of it. */
const LOUDEST = 0.45;
const USUAL = 0.7;
const OUTGOING = { tones: [[440, 0, 1]], every: 4, volume: 0.05 };
const BLINK_EVERY = 1_000;
/** Of the notification of somebody who has no photo. */
const ICON = "/static/phone/icon-192.png";

export class Ringer {
  /**
   * One for as long as the page is there, made with the first touch or the first ring: on iPhones and iPads a context
   * sounds only after a touch while it is there, and from then on at any time.
   */
  #context = null;
  /** Whether it may sound at any time. */
  #isFree = false;
  /** Where the tones of the present ring go; null: there is none. */
  #out = null;
  #sounding = null;
  #title = "";
  #blinking = null;
  #notification = null;
  #kind = null;

  constructor() {
    // A finger has done something when it is lifted.
    for (const kind of ["pointerup", "click", "keydown"]) document.addEventListener(kind, () => this._touched());
  }

  /**
   * Ring, or be silent.
   * @param {"incoming" | "countdown" | "second" | "outgoing" | null} kind countdown: it is about to be answered by
   *   itself; second: incoming, while another call goes on
   * @param {string} title of the page; where somebody calls it blinks
   * @param {string} plain its title without that call
   * @param {string} photo of the caller: its URL, or ""
   * @param {boolean} isShown whether a notification is shown anyway
   */
  ring(kind, title, plain, photo, isShown) {
    const isCalled = kind !== null && kind !== "outgoing";
    this._setTitle(isCalled ? [title, plain] : [title]);
    if (kind === this.#kind) return;
    this.#kind = kind;
    this._hush();
    this.#notification?.close();
    this.#notification = null;
    if (kind === null) {
      this.#context?.suspend().catch(() => {});
      return;
    }
    this._sound({ incoming, countdown, second, outgoing: () => OUTGOING }[kind]());
    if (isCalled && !isShown) this._notify(title, photo);
  }

  /** Ring once, to be tried. */
  play() {
    if (this.#kind === null) this._sound({ ...incoming(), every: null });
  }

  /** How loud it rings in this browser, from 0 to 1. */
  static get volume() {
    return browser.get("ring-volume") ?? USUAL;
  }

  static set volume(volume) {
    browser.set("ring-volume", volume);
  }

  /** "default" nobody has asked yet · "granted" · "denied" · "unsupported" */
  static get permission() {
    return "Notification" in window ? Notification.permission : "unsupported";
  }

  /** Ask the person whether notifications may be shown. */
  static async askPermission() {
    if ("Notification" in window) await Notification.requestPermission();
  }

  _hush() {
    clearInterval(this.#sounding);
    this.#out?.disconnect();
    this.#out = null;
  }

  _sound({ tones, every, volume }) {
    this._hush();
    if (volume === 0 || !("AudioContext" in window)) return;
    const ready = this._resume();
    const context = this.#context;
    const out = (this.#out = context.createGain());
    out.connect(context.destination);
    const play = () => {
      if (context.state !== "running" || out !== this.#out) return;
      for (const [hertz, start, length] of tones) playTone(out, hertz, context.currentTime + start, length, volume);
    };
    ready.then(play, () => {});
    if (every !== null) this.#sounding = setInterval(play, every * 1_000);
  }

  _touched() {
    const isWaiting = !this.#isFree || this.#out !== null;
    if (isWaiting && "AudioContext" in window) this._resume().catch(() => {});
  }

  // Resolves once the browser lets the page sound, which may be with a later touch.
  async _resume() {
    if (this.#context === null) this.#context = new AudioContext();
    await this.#context.resume();
    this.#isFree = true;
    if (this.#out === null) await this.#context.suspend();
  }

  _setTitle(titles) {
    const all = titles.join("\n");
    if (all === this.#title) return;
    this.#title = all;
    clearInterval(this.#blinking);
    document.title = titles[0];
    if (titles.length === 1 || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    let turn = 0;
    this.#blinking = setInterval(() => {
      turn += 1;
      document.title = titles[turn % titles.length];
    }, BLINK_EVERY);
  }

  _notify(title, photo) {
    if (Ringer.permission !== "granted" || document.visibilityState === "visible") return;
    try {
      this.#notification = new Notification(title, { icon: photo || ICON, requireInteraction: true });
      this.#notification.onclick = () => {
        window.focus();
        this.#notification?.close();
      };
    } catch {
      // Some telephones show notifications of service workers only.
    }
  }
}

/** Half the way is to sound half as loud, which is a fourth of the amplitude. */
function incoming() {
  return { ...INCOMING, volume: LOUDEST * Ringer.volume ** 2 };
}

function countdown() {
  return { ...COUNTDOWN, volume: LOUDEST * Math.max(Ringer.volume, USUAL) ** 2 };
}

function second() {
  return { ...SECOND, volume: SOFTLY * incoming().volume };
}

function playTone(out, hertz, start, length, volume) {
  const { context } = out;
  const tone = context.createOscillator();
  const loudness = context.createGain();
  tone.frequency.value = hertz;
  loudness.gain.setValueAtTime(0, start);
  loudness.gain.linearRampToValueAtTime(volume, start + 0.02);
  loudness.gain.exponentialRampToValueAtTime(0.001, start + length);
  tone.connect(loudness);
  loudness.connect(out);
  tone.start(start);
  tone.stop(start + length);
}
