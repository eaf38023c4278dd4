/**
 * The settings: what they show, and what is done in them.
 */

import { clock, listed, timeOfDay } from "../shared/format.js";
import { browser } from "../shared/memory.js";
import { deviceForm, deviceLine } from "./devices.js";
import { el, fill, focusOn, put } from "../shared/elements.js";
import { Ringer } from "../shared/ringer.js";

/** What the page can look like, for shared/look.js; the first of each is what nobody has to choose. */
const LOOKS = { theme: ["system", "light", "dark"], size: ["automatic", "normal", "large", "television"] };
const CALLERS = ["anyone", "contacts"];
/** Hours without an end. */
const ALWAYS = { from: "00:00", to: "00:00" };
const HOUR = 3_600_000;
/** Milliseconds that a timer can wait. */
const LONGEST = 2 ** 31 - 1;
/** The hour of the day at which a quiet night is over. */
const MORNING = 7;
const QUIET = ["hour", "morning", "always", "daily"];

export class Settings {
  #elements;
  #phone;
  #ringer;
  #changed;
  #words = null;
  #shown = undefined;
  #quietEnds = null;
  /** The changes that are under way, by the ids of their switches. */
  #underWay = new Map();
  /** The device that is being changed, by its id, and what is to be confirmed: "log_out", "remove", or null. */
  #device = { id: null, asks: null };
  /** Its form. What somebody is filling in stays as it is, whatever becomes of the list around it. */
  #form = { content: "", element: null };

  /**
   * @param {Object<string, HTMLElement>} elements of the page, by id
   * @param {import("./phone.js").Phone} phone
   * @param {Ringer} ringer
   * @param {() => void} changed something else is to be shown
   */
  constructor(elements, phone, ringer, changed) {
    this.#elements = elements;
    this.#phone = phone;
    this.#ringer = ringer;
    this.#changed = changed;
    this._wire();
  }

