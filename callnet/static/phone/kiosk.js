/**
 * The kiosk, in place of the home: large photos of the contacts, one press to call, and nothing else without its PIN.
 */

import { clock, listed, moment, today } from "../shared/format.js";
import { Awake } from "./awake.js";
import { el, fill, icon, put } from "../shared/elements.js";
import { beginScene } from "../shared/presses.js";
import { face } from "./people.js";
import { PinPad } from "./pin_pad.js";
import { takeNewRelease } from "./release.js";

const SECOND = 1_000;
/** Seconds after which what was said is taken away. */
const SAID_FOR = 20;
/** Seconds between two looks for a new release while the connection lasts. */
const LOOK_EVERY = 600;
/**
 * Milliseconds after which it takes over again from another place: nobody there can be asked to. Each time it waits twice as
 * long, since the other place may be a kiosk that does the same, until it was left alone for a while.
 */
const COMES_BACK_AFTER = 60_000;
const COMES_BACK_WITHIN = 16 * 60_000;
const LEFT_ALONE = 3_600_000;

export class Kiosk {
  #elements;
  #phone;
  #doings;
  #pad;
  #awake = new Awake();
  #words = null;
  #ticking = null;
  #ticks = 0;
  #said = { notice: null, at: 0 };
  #isOnline = false;
  /** Since when its device is in use in another place, as of performance.now(); null: it is not. */
  #elsewhereSince = null;
  #comesBackAfter = COMES_BACK_AFTER;
  #cameBackAt = 0;
  /** Who was called last: that is where one goes on. */
  #called = null;

