/**
 * The phone without its looks: who it is logged in as, its device, its lists, and what it has to say.
 */

import { Account, ERROR } from "../client/account.js";
import { Device } from "../client/device.js";
import { Book } from "./book.js";
import * as identity from "./identity.js";
import { timeOfDay } from "../shared/format.js";
import { tab } from "../shared/memory.js";
import { Past } from "./past.js";
import { forgetPhotos, Photos } from "./photos.js";
import { Profile } from "./profile.js";
import { sentenceOf } from "./sentences.js";

/** On the base protocol nobody says who comes and goes: it is asked. */
const LOOK_EVERY = 15_000;
const PAGE = "/static/demo/direct_chat.html?room_id=";
/** Names of one kind that are tried: a login counts for a limit. */
const NAMES_TRIED = 5;

export class Phone {
  #changed;
  #looking = null;

  /** Whether it is not clear yet which device this tab is. */
  isStarting = true;
  /** All of these null: nobody is logged in. */
  account = null;
  device = null;
  book = null;
  past = null;
  photos = null;
  profile = null;
  /** What the owner wants of calls; null: not known yet. */
  settings = null;
  /** What came of the last try to log in: a sentence (sentences.js) or null, and whether a code is to be given. */
  login = { isBusy: false, problem: null, needsCode: false };
  /**
   * What there is to say: `{say: a sentence, call: the Call that is over, or null, undo: what takes back what was just
   * done, if that can be}`; null: nothing.
   */
  notice = null;

  /** @param {() => void} changed is called whenever something has changed */
  constructor(changed) {
    this.#changed = changed;
  }

  /** Be what this tab was before, or wait for somebody to log in. */
  async start() {
    const who = await identity.deviceOfTab();
    if (who !== null) this._enter(this._account(who));
    this.isStarting = false;
    this.#changed();
  }

  /**
   * Log in as a device.
   * @param {boolean} isProposed whether its name is one that the phone has proposed: if somebody else has it, the
   *   same with a number is as good
   */
  async logIn(who, code, isProposed) {
    this.login = { ...this.login, isBusy: true, problem: null };
    this.#changed();
    try {
      const account = await this._logIn(who, code, isProposed ? NAMES_TRIED : 1);
      this.login = { isBusy: false, problem: null, needsCode: false };
      identity.become(account);
      this._enter(account);
    } catch (error) {
      this.login.problem = await this._problem(this._account(who), error, code);
      this.login.isBusy = false;
    }
    this.#changed();
  }

  /** Log out. The token is revoked if the server can be reached. */
  logOut() {
    const { account } = this;
    account.logout().catch(() => {});
    identity.leave(account);
    forgetPhotos().catch(() => {});
    this._leave();
    this.#changed();
  }

  /** Be no device in this tab any more; the other place where this one is in use goes on. */
  leaveTab() {
    tab.set("device", null);
    this._leave();
    this.#changed();
  }

  /** Call a device of a phone, or with `*` all of them. */
  call(phone, deviceId = "*") {
    this.notice = null;
    if (this.device.place(phone, deviceId) === null) this.say((words) => words.error.no_connection);
  }

  /** The page of a call has seen its end. */
  noteEnd(call) {
    this.device?.noteEnd(call);
  }

  /**
   * Add a contact.
   * @param {string} phone
   * @param {{name?: string, favourite?: boolean}} [details]
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

  /** Give a contact another name, or make it a favourite, or one no more. Returns whether that was done. */
  async changeContact(phone, changes) {
    return this._try(() => this.book.add(phone, changes));
  }

  /** Remove a contact, which can be undone. Returns whether that was done. */
  async removeContact(phone) {
    return this._try(async () => {
      const { name, givenName, isFavourite } = this.book.personOf(phone);
      await this.book.remove(phone);
      const undo = () => this.addContact(phone, { name: givenName, favourite: isFavourite });
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

  async loadMore() {
    return this._try(() => this.past.loadMore());
  }

  /** Set the quiet hours, `{from, to}` as `22:30`; null: there are none. */
  async setQuiet(hours) {
    return this._try(async () => {
      const { timeZone } = Intl.DateTimeFormat().resolvedOptions();
      this.settings = await this.account.settings({ do_not_disturb: hours && { ...hours, time_zone: timeZone } });
      this.say((words) => {
        if (hours === null) return words.quiet_off;
        if (hours.from === hours.to) return words.quiet_on;
        return words.quiet_on_daily({ from: timeOfDay(hours.from), to: timeOfDay(hours.to) });
      });
    });
  }

  /** Say something, until something else is to be said. */
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
    return this.book?.nameOf(phone) || given || phone;
  }

  // Logging in and out.

  _account(who) {
    const kept = identity.kept(who);
    return new Account({ site: location.origin, ...who, kept, keep: (all) => identity.keep(who, all) });
  }

  async _logIn(who, code, names, number = 1) {
    const isLast = number === names;
    const next = () => this._logIn(who, code, names, number + 1);
    const device = number === 1 ? who : { ...who, deviceId: `${who.deviceId} ${number}` };
    if (!isLast && !(await identity.isFree(device))) return next();
    const account = this._account(device);
    try {
      await account.login(code);
    } catch (error) {
      if (isLast || error.code !== ERROR.DEVICE) throw error;
      return next();
    }
    return account;
  }

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
    const device = (this.device = new Device(account));
    device.addEventListener("state", () => this._look(device));
    device.addEventListener("call", ({ detail }) => this._follow(detail));
    device.addEventListener("presence", ({ detail }) => this.book.hear(detail));
    device.addEventListener("missed", () => this.past.loadSoon());
    const call = tab.get("call");
    if (call !== null) device.resume(call);
    device.connect();
    this.#looking = setInterval(() => this._lookAround(), LOOK_EVERY);
  }

  _leave() {
    clearInterval(this.#looking);
    this.device.close();
    this.book.close();
    this.past.close();
    tab.set("call", null);
    this.account = this.device = this.book = this.past = this.photos = this.profile = this.settings = this.notice = null;
  }

  // What the device says.

  _look(device) {
    if (device !== this.device) return;
    if (device.state === "online") this._read();
    if (device.state === "denied") {
      this.login = { isBusy: false, problem: sentenceOf(device.denial), needsCode: false };
      identity.leave(this.account);
      forgetPhotos().catch(() => {});
      this.account.forget();
      this._leave();
    }
    this.#changed();
  }

  _read() {
    const { account } = this;
    this.book.load().catch(() => {});
    this.past.load().catch(() => {});
    this.profile.load().catch(() => {});
    account.settings().then(
      (settings) => {
        if (account === this.account) this.settings = settings;
        this.#changed();
      },
      () => {}, // it is asked again with the next connection
    );
  }

  _lookAround() {
    if (this.device.state === "online" && !this.device.isExtended) this.book.load().catch(() => {});
  }

  _follow(call) {
    if (call.page === "" && call.roomId !== "") call.page = PAGE + call.roomId;
    if (call.isOver) {
      this.notice = { say: null, call, undo: null };
      tab.set("call", null);
      this.past.loadSoon();
    } else {
      this.notice = null;
      if (call.state === "active") tab.set("call", rememberable(call));
    }
    this.#changed();
  }

  async _try(work) {
    const { account } = this;
    try {
      await work();
      return true;
    } catch (error) {
      if (account === this.account) this.say(sentenceOf(error));
      return false;
    }
  }
}

function rememberable({ direction, peer, roomId, page, name, answeredAt }) {
  return { direction, peer, roomId, page, name, answeredAt };
}