  /** Show the settings in these words. */
  show(words) {
    const { settings, device } = this.#phone;
    if (device === null) {
      this.#device = { id: null, asks: null };
      return;
    }
    if (settings !== this.#shown || words !== this.#words) {
      this.#words = words;
      this.#shown = settings;
      this._showQuiet(settings);
    }
    this.#elements.quiet.disabled = settings === null;
    for (const [name, values] of Object.entries(LOOKS)) this._press(name, values, browser.get(name) ?? values[0]);
    this._press("who", CALLERS, settings?.who_may_call);
    for (const caller of CALLERS) this.#elements[`who-${caller}`].disabled = settings === null;
    this.#elements["who-hint"].hidden = settings?.who_may_call !== "contacts";
    this.#elements["ring-volume"].value = 100 * Ringer.volume;
    const { permission } = Ringer;
    this.#elements.alerts.hidden = permission === "unsupported";
    this.#elements["alerts-on"].hidden = permission !== "default";
    put(this.#elements["alerts-state"], words.alerts_state[permission] ?? "");
    this._showExceptions(words);
    this._showWaking(words);
    this._showBlocked(words);
    this._showDevices(words);
  }

  _wire() {
    this._on("quiet", "change", () => this._setQuiet(this.#elements.quiet.checked ? ALWAYS : null));
    this._on("quiet-hour", "click", () => this._setQuietUntil(Date.now() + HOUR));
    this._on("quiet-morning", "click", () => this._setQuietUntil(nextMorning()));
    this._on("quiet-always", "click", () => this._setQuiet(ALWAYS));
    for (const [id, kind] of [["quiet-daily", "click"], ["quiet-from", "change"], ["quiet-to", "change"]]) {
      this._on(id, kind, () => this._setDaily());
    }
    for (const caller of CALLERS) this._on(`who-${caller}`, "click", () => this.#phone.setWhoMayCall(caller));
    this._on("ring-volume", "input", ({ target }) => {
      Ringer.volume = target.value / 100;
    });
    this._on("ring-volume", "change", () => this.#ringer.play());
    this._on("ring-play", "click", () => this.#ringer.play());
    this._on("alerts-on", "click", async () => {
      await Ringer.askPermission();
      this.#changed();
    });
    this._onSwitch("quiet-second", (isOn) => this.#phone.setSecondCallRings(isOn));
    this._onSwitch("auto-switch", (isOn) => {
      const { account } = this.#phone;
      return this.#phone.changeDevice(account.deviceId, { auto_answers: isOn });
    });
    this._on("closed-switch", "change", ({ target }) => this.#phone.setWaking(target.checked));
    for (const [name, values] of Object.entries(LOOKS)) {
      for (const value of values) {
        this._on(`${name}-${value}`, "click", () => {
          browser.set(name, value === values[0] ? null : value);
          window.dispatchEvent(new Event("storage")); // as other tabs are told
        });
      }
    }
    this._on("log-out", "click", () => this.#phone.logOut());
  }

  _on(id, kind, handle) {
    this.#elements[id].addEventListener(kind, handle);
  }

  /** Let a switch be set by `set`, which says so if it fails. */
  _onSwitch(id, set) {
    this._on(id, "change", async ({ target }) => {
      const change = set(target.checked);
      this.#underWay.set(id, change);
      await change;
      if (this.#underWay.get(id) === change) this.#underWay.delete(id);
      this.#changed();
    });
  }

  /** Show a switch as it is, and while it is being set as it was wanted. */
  _showSwitch(id, isOn) {
    if (!this.#underWay.has(id)) this.#elements[id].checked = isOn;
  }

  /** Show which of several buttons is the present choice. */
  _press(name, values, chosen) {
    for (const value of values) {
      this.#elements[`${name}-${value}`].setAttribute("aria-pressed", String(value === chosen));
    }
  }

  // Quiet hours

  async _setQuiet(hours) {
    if (!(await this.#phone.setQuiet(hours))) this._showAgain();
  }

  async _setQuietUntil(time) {
    if (!(await this.#phone.setQuietUntil(time))) this._showAgain();
  }

  _showAgain() {
    this.#shown = undefined;
    this.#changed();
  }

  _setDaily() {
    const [from, to] = [this.#elements["quiet-from"].value, this.#elements["quiet-to"].value];
    if (from !== "" && to !== "") this._setQuiet({ from, to });
  }

  _showQuiet(settings) {
    const { do_not_disturb: hours = null, do_not_disturb_until: end = null } = settings ?? {};
    const until = end !== null && end * 1_000 > Date.now() ? end * 1_000 : null;
    clearTimeout(this.#quietEnds);
    if (until !== null) this.#quietEnds = setTimeout(() => this._showAgain(), Math.min(until - Date.now(), LONGEST));
    const isDaily = hours !== null && hours.from !== hours.to;
    const kind = until === null ? hours && (isDaily ? "daily" : "always") : kindOf(until);
    const isQuiet = until !== null || hours !== null;
    this.#elements.quiet.checked = isQuiet;
    this.#elements["quiet-when"].hidden = !isQuiet;
    this.#elements["quiet-times"].hidden = kind !== "daily";
    this._press("quiet", QUIET, kind);
    put(this.#elements["quiet-morning"], this.#words.quiet_morning({ time: clock(nextMorning()) }));
    if (isDaily) {
      this.#elements["quiet-from"].value = hours.from;
      this.#elements["quiet-to"].value = hours.to;
    }
    for (const place of ["self-quiet", "kiosk-quiet"]) {
      put(this.#elements[`${place}-text`], quietText(hours, until, this.#words));
      this.#elements[place].hidden = !isQuiet;
    }
  }

  // Who rings through, and who is answered by itself

  _showExceptions({ auto, quiet_through: through }) {
    const { own, settings } = this.#phone;
    const names = (phones) => listed(phones.map((phone) => this.#phone.nameOf(phone)));
    const { rings_through: ringing = [], auto_answer: answered = [], second_call_rings: again = false } = settings ?? {};
    put(this.#elements["quiet-through"], ringing.length > 0 ? through.some({ names: names(ringing) }) : through.nobody);
    this._showSwitch("quiet-second", again);
    this.#elements["quiet-second"].disabled = settings === null;
    put(this.#elements["auto-people"], answered.length > 0 ? auto.some({ names: names(answered) }) : auto.nobody);
    this._showSwitch("auto-switch", own.auto_answers);
  }

  // Ringing when the phone is not open

  _showWaking({ closed, alerts_state: alerts }) {
    const { account, waking } = this.#phone;
    const state = waking.stateOf(account);
    this.#elements.closed.hidden = state === null;
    if (!waking.isBusy) this.#elements["closed-switch"].checked = state === "on";
    this.#elements["closed-switch"].disabled = waking.isBusy || (state !== "on" && state !== "off");
    put(this.#elements["closed-state"], state === "blocked" ? alerts.denied : closed[state] ?? "");
  }

  // Blocked phones

  _showBlocked({ blocking, lang }) {
    const phones = this.#phone.blocked ?? [];
    const people = phones.map((phone) => ({ phone, name: this.#phone.nameOf(phone) }));
    const unblock = ({ phone, name }) =>
      el(
        "li",
        { class: "line" },
        el(
          "div",
          {},
          el("p", { class: "name" }, el("bdi", {}, name)),
          ...(name === phone ? [] : [el("p", { class: "hint" }, el("bdi", {}, phone))]),
        ),
        el(
          "button",
          {
            type: "button",
            class: "plain",
            "data-key": `unblock-${phone}`,
            "aria-label": `${blocking.unblock}: ${name}`,
            onclick: () => this.#phone.block(phone, false),
          },
          blocking.unblock,
        ),
      );
    fill(this.#elements.blocked, { people, lang }, () => people.map(unblock));
    put(this.#elements["blocked-hint"], phones.length > 0 ? blocking.hint : blocking.nobody);
  }

  // The devices of this phone

  _showDevices(words) {
    const { id, asks } = this.#device;
    const order = (one, other) => other.this - one.this || other.online - one.online;
    const devices = (this.#phone.devices ?? [])
      .map((device) => ({ ...device, isOpen: device.device_id === id, asks: device.device_id === id ? asks : null }))
      .sort((one, other) => order(one, other) || other.last_used_at - one.last_used_at);
    fill(this.#elements.devices, { devices, lang: words.lang }, () =>
      devices.map((device) => deviceLine(device, words, this._doings(device, words))),
    );
  }

  _doings(device, words) {
    const id = device.device_id;
    const open = (asks, key) => {
      this.#device = { id, asks };
      this.#form.content = "";
      this.#changed();
      focusOn(key);
    };
    const close = () => {
      if (this.#device.id !== id) return; // another one was opened meanwhile
      this.#device = { id: null, asks: null };
      this.#changed();
      focusOn(`device-${id}`);
    };
    const phone = this.#phone;
    const doings = {
      change: () => open(null, `label-${id}`),
      ask: (what) => open(what, `no-${id}`),
      close,
      save: async (label, changes) => {
        if (await phone.changeDevice(id, changes, label)) close();
      },
      confirm: async (what) => {
        await (what === "remove" ? phone.removeDevice(device) : phone.logOutDevice(device));
        close();
      },
      form: () => {
        const content = JSON.stringify([id, words.lang]);
        if (content !== this.#form.content) this.#form = { content, element: deviceForm(device, words, doings) };
        return this.#form.element;
      },
    };
    return doings;
  }
}

/** The next time at which it is morning, in milliseconds of Date.now(). */
function nextMorning() {
  const today = new Date().setHours(MORNING, 0, 0, 0);
  const morning = new Date(today);
  if (today <= Date.now()) morning.setDate(morning.getDate() + 1);
  return morning.getTime();
}

/** Which of the choices ends then, or null. */
function kindOf(until) {
  if (until === nextMorning()) return "morning";
  return until - Date.now() <= HOUR ? "hour" : null;
}

function quietText(hours, until, { quiet, quiet_hours: daily, quiet_until: once }) {
  if (until !== null) return once({ time: clock(until) });
  if (hours === null || hours.from === hours.to) return quiet;
  return daily({ from: timeOfDay(hours.from), to: timeOfDay(hours.to) });
}
