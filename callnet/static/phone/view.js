/**
 * Puts the facts of the phone on the page.
 */

import { moment, number } from "../shared/format.js";
import { beginScene } from "../shared/presses.js";
import { codeOf, speak } from "../shared/words.js";
import { listsOf, matching } from "./book.js";
import { CallPage } from "../shared/call_page.js";
import { fill, put } from "../shared/elements.js";
import { invitation } from "./invitation.js";
import { pastCall } from "./lists.js";
import { adderCard, face, personCard, personForm, personInvitation } from "./people.js";
import { FIRST, SECTIONS, sceneOf } from "./scene.js";
import { SecondCaller } from "./second_caller.js";
import { endOf, marked } from "./sentences.js";

export const PARTS = ["contacts", "calls", "settings"];

/** With fewer contacts there is no search. */
const SEARCHED_FROM = 8;
/** Of many who have added this phone the rest comes when these are answered. */
const ADDERS = 2;

export class View {
  #doings;
  #elements;
  #words;
  #ringer;
  #page;
  #heldPage;
  #second;
  #account = null;
  #scene = "";
  #shownName = undefined;
  #isRead = false;
  #open = { content: "", element: null };

  /** Which part of the home is shown. */
  part = "contacts";
  /** Whether a contact is being added; without any, the form for that is there anyway. */
  isAdding = false;
  /** Which contact is being changed, and which one invited: a phone, or null. */
  edited = null;
  invited = null;
  /** What there is to say, or "". */
  said = "";
  /** Which past call has its options shown: its key, or null. */
  openedCall = null;

