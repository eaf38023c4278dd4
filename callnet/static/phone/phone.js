/**
 * The phone without its looks: who it is logged in as, its device, its lists, and what it has to say.
 */

import { ERROR } from "../client/account.js";
import { Device } from "../client/device.js";
import { AutoAnswer } from "./auto_answer.js";
import { Book, listsOf, toggled } from "./book.js";
import * as identity from "./identity.js";
import { accountOf, logIn } from "./login.js";
import * as ownDevice from "./own_device.js";
import { clock, timeOfDay } from "../shared/format.js";
import { keepCall, keptCall } from "../shared/kept_call.js";
import { tab } from "../shared/memory.js";
import { NotifiedCalls, TOLD_AFTER } from "./notified_calls.js";
import { Past } from "./past.js";
import { forgetPhotos, Photos } from "./photos.js";
import { Profile } from "./profile.js";
import { sentenceOf } from "./sentences.js";
import { Answers, Topics } from "./topics.js";
import { deviceThatRings, Waking } from "./waking.js";
import { Waiting } from "./waiting.js";

/** Who comes and goes is asked, as on the base protocol nobody says it, and what could not be read is read again. */
const LOOK_EVERY = 15_000;
const PAGE = "/static/demo/direct_chat.html?room_id=";
/** The key of the active call. */
const KEPT = "call";
/** The lists of the settings, for somebody who is in none. */
const NO_LISTS = { auto_answer: false, rings_through: false };
/** A login that was refused so has shown a secret, or needs a code: the device was logged out, or removed. */
const LOGGED_OUT = [ERROR.DEVICE, ERROR.CODE];

export class Phone {
  #changed;
  #signalled;
  #looking = null;
  #answers = new Answers();

  /** Whether it is not clear yet which device this tab is. */
  isStarting = true;
  /** All of these null: nobody is logged in. */
  account = null;
  device = null;
  book = null;
  past = null;
  photos = null;
  profile = null;
  topics = null;
  /** What the owner wants of calls; null: not known yet. */
  settings = null;
  /** The devices of this phone, as the account tells them; null: not known yet. */
  devices = null;
  /** The blocked phones, and the links that ring; null: not known yet. */
  blocked = null;
  links = null;
  /** What came of the last try to log in: a sentence (sentences.js) or null, and whether a code is to be given. */
  login = { isBusy: false, problem: null, needsCode: false };
  /** How this tab waits to be let in by another device; null: it does not. */
  waiting = null;
  /**
   * What there is to say: `{say: a sentence, call: the Call that is over, or null, undo: what takes back what was just
   * done, if that can be}`; null: nothing.
   */
  notice = null;

  /**
   * @param {() => void} changed is called whenever something has changed
   * @param {(signal: {call, data}) => void} signalled the other side of a call has said something over the signaling
   */
  constructor(changed, signalled) {
    this.#changed = changed;
    this.#signalled = signalled;
    /** Ringing when the phone is not open. */
    this.waking = new Waking(changed);
    this.notified = new NotifiedCalls(this);
    /** Calls that are answered by themselves. */
    this.autoAnswer = new AutoAnswer(changed);
  }

  /** Be what this tab was before, or wait for somebody to log in. */
  async start() {
    if (Waiting.isKept) {
      this.isStarting = false;
      this.pair();
      return;
    }
    const who = await identity.deviceOfTab(this.notified.isAwaited ? deviceThatRings() : null);
    if (who !== null) this._enter(accountOf(who));
    this.isStarting = false;
    this.#changed();
  }

  /** Log in as a device (login.js). */
  async logIn(who, code, isProposed) {
    this.login = { ...this.login, isBusy: true, problem: null };
    this.#changed();
    try {
      const account = await logIn(who, code, isProposed);
      this.login = { isBusy: false, problem: null, needsCode: false };
      identity.become(account);
      this._enter(account);
    } catch (error) {
      this.login.problem = await this._problem(accountOf(who), error, code);
      this.login.isBusy = false;
    }
    this.#changed();
  }