  /**
   * @param {Object<string, HTMLElement>} elements of the page, by id
   * @param {import("./phone.js").Phone} phone
   * @param {{press(phone), focus(), changed()}} doings
   */
  constructor(elements, phone, doings) {
    this.#elements = elements;
    this.#phone = phone;
    this.#doings = doings;
    this.#pad = new PinPad(
      elements,
      async (pin) => {
        await phone.account.unlock(pin);
        await phone.readDevices();
      },
      (isForgotten) => {
        beginScene(); // the tiles are where the pad was
        doings.changed();
        if (isForgotten) doings.focus();
        else elements["kiosk-lock"].focus();
      },
    );
    elements["kiosk-lock"].addEventListener("click", () => {
      this.#pad.open();
      doings.changed();
    });
  }

  /**
   * Show it, if this device is a kiosk.
   * @param {string} scene of the phone
   * @param {string} said what there is to say, or ""
   */
  show(words, scene, said) {
    const isOn = this.#phone.isKiosk;
    this.#words = words;
    this.#awake.keep(isOn);
    this._run(isOn);
    if (scene !== "kiosk") this.#pad.close(false);
    this.#elements["kiosk-main"].hidden = this.#pad.isOpen;
    if (!isOn) return;
    const { device } = this.#phone;
    if (device.state !== "elsewhere") this.#elsewhereSince = null;
    else if (this.#elsewhereSince === null) this._displaced();
    const isOnline = device.state === "online";
    if (isOnline && !this.#isOnline) this._look();
    this.#isOnline = isOnline;
    put(this.#elements["kiosk-link"], isOnline ? "" : words.link[device.state] ?? "");
    put(this.#elements["kiosk-title"], said || words.kiosk.title);
    this.#elements["kiosk-title"].classList.toggle("news", said !== "");
    this._showAnswers(words);
    this._showPeople(words);
    this._showTime();
  }

  _run(isOn) {
    if (isOn === (this.#ticking !== null)) return;
    clearInterval(this.#ticking);
    this.#ticking = isOn ? setInterval(() => this._tick(), SECOND) : null;
    this.#ticks = 0;
    this.#isOnline = false;
    if (isOn) this.#phone.waking.waitForSite().catch(() => {}); // with the next start
  }

  _displaced() {
    this.#elsewhereSince = performance.now();
    if (this.#elsewhereSince - this.#cameBackAt >= LEFT_ALONE) this.#comesBackAfter = COMES_BACK_AFTER;
  }

  _tick() {
    this.#ticks += 1;
    this.#awake.keep(true);
    this._showTime();
    if (this.#elsewhereSince !== null && performance.now() - this.#elsewhereSince >= this.#comesBackAfter) {
      this.#comesBackAfter = Math.min(2 * this.#comesBackAfter, COMES_BACK_WITHIN);
      this.#cameBackAt = performance.now();
      this.#phone.comeBack();
    }
    if (this.#ticks % LOOK_EVERY === 0) this._look();
    const { notice } = this.#phone;
    if (notice !== this.#said.notice) this.#said = { notice, at: this.#ticks };
    else if (notice !== null && this.#ticks - this.#said.at >= SAID_FOR) this.#phone.dismiss();
  }

  /** Take a new release, unless somebody is just doing something. */
  _look() {
    const isIdle = () => this.#phone.isKiosk && this.#phone.device.call === null && !this.#pad.isOpen;
    takeNewRelease(isIdle).catch(() => {}); // it looks again
  }

  _showTime() {
    const now = Date.now();
    put(this.#elements["kiosk-time"], clock(now));
    put(this.#elements["kiosk-date"], today(now));
    this.#pad.show(this.#words);
  }

  _showAnswers({ kiosk }) {
    const { own, settings } = this.#phone;
    const phones = own.auto_answers ? settings?.auto_answer ?? [] : [];
    const names = listed(phones.map((phone) => this.#phone.nameOf(phone)));
    put(this.#elements["kiosk-answers"], phones.length > 0 ? kiosk.answers({ names }) : "");
  }

  _showPeople(words) {
    const { book, past, photos } = this.#phone;
    const calls = past.calls();
    const everybody = book.people();
    const people = everybody
      .filter(({ hasJoined, isBlocked }) => hasJoined && !isBlocked)
      // Everybody keeps their place, whoever comes and goes.
      .sort((one, other) => other.isFavourite - one.isFavourite || one.name.localeCompare(other.name))
      .map(({ phone, name, photo, isOnline }) => {
        const last = calls.find((call) => call.phone === phone);
        const missed = last?.kind === "missed" ? moment(last.startedAt) : null;
        return { phone, name, photo: photos.of(phone, photo), isOnline, missed };
      });
    this.#elements.kiosk.dataset.count = Math.min(people.length, 9);
    const isFirst = this.#elements["kiosk-people"].childElementCount === 0 && people.length > 0;
    fill(this.#elements["kiosk-people"], { people, called: this.#called, photos: photos.count, lang: words.lang }, () =>
      people.map((person) => this._tile(person, words)),
    );
    // Until there was somebody, nothing but the lock could have the focus.
    if (isFirst && !this.#elements.kiosk.hidden && !this.#pad.isOpen) this.#doings.focus();
    const areAwaited = everybody.some(({ hasJoined, isBlocked }) => !hasJoined && !isBlocked);
    const missing = areAwaited ? words.kiosk.waits : words.kiosk.empty;
    put(this.#elements["kiosk-empty"], book.isKnown && people.length === 0 ? missing : "");
  }

  _tile({ phone, name, photo, isOnline, missed }, { kiosk, person }) {
    const mark = missed === null ? person.offline : kiosk.missed({ time: missed });
    const kind = isOnline ? "tile night meant online" : "tile night meant";
    return el(
      "li",
      {},
      el(
        "button",
        {
          type: "button",
          class: phone === this.#called ? `${kind} called` : kind,
          "data-key": `tile-${phone}`,
          onclick: () => {
            this.#called = phone;
            this.#doings.press(phone);
          },
        },
        face(phone, name, photo),
        el(
          "span",
          { class: "band" },
          el("span", { class: "who" }, el("bdi", {}, name)),
          el("span", { class: "go" }, icon("video"), el("span", { class: "aloud" }, person.all({ name }))),
        ),
        ...(isOnline && missed === null ? [] : [el("span", { class: missed === null ? "soft" : "soft missed" }, mark)]),
      ),
    );
  }
}