  /**
   * @param {object} doings what buttons do, as in people.js and lists.js; what is done with the call's page (call_page.js)
   * @param {import("../shared/ringer.js").Ringer} ringer
   */
  constructor(doings, ringer) {
    this.#doings = doings;
    this.#ringer = ringer;
    const named = document.querySelectorAll("[id]");
    this.#elements = Object.fromEntries(Array.from(named, (element) => [element.id, element]));
    [this.#page, this.#heldPage] = [1, 2].map(() => new CallPage(this.#elements["call-page"], doings));
    this.#second = new SecondCaller(this.#elements);
  }

  get elements() {
    return this.#elements;
  }

  get words() {
    return this.#words;
  }

  get scene() {
    return this.#scene;
  }

  /** Let the page of a call hear what the other side says over the signaling. */
  hear({ call, data }) {
    for (const page of [this.#page, this.#heldPage]) page.hear(call, data);
  }

  /** Speak with these words from now on. */
  speak(words) {
    this.#words = words;
    speak(words);
    this.#elements.search.placeholder = words.search;
  }

  /**
   * Returns whether that is done. A call's page that takes its seat goes before what is seen of it: it says when it has.
   * @param {import("./phone.js").Phone} phone
   */
  show(phone) {
    if (phone.account !== this.#account) this._begin(phone.account);
    const scene = sceneOf(phone);
    if (scene === "call" && SECTIONS[this.#scene] === "ring") {
      this._showCall(phone, scene);
      if (this.#page.isEntering) return false;
    }
    const isNew = scene !== this.#scene;
    if (isNew) beginScene();
    this.#scene = document.body.dataset.scene = scene;
    document.body.dataset.link = phone.device?.state ?? "off";
    document.documentElement.toggleAttribute("data-kiosk", phone.isKiosk);
    const isRing = SECTIONS[scene] === "ring";
    if (!isRing && scene !== "call") for (const page of [this.#page, this.#heldPage]) page.close();
    for (const section of document.querySelectorAll("main > section")) section.hidden = section.id !== SECTIONS[scene];
    // It is laid out while it rings.
    this.#elements.call.classList.toggle("ahead", isRing);
    if (isRing) this.#elements.call.hidden = false;
    this._showCall(phone, scene);
    if (scene !== "call") this._showLogin(phone);
    if (scene !== "call" && phone.device !== null) this._showHome(phone);
    // Of a call its page takes the focus.
    if ((isNew && scene !== "call") || this._isJustRead(phone, scene)) this._focus();
    return true;
  }

  /** Begin with another account, or none: nothing is open that somebody has opened before. */
  _begin(account) {
    this.#account = account;
    this.#shownName = undefined;
    this.part = "contacts";
    this.isAdding = false;
    this.edited = this.invited = this.openedCall = null;
    this.#elements["add-form"].reset();
  }

  /** Whether there are contacts now, or none, where nobody has begun to do something else meanwhile. */
  _isJustRead({ book }, scene) {
    const wasRead = this.#isRead;
    this.#isRead = book?.isKnown ?? false;
    const isIdle = [document.body, this.#elements.add].includes(document.activeElement);
    return this.#isRead && !wasRead && scene === "home" && isIdle;
  }

  // A field would call up the keyboard of a touch screen: there the part that it is in has the focus.
  _focus() {
    const main = this.main();
    const isCovering = matchMedia("(pointer: coarse)").matches && main?.matches("input");
    (isCovering ? main.closest("[tabindex]") : main)?.focus();
  }

  /** What matters most now. */
  main() {
    const isThere = (element) => element.offsetParent !== null && !element.disabled;
    const found = FIRST[this.#scene].map((selector) => Array.from(document.querySelectorAll(selector)).find(isThere));
    return found.find((element) => element !== undefined) ?? null;
  }

  _showLogin({ login }) {
    const { isBusy, problem, needsCode } = login;
    put(this.#elements["login-problem"], problem === null ? "" : problem(this.#words));
    this.#elements["login-with-code"].hidden = !needsCode;
    // Who is being logged in does not wait to be let in as well.
    for (const id of ["login-submit", "pair"]) this.#elements[id].disabled = isBusy;
    for (const name of ["phone", "device"]) {
      this.#elements[`login-${name}`].setAttribute("aria-invalid", String(problem !== null && !needsCode));
    }
  }

  _showHome(phone) {
    const { account, device } = phone;
    const { state } = device;
    this._showSelf(phone);
    put(this.#elements["self-device"], phone.devices?.find((one) => one.this)?.label || account.deviceId);
    put(this.#elements.link, this.#words.link[state] ?? "");
    for (const part of PARTS) {
      this.#elements[part].hidden = part !== this.part;
      const button = this.#elements[`to-${part}`];
      if (part === this.part) button.setAttribute("aria-current", "page");
      else button.removeAttribute("aria-current");
    }
    this._showNotice(phone);
    this.#elements.offer.hidden = !phone.waking.isOffered(account);
    this.#elements["offer-yes"].disabled = phone.waking.isBusy;
    this._showAdders(phone);
    this._showPeople(phone);
    this._showPast(phone);
  }

  _showSelf({ account, profile, photos }) {
    const { name, photo } = profile;
    put(this.#elements["self-name"], name);
    put(this.#elements["self-phone"], account.phone);
    this.#elements["self-number"].className = name === "" ? "name" : "soft";
    const shown = [account.phone, name || account.phone, photos.of(account.phone, photo)];
    for (const place of ["self-face", "you-face"]) fill(this.#elements[place], shown, () => [face(...shown)]);
    this.#elements["photo-remove"].hidden = photo === null;
    if (name === this.#shownName) return;
    this.#shownName = name;
    this.#elements["you-name"].value = name;
  }

  _showNotice(phone) {
    const { notice } = phone;
    const call = notice?.call ?? null;
    const name = call && marked(phone.nameOf(call.peer.phone, call.name), call.isGuest, this.#words);
    const text = notice === null ? "" : call ? endOf(call, name, this.#words) : notice.say(this.#words);
    this.#elements.notice.hidden = text === "";
    put(this.#elements["notice-text"], text);
    this.said = text;
    this.#elements["notice-again"].hidden = call === null || call.isGuest;
    this.#elements["notice-undo"].hidden = !notice?.undo;
  }

  _showAdders({ book, photos }) {
    const adders = book.adders().slice(0, ADDERS);
    fill(this.#elements.adders, { adders, photos: photos.count, language: this.#words.lang }, () =>
      adders.map((adder) =>
        adderCard({ ...adder, photo: photos.of(adder.phone, adder.photo) }, this.#words, this.#doings),
      ),
    );
  }

  _showPeople({ account, book, photos, settings }) {
    const { search } = this.#elements;
    const open = [this.edited, this.invited];
    if (this.edited === null && this.invited === null) this.#open = { content: "", element: null };
    const everybody = book.people();
    search.hidden = everybody.length < SEARCHED_FROM;
    if (search.hidden) search.value = "";
    const people = matching(everybody, search.value);
    const content = { people, open, photos: photos.count, language: this.#words.lang };
    fill(this.#elements.people, content, () =>
      people.map((one) => {
        const person = { ...one, photo: photos.of(one.phone, one.photo) };
        return open.includes(one.phone)
          ? this._openCard(person, account.phone)
          : personCard(person, this.#words, this.#doings);
      }),
    );
    if (settings !== null) this.#open.showLists?.(listsOf(settings, this.edited));
    put(this.#elements["nobody-found"], people.length === 0 && everybody.length > 0 ? this.#words.nobody_found : "");
    const isEmpty = book.isKnown && everybody.length === 0;
    this.#elements.add.hidden = isEmpty;
    this.#elements.add.setAttribute("aria-expanded", String(this.isAdding));
    this.#elements["add-form"].hidden = !isEmpty && !this.isAdding;
    this.#elements["add-intro"].hidden = this.#elements["no-people"].hidden = !isEmpty;
    if (!isEmpty) return;
    put(this.#elements["own-number"], account.phone);
    fill(this.#elements["own-invitation"], { phone: account.phone, language: this.#words.lang }, () => [
      invitation(account.phone, this.#words, this.#doings.say, "plain"),
    ]);
  }

  // What somebody is filling in stays as it is, whatever becomes of the list around it.
  _openCard(person, own) {
    const content = JSON.stringify([this.edited, this.invited, this.#words.lang]);
    if (content !== this.#open.content) {
      const isForm = person.phone === this.edited;
      const opened = isForm
        ? personForm(person, this.#words, this.#doings)
        : { element: personInvitation(person, own, this.#words, this.#doings) };
      this.#open = { content, ...opened };
    }
    return this.#open.element;
  }

  _showPast(phone) {
    const { past, book, photos } = phone;
    if (this.part === "calls" && this.#scene === "home") past.see();
    const { missed } = past;
    put(this.#elements.missed, missed > 0 ? number(missed) : "");
    put(this.#elements["missed-words"], missed > 0 ? this.#words.past.count({ count: missed }) : "");
    const calls = past.calls().map((call) => ({
      ...call,
      name: phone.nameOf(call.phone, call.name),
      photo: book.photoOf(call.phone),
      when: moment(call.startedAt),
      isContact: book.personOf(call.phone) !== undefined,
      isBlocked: phone.blocks(call.phone),
      isOpen: call.key === this.openedCall,
    }));
    fill(this.#elements.past, { calls, photos: photos.count, language: this.#words.lang }, () =>
      calls.map((call) =>
        pastCall({ ...call, photo: photos.of(call.phone, call.photo) }, this.#words, this.#doings),
      ),
    );
    this.#elements.more.hidden = !past.hasMore;
    this.#elements["no-calls"].hidden = !past.isKnown || calls.length > 0;
    this.#elements.clear.hidden = calls.length === 0;
    if (calls.length === 0) this.#elements["clear-ask"].hidden = true;
  }

  _showCall(phone, scene) {
    const words = this.#words;
    const call = phone.device?.call ?? null;
    const missed = phone.past?.missed ?? 0;
    const home = missed > 0 ? `(${number(missed)}) ${words.name}` : words.name;
    const other = otherOf(phone, call, words);
    const second = scene === "call" ? otherOf(phone, phone.device.waitingCall, words) : null;
    const parameters = { lang: codeOf(words.lang), ...(phone.isKiosk ? { kiosk: "1" } : {}) };
    const focused = document.activeElement;
    this.#second.show(second, phone.device?.waitingCall?.canHold ?? false);
    if (SECTIONS[scene] === "ring") this.#page.prepare(call, parameters, () => phone.iceServers());
    else this._showPages(phone, scene === "call" ? call : null, parameters);
    const held = scene === "call" ? otherOf(phone, phone.device.heldCall, words) : null;
    this.#elements.held.hidden = held === null;
    put(this.#elements["held-text"], held === null ? "" : words.on_hold({ name: held.name }));
    if (focused.closest("#second, #held") !== null && focused.offsetParent === null) this.#page.focus();
    this.#page.showHangUp(this.#elements["call-hangup"]);
    const title = words.title[scene] && call ? words.title[scene](other) : home;
    const { autoAnswer } = phone;
    const isCounting = scene === "ringing" && autoAnswer.left !== null;
    const kind = isCounting ? "countdown" : { ringing: "incoming", calling: "outgoing" }[scene] ?? null;
    const isShown = (second !== null || scene === "ringing") && phone.waking.stateOf(phone.account) === "on";
    if (second === null) this.#ringer.ring(kind, title, home, other?.photo ?? "", isShown);
    else this.#ringer.ring("second", words.title.ringing(second), title, second.photo, isShown);
    if (kind !== null) this._showRing(phone, call, other);
    if (scene === "call") {
      put(this.#elements["call-guest"], call.isGuest ? words.guest.mark : "");
      put(this.#elements["call-name"], other.ownName);
      put(this.#elements["call-text"], words.in_call[call.otherSide] ?? "");
      put(this.#elements["call-by-itself"], autoAnswer.hasAnswered(call) ? words.auto.answered : "");
    }
  }

  // The page of a call that is held stays, and is not seen.
  _showPages(phone, call, parameters) {
    const held = phone.device?.heldCall ?? null;
    const wasOver = this.#page.call?.isOver ?? false;
    if (call !== null && (this.#heldPage.call === call || (held !== null && this.#page.call === held))) {
      [this.#page, this.#heldPage] = [this.#heldPage, this.#page];
    }
    for (const [page, shown] of [[this.#heldPage, call && held], [this.#page, call]]) {
      const name = otherOf(phone, shown, this.#words)?.name ?? "";
      const hold = { here: page === this.#heldPage, there: shown?.isOnHold ?? false };
      page.show(shown, parameters, this.#words.call_page, name, hold, wasOver);
    }
  }

  _showRing({ device, autoAnswer: { left } }, call, { phone, ownName: name, photo }) {
    const words = this.#words;
    put(this.#elements["ring-guest"], call.isGuest ? words.guest.mark : "");
    put(this.#elements["ring-link"], call.linkName ? words.guest.through({ link: call.linkName }) : "");
    put(this.#elements["ring-name"], name);
    const outgoing = device.state !== "online" ? words.waits : call.state === "ringing" ? words.rings : words.calling;
    const incoming = left === null ? words.ringing : words.auto.soon;
    put(this.#elements["ring-text"], call.isIncoming ? incoming : outgoing);
    put(this.#elements["ring-number"], name === phone || call.isGuest ? "" : phone);
    const shown = [phone, name, photo];
    fill(this.#elements["ring-face"], shown, () => [face(...shown)]);
    this.#elements.accept.hidden = this.#elements.refuse.hidden = !call.isIncoming;
    this.#elements.cancel.hidden = call.isIncoming;
    put(this.#elements["auto-left"], left === null ? "" : number(left));
    const hadFocus = document.activeElement === this.#elements["auto-stop"];
    const begins = this.#elements.auto.hidden && left !== null;
    this.#elements.auto.hidden = left === null;
    if (begins || (hadFocus && left === null)) this._focus();
  }
}

/**
 * Who is on the other side of a call: `{phone, name, ownName, photo, text}`, or null if there is no call. name: with the
 * mark of a guest; photo: its URL, or "" for none; text: what they are doing while they ring.
 */
function otherOf(phone, call, words) {
  if (call === null) return null;
  const number = call.peer.phone;
  const photo = phone.photos.of(number, phone.book.photoOf(number));
  const text = call.isGuest ? `${words.guest.mark} · ${words.ringing}` : words.ringing;
  const ownName = phone.nameOf(number, call.name);
  return { phone: number, name: marked(ownName, call.isGuest, words), ownName, photo, text };
}