  /**
   * Wait to be let in by another device, instead of logging in. By a link that is spent the tab is the device that it was;
   * if it was none, it waits as it would without a link.
   */
  async pair() {
    const waiting = (this.waiting = new Waiting(this.#changed));
    this.#changed();
    const account = await waiting.account();
    if (waiting !== this.waiting) return;
    if (waiting.isSpent) {
      await this.stopPairing();
      if (this.device === null) await this.pair();
    }
    if (account === null) return;
    this.waiting = null;
    identity.become(account);
    this._enter(account);
    this.#changed();
  }

  /** Log in all the same; a tab that was opened by a link is the device again that it was. */
  async stopPairing() {
    const isOther = !this.waiting.isInvited && tab.get("device") === null;
    this.waiting.close();
    this.waiting = null;
    this.isStarting = !isOther;
    if (isOther) this.#changed();
    else await this.start();
  }

  /** Log out. The token is revoked if the server can be reached. */
  logOut() {
    const { account } = this;
    account.logout().catch(() => {});
    identity.leave(account);
    this._forget(account);
    this._leave();
    this.#changed();
  }

  /** Be no device in this tab any more; the other place where this one is in use goes on. */
  leaveTab() {
    tab.set("device", null);
    this._leave();
    this.#changed();
  }

  /** Be the device here again that is in use elsewhere. What was ended there is over; the server tells what goes on. */
  comeBack() {
    const displaced = this.device;
    this._connect();
    displaced.close();
  }

  /** Call a device of a phone, or with `*` all of them. */
  call(phone, deviceId = "*") {
    this.notice = null;
    if (this.device.place(phone, deviceId) === null) this.say((words) => words.error.no_connection);
  }

  /** The STUN and TURN servers for a call. Each has credentials of its own: a relay limits what one may hold. */
  async iceServers() {
    return (await this.account.ask("/ice")).ice_servers;
  }

  /** Say something to the other side of a call, if the signaling can carry it. */
  signal(call, data) {
    if (this.device?.isExtended) call.signal(data, { ofPage: true });
  }

  /** The page of a call has seen its end. */
  noteEnd(call) {
    this.device?.noteEnd(call);
  }

  /**
   * Add a contact.
   * @param {string} phone
   * @param {{name?: string, favourite?: boolean, photo?: string | null}} [details]
   * @returns {Promise<boolean>} whether that was done
   */
  async addContact(phone, details = {}) {
    if (phone === this.account.phone) {
      this.say((words) => words.error.own);
      return false;
    }
    return this._try(async () => {
      await this.book.add(phone, details);
      const person = this.book.personOf(phone);
      const name = person?.name ?? phone;
      this.say(({ added }) => (person?.hasJoined ? added.there({ name }) : added.later({ name })));
    });
  }

  /** Give a contact another name or photo, or make it a favourite, or one no more. Returns whether that was done. */
  async changeContact(phone, changes) {
    return this._try(() => this.book.add(phone, changes));
  }

  /** Remove a contact, which can be undone. Returns whether that was done. */
  async removeContact(phone) {
    return this._try(async () => {
      const { name, givenName, hasGivenPhoto, isFavourite } = this.book.personOf(phone);
      const photo = hasGivenPhoto ? (await this.account.photo(phone))?.url : undefined;
      const lists = listsOf(this.settings, phone) ?? {};
      await this._list(phone, NO_LISTS);
      try {
        await this.book.remove(phone);
      } catch (error) {
        await this.book.load().catch(() => {}); // it may have been done all the same
        if (this.book.personOf(phone) !== undefined) await this._list(phone, lists).catch(() => {});
        throw error;
      }
      const undo = async () => {
        const isBack = await this.addContact(phone, { name: givenName, favourite: isFavourite, photo });
        return isBack && this.listContact(phone, lists);
      };
      this.say(({ removed }) => removed({ name }), undo);
    });
  }

  /** Do not add somebody who has added this phone. */
  async dismissAdder(phone) {
    return this._try(() => this.book.dismiss(phone));
  }

  /**
   * Change how this phone presents itself, and say so.
   * @param {{name?: string, photo?: string | null}} changes
   */
  async setProfile(changes, say) {
    return this._try(async () => {
      await this.profile.change(changes);
      this.say(say);
    });
  }

  /** Take no calls from a phone any more, or again. */
  async block(phone, isBlocked = true) {
    const { account } = this;
    return this._try(async () => {
      await (isBlocked ? account.block(phone) : account.unblock(phone));
      await this._readPeople();
      const name = this.nameOf(phone);
      this.say(
        ({ blocking }) => (isBlocked ? blocking.blocked({ name }) : blocking.unblocked({ name })),
        isBlocked ? () => this.block(phone, false) : null,
      );
    });
  }

  /** Whether a phone is blocked. */
  blocks(phone) {
    return this.blocked?.includes(phone) ?? false;
  }

  async loadMore() {
    return this._try(() => this.past.loadMore());
  }

  /** Delete a past call, on all devices of this phone. */
  async deleteCall(roomId) {
    return this._try(() => this.past.delete(roomId));
  }

  /** Delete all past calls. */
  async deleteCalls() {
    return this._try(() => this.past.deleteAll());
  }

  /** The settings of this device: `{kiosk, auto_answers}`. */
  get own() {
    return ownDevice.ownSettings(this.account, this.devices);
  }

  /** Whether this device shows its contacts, and calls them, and nothing else. */
  get isKiosk() {
    return this.account !== null && this.own.kiosk;
  }

  /** Change settings of a device of this phone (DeviceChanges), and if `label` is given, what it is called. */
  async changeDevice(deviceId, changes, label = null) {
    if (deviceId === this.account.deviceId && "auto_answers" in changes) ownDevice.forgetEarlier(this.account);
    return this._changeDevices(async (account) => {
      if (label !== null) await account.renameDevice(deviceId, label);
      if (Object.keys(changes).length > 0) await account.configureDevice(deviceId, changes);
    }, null);
  }

  /** Log another device out. */
  async logOutDevice({ device_id: deviceId, label }) {
    const done = ({ devices }) => devices.logged_out({ name: label || deviceId });
    return this._changeDevices((account) => account.logOutDevice(deviceId), done);
  }

  /** Remove another device. */
  async removeDevice({ device_id: deviceId, label }) {
    const done = ({ devices }) => devices.removed({ name: label || deviceId });
    return this._changeDevices((account) => account.removeDevice(deviceId), done);
  }

  /** Change the links that ring. Returns what `change` finds, asked of the account; null: it failed, and that was said. */
  async changeLinks(change, sentence) {
    const { account } = this;
    let found = null;
    await this._try(async () => {
      found = await change(account);
      await this._take(account, "links", account.links());
    }, sentence);
    return found;
  }

  /** Let anyone call this phone, or only its contacts. @param {"anyone" | "contacts"} who */
  async setWhoMayCall(who) {
    return this._try(async () => {
      const settings = await this._set(this.account, { who_may_call: who });
      if (settings.who_may_call !== who) this.say((words) => words.who.fixed);
    });
  }

  /**
   * Put a contact in the lists of the settings, or take it out.
   * @param {Object<"auto_answer" | "rings_through", boolean>} lists
   */
  async listContact(phone, lists) {
    return this._try(() => this._list(phone, lists));
  }

  async _list(phone, lists) {
    if (Object.keys(lists).length === 0) return;
    const { account } = this;
    const now = await account.settings(); // another device may have changed them just now
    const changed = Object.entries(lists).filter(([name, isIn]) => now[name].includes(phone) !== isIn);
    if (changed.length === 0) return;
    const changes = changed.map(([name, isIn]) => [name, toggled(now[name], phone, isIn)]);
    await this._set(account, Object.fromEntries(changes));
  }

  /** Let a second call within three minutes ring in quiet hours, or not. */
  async setSecondCallRings(isOn) {
    return this._try(() => this._set(this.account, { second_call_rings: isOn }));
  }

  /** Set the quiet hours, `{from, to}` as `22:30`; null: there are none. An end that was set is so no more. */
  async setQuiet(hours) {
    return this._try(async () => {
      const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
      const quiet = hours && { ...hours, time_zone: timeZone };
      await this._set(this.account, { do_not_disturb: quiet, do_not_disturb_until: null });
      this.say((words) => {
        if (hours === null) return words.quiet_off;
        if (hours.from === hours.to) return words.quiet_on;
        return words.quiet_on_daily({ from: timeOfDay(hours.from), to: timeOfDay(hours.to) });
      });
    });
  }

  /** Be quiet until a time, in milliseconds of Date.now(). Daily hours hold again from then on. */
  async setQuietUntil(time) {
    return this._try(async () => {
      const { do_not_disturb: hours } = this.settings;
      const isDaily = hours !== null && hours.from !== hours.to;
      await this._set(this.account, { do_not_disturb_until: time / 1_000, ...(isDaily ? {} : { do_not_disturb: null }) });
      this.say(({ quiet_on_until: until }) => until({ time: clock(time) }));
    });
  }

  /**
   * Say something, until something else is to be said.
   * @param {(() => Promise<boolean>) | null} undo takes back what was done, and returns whether it did
   */
  say(say, undo = null) {
    this.notice = { say, call: null, undo };
    this.#changed();
  }

  /** It was read. */
  dismiss() {
    this.notice = null;
    this.#changed();
  }

  /** What to call the other side of a call, past or present. */
  nameOf(phone, given = "") {
    return this.book?.nameOf(phone) || given.trim() || phone;
  }

  /** Ring when the phone is not open, or no more. */
  async setWaking(isOn) {
    const { account, waking } = this;
    const sentence = (error) => (error.name === "AccountError" ? sentenceOf(error) : ({ closed }) => closed.failed);
    return this._try(() => (isOn ? waking.turnOn(account) : waking.turnOff(account)), sentence);
  }

  // Logging in and out.

  async _problem(account, error, code) {
    if (error.code !== ERROR.CODE) return sentenceOf(error);
    this.login.needsCode = true;
    if (code) return sentenceOf(error);
    try {
      await account.requestCode();
      return (words) => words.error.code;
    } catch (another) {
      return sentenceOf(another);
    }
  }

  _enter(account) {
    this.account = account;
    this.book = new Book(account, this.#changed);
    this.past = new Past(account, this.#changed);
    this.photos = new Photos(account, this.#changed);
    this.profile = new Profile(account, this.#changed);
    this.topics = this._topicsOf(account);
    this._connect();
    this.#looking = setInterval(() => this._lookAround(), LOOK_EVERY);
  }

  _connect() {
    const device = (this.device = new Device(this.account, { callWaiting: true }));
    device.addEventListener("state", () => this._look(device));
    device.addEventListener("call", ({ detail }) => this._follow(detail));
    device.addEventListener("signal", ({ detail }) => this.#signalled(detail));
    device.addEventListener("presence", ({ detail }) => this.book.hear(detail));
    device.addEventListener("missed", () => this.topics.read(["history"]));
    device.addEventListener("changed", ({ detail }) => this.topics.read(detail));
    const call = keptCall(KEPT);
    if (call !== null) device.resume(call);
    device.connect();
  }

  _leave() {
    clearInterval(this.#looking);
    this.device.close();
    this.book.close();
    this.past.close();
    keepCall(KEPT, null);
    this.account = this.device = this.book = this.past = this.photos = this.profile = this.topics = this.notice = null;
    this.settings = this.devices = this.blocked = this.links = null;
    this.notify();
  }

  // What the device says.

  _look(device) {
    if (device !== this.device) return;
    if (device.state === "online") this._online();
    else this.notify();
    this._remember();
    if (device.state === "denied") {
      const { account, isKiosk } = this;
      const isLoggedOut = LOGGED_OUT.includes(device.denial.code);
      const problem = isLoggedOut ? ({ error }) => error.logged_out : sentenceOf(device.denial);
      this.login = { isBusy: false, problem, needsCode: false };
      identity.leave(account);
      this._forget(account);
      account.forget();
      this._leave();
      if (isKiosk) this.pair(); // nobody there has a keyboard: it says how it is let in again
    }
    this.#changed();
  }

  _online() {
    this.book.begin();
    this.topics.readAll();
    this.notified.connected();
    setTimeout(() => this.notify(), TOLD_AFTER);
  }

  /** Keep the notifications of calls true, as far as it is known what rings, and the countdown of an automatic answer. */
  notify() {
    const { account, waking } = this;
    this.autoAnswer.follow(this.device, account !== null && this.own.auto_answers);
    const [ringing = null] = this.ringing;
    if (account === null || (ringing === null && this.device.state !== "online")) return;
    const name = ringing === null ? "" : this.nameOf(ringing.peer.phone, ringing.name);
    waking.show(account, ringing, name).catch(() => {});
  }

  /** The calls that ring here: one, or one while another goes on. */
  get ringing() {
    const calls = [this.device?.call ?? null, this.device?.waitingCall ?? null];
    return calls.filter((call) => call !== null && call.isIncoming && call.state === "ringing");
  }

  /** Keep nothing of a device that has logged out. */
  _forget(account) {
    forgetPhotos().catch(() => {});
    ownDevice.forget(account);
    this.waking.forget(account).catch(() => {});
  }

  _topicsOf(account) {
    return new Topics({
      contacts: () => this._readPeople(),
      profile: () => this.profile.load(),
      history: () => this.past.load(),
      settings: () => this._take(account, "settings", account.settings()),
      devices: () => this.readDevices(),
      links: () => this._take(account, "links", account.links()),
      waking: () => this.waking.renew(account).finally(() => this.notify()), // the worker is told of no call before
    });
  }

  async _readPeople() {
    await Promise.all([this.book.load(), this._take(this.account, "blocked", this.account.blocked())]);
  }

  /** Read the devices of this phone again, and obey what they say of this one. @throws {AccountError} */
  async readDevices() {
    const { account } = this;
    const devices = await this._take(account, "devices", account.devices());
    if (devices !== this.devices) return;
    this.notify();
    await ownDevice.remember(account, devices);
  }

  /** Change settings of an account. Returns all of them. */
  async _set(account, changes) {
    return this._take(account, "settings", account.settings(changes), true);
  }

  /** Take over an answer of an account, unless it is out of date. Returns it. */
  async _take(account, name, answer, isChange = false) {
    const isCurrent = this.#answers.ask(name, isChange);
    const found = await answer;
    if (account !== this.account || !isCurrent()) return found;
    this[name] = found;
    this.#changed();
    return found;
  }

  /** Keep the active call, if there is one here, for this tab when it is loaded again. */
  _remember() {
    const { call, state, isExtended } = this.device;
    const isElsewhere = state === "elsewhere" && isExtended; // on the base protocol nobody would tell of it
    keepCall(KEPT, call?.state === "active" && !isElsewhere ? rememberable(call) : null);
  }

  _lookAround() {
    this._remember();
    if (this.device.state !== "online") return;
    this.topics.readAgain();
    if (!this.device.isExtended) this.book.load().catch(() => {});
  }

  _follow(call) {
    if (call.page === "" && call.roomId !== "") call.page = PAGE + call.roomId;
    this.notice = call.isOver ? { say: null, call, undo: null } : null;
    if (call.isOver) this.past.loadSoon();
    if (call.isOver && call.answeredAt !== null) this.waking.noteCall();
    this.notify();
    this.notified.rings();
    this._remember();
    this.#changed();
  }

  async _changeDevices(change, done) {
    const { account } = this;
    const sentence = (error) => (error.code === ERROR.DEVICE ? ({ devices }) => devices.denied : sentenceOf(error));
    return this._try(async () => {
      await change(account);
      await this.readDevices();
      if (done !== null) this.say(done);
    }, sentence);
  }

  /** Do something, and say so if it fails. Returns whether it was done. */
  async _try(work, sentence = sentenceOf) {
    const { account } = this;
    try {
      await work();
      return true;
    } catch (error) {
      if (account === this.account) this.say(sentence(error));
      return false;
    }
  }
}

function rememberable({ direction, peer, roomId, page, name, answeredAt, isOnHold }) {
  return { direction, peer, roomId, page, name, answeredAt, isOnHold };
}
