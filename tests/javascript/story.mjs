/**
 * Plays the stories of tests/client_stories with the client in JavaScript, in Node.js and in browsers; their README says
 * what is in them.
 */

import { Account, AccountError, Device, GuestCall, Pairing } from "../../clients/javascript/index.js";

/** Milliseconds that an event may take to come, on a machine that is busy with other tests. */
const PATIENCE = 30_000;
/** Milliseconds until the history is asked for again: the server limits requests of a device. */
const ASK_AGAIN = 250;

/**
 * Play a story.
 *
 * @param {object} story
 * @param {"base" | "extended"} protocol
 * @param {object} world
 *   site: of the account service · gate(name): a way to the signaling service for one device, {site, shut(isShut), cut()} ·
 *   WebSocket: what the client is given as the option of that name
 * @returns {Promise<string>} the log
 */
export async function play(story, protocol, { site, gate, WebSocket }) {
  const actors = {};
  try {
    for (const [name, spec] of Object.entries(story.devices)) {
      const isExtended = (spec.protocol ?? protocol) === "extended";
      actors[name] = new Actor(name, spec, isExtended, site, await gate(name), WebSocket);
    }
    for (const step of story.steps) {
      if ((step.on ?? protocol) === protocol) await actors[step.device].take(step, actors);
    }
    return written(Object.values(actors).flatMap(({ log }) => [...log.entries]));
  } finally {
    for (const { device, guest } of Object.values(actors)) {
      device.close();
      guest?.close();
    }
  }
}

/** What one device told, and who waits for it. */
class Log {
  entries = [];
  #device;
  #awaited = 0;
  #look = () => {};

  constructor(device) {
    this.#device = device;
  }

  note(event, members) {
    this.entries.push({ device: this.#device, event, ...members });
    this.#look();
  }

  /** Wait for an event, after the last that was waited for, in which fields have these values. */
  until(wanted) {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => reject(new Error(this._lack(wanted))), PATIENCE);
      this.#look = () => {
        const left = this.entries.slice(this.#awaited);
        const place = left.findIndex((entry) => Object.keys(wanted).every((name) => isSame(entry[name], wanted[name])));
        if (place === -1) return;
        this.#awaited += place + 1;
        this.#look = () => {};
        clearTimeout(timer);
        resolve();
      };
      this.#look();
    });
  }

  _lack(wanted) {
    const told = this.entries.slice(this.#awaited);
    return `${this.#device} told nothing like ${JSON.stringify(wanted)}, but ${JSON.stringify(told)}`;
  }
}

/** One device of a story. */
class Actor {
  #gate;
  /** What was logged last of each call. */
  #logged = new Map();
  /** The changes that are logged. */
  #watched = [];

  constructor(name, spec, isExtended, site, gate, WebSocket) {
    this.log = new Log(name);
    this.#gate = gate;
    this.ways = { site, signaling: gate.site, WebSocket };
    this.account = new Account({ site, phone: spec.phone, deviceId: spec.device_id, keep: () => {} });
    const callWaiting = spec.call_waiting ?? false;
    this.device = new Device(this.account, { site: gate.site, extended: isExtended, callWaiting, WebSocket });
    this._listen(this.device);
  }

  /** Do a step, or wait for what it awaits. */
  async take(step, actors) {
    if (step.await !== undefined) return this.log.until(step.await);
    try {
      return await this[step.do](step, actors);
    } catch (error) {
      if (!(error instanceof AccountError)) throw error;
      return this.log.note("failed", { do: step.do, code: error.code });
    }
  }

  log_in() {
    return this.account.login();
  }

  log_out() {
    return this.account.logout();
  }

  take_credentials({ of }, actors) {
    const { token, expiresAt, secret } = actors[of].account;
    Object.assign(this.account, { token, expiresAt, secret });
  }

  async pair({ name }) {
    this.pairing = await Pairing.begin({ site: this.account.site, name });
  }

  resume_pairing() {
    this.pairing = Pairing.resume({ site: this.account.site }, this.pairing.begun);
  }

  async paired() {
    const { phone, deviceId, token, expiresAt, secret } = await this.pairing.finished();
    Object.assign(this.account, { token, expiresAt, secret });
    this.log.note("paired", { as: `${phone} ${deviceId}` });
  }

  async look_at({ whom }, actors) {
    const { userCode } = actors[whom].pairing;
    this.found = await this.account.waitingDevice(userCode.toLowerCase().replace("-", " "));
    this.log.note("waiting", { name: this.found.name });
  }

  accept_pairing({ whom, label }, actors) {
    return this.account.acceptPairing(this.found.pairing_id, actors[whom].account.deviceId, label);
  }

  refuse_pairing() {
    return this.account.refusePairing(this.found.pairing_id);
  }

  async make_link({ device: _, do: __, ...fields }) {
    this.link = await this.account.makeLink(fields);
    this.log.note("links", { links: [linkEntry(this.link)] });
  }

  async change_link({ changes }) {
    this.link = await this.account.changeLink(this.link.link_id, changes);
    this.log.note("links", { links: [linkEntry(this.link)] });
  }

  remove_link() {
    return this.account.removeLink(this.link.link_id);
  }

  async links() {
    this.log.note("links", { links: (await this.account.links()).map(linkEntry) });
  }

  ring({ secret, link_of, name }, actors) {
    const guest = new GuestCall({ ...this.ways, secret: secret ?? actors[link_of].link.secret, name });
    this.guest = guest;
    guest.addEventListener("state", ({ detail: state }) => {
      const told = Object.entries({ room: guest.roomId, reason: guest.reason }).filter(([, value]) => value);
      this.log.note("guest", { state, ...Object.fromEntries(told) });
    });
    guest.ring();
  }

  hang_up_guest() {
    this.guest.hangUp();
  }

  connect() {
    this.device.connect();
  }

  close() {
    return this.device.close();
  }

  call({ whom, all_of, address }, actors) {
    const named = actors[whom ?? all_of]?.account;
    const [phone, deviceId] = address ?? [named.phone, named.deviceId];
    if (this.device.place(phone, all_of === undefined ? deviceId : "*") === null) throw new Error("it is not online");
  }

  accept(step) {
    this._callOf(step).accept({ hold: step.hold });
  }

  swap() {
    this.device.swap();
  }

  refuse(step) {
    this._callOf(step).refuse();
  }

  hang_up(step) {
    this._callOf(step).hangUp();
  }

  pull({ room_of }, actors) {
    if (this.device.pull(actors[room_of].device.call.roomId) === null) throw new Error("it is not online");
  }

  signal({ data }) {
    this.device.call.signal(data);
  }

  add_contact({ whom, name, favourite }, actors) {
    return this.account.addContact(actors[whom].account.phone, name, favourite);
  }

  remove_contact({ whom }, actors) {
    return this.account.removeContact(actors[whom].account.phone);
  }

  block({ whom }, actors) {
    return this.account.block(actors[whom].account.phone);
  }

  unblock({ whom }, actors) {
    return this.account.unblock(actors[whom].account.phone);
  }

  dismiss({ whom }, actors) {
    return this.account.dismiss(actors[whom].account.phone);
  }

  async people() {
    const rows = await this.account.people();
    const people = rows.map(({ phone, name, profile_name, favourite, joined, online, blocked }) => {
      return { phone, name, profile_name, favourite, joined, online, blocked };
    });
    this.log.note("people", { people });
  }

  async added() {
    const rows = await this.account.added();
    this.log.note("added", { added: rows.map(({ phone, profile_name }) => ({ phone, profile_name })) });
  }

  async profile({ name }) {
    this.log.note("profile", { profile: await this.account.profile({ name }) });
  }

  async devices() {
    const rows = await this.account.devices();
    const devices = rows.map(({ device_id, label, online, this: isThis, kiosk, auto_answers }) => {
      return { device: device_id, label, online, this: isThis, kiosk, auto_answers };
    });
    this.log.note("devices", { devices });
  }

  rename_device({ whom, label }, actors) {
    return this.account.renameDevice(actors[whom].account.deviceId, label);
  }

  configure_device({ whom, changes }, actors) {
    return this.account.configureDevice(actors[whom].account.deviceId, changes);
  }

  unlock({ pin }) {
    return this.account.unlock(pin);
  }

  remove_device({ whom }, actors) {
    return this.account.removeDevice(actors[whom].account.deviceId);
  }

  watch_changes({ what }) {
    this.#watched = what;
  }

  async contacts() {
    const rows = await this.account.contacts();
    const contacts = rows.map(({ phone, device_id, name, online }) => ({ peer: `${phone} ${device_id}`, name, online }));
    this.log.note("contacts", { contacts });
  }

  async history({ until }) {
    let past = await this.account.history();
    while (past.calls.length < until) {
      await new Promise((resolve) => setTimeout(resolve, ASK_AGAIN));
      past = await this.account.history();
    }
    const calls = past.calls.map((call) => ({
      direction: call.direction,
      peer: peerName(call.peer_phone, call.peer_device_id, call.guest),
      room: call.room_id,
      outcome: call.outcome,
      answered: call.answered_at !== null,
    }));
    this.log.note("history", { calls });
  }

  async settings({ changes }) {
    this.log.note("settings", { settings: await this.account.settings(changes) });
  }

  async cut_off() {
    await this.#gate.shut(true);
    await this.#gate.cut();
  }

  let_back() {
    return this.#gate.shut(false);
  }

  drop() {
    return this.#gate.cut();
  }

  /** The call that a step is about: that the device is in, or the one that waits, or is held. */
  _callOf({ waiting = false, held = false }) {
    if (held) return this.device.heldCall;
    return waiting ? this.device.waitingCall : this.device.call;
  }

  _listen(device) {
    const { log } = this;
    device.addEventListener("state", ({ detail: state }) => log.note("state", { state, ...this._more(state) }));
    device.addEventListener("call", ({ detail }) => this._hear(detail));
    device.addEventListener("presence", ({ detail: { phone, device_id, online } }) =>
      log.note("presence", { peer: `${phone} ${device_id}`, online }),
    );
    device.addEventListener("missed", ({ detail }) =>
      log.note("missed", {
        calls: detail.map(({ peer_phone, peer_device_id, room_id }) => ({
          peer: `${peer_phone} ${peer_device_id}`,
          room: room_id,
        })),
      }),
    );
    device.addEventListener("changed", ({ detail }) => {
      for (const what of detail) if (this.#watched.includes(what)) log.note("changed", { what });
    });
    device.addEventListener("signal", ({ detail: { call, data } }) => log.note("signal", { room: call.roomId, data }));
  }

  _hear(call) {
    const entry = callEntry(call, call === this.device.heldCall);
    if (isSame(entry, this.#logged.get(call))) return;
    this.#logged.set(call, entry);
    this.log.note("call", entry);
  }

  _more(state) {
    if (state === "online") return { extended: this.device.isExtended };
    return state === "denied" ? { code: this.device.denial.code } : {};
  }
}

function callEntry(call, isHeld) {
  const told = {
    peer: call.peer.phone && peerName(call.peer.phone, call.peer.deviceId, call.isGuest),
    link: call.linkName,
    room: call.roomId,
    reason: call.reason,
    other_side: call.otherSide === "here" ? "" : call.otherSide,
    held: isHeld,
    on_hold: call.isOnHold,
    own_end: call.isOwnEnd,
    forgotten: call.isForgotten,
  };
  const said = Object.entries(told).filter(([, value]) => value);
  return { direction: call.direction, state: call.state, ...Object.fromEntries(said) };
}

/** The other side as the log has it: the phone of a guest is drawn. */
function peerName(phone, deviceId, isGuest) {
  return `${isGuest ? "guest" : phone} ${deviceId}`;
}

function linkEntry({ name, is_on, hours, expires_at, calls_left, last_used_at }) {
  return { name, is_on, hours, expires_at, calls_left, used: last_used_at !== null };
}

function isSame(one, other) {
  return JSON.stringify(one) === JSON.stringify(other);
}

/** A log as text, with the rooms numbered by where they first stand in it. */
function written(entries) {
  const rooms = [];
  const named = (name, value) => {
    if (name !== "room" || !value) return value;
    if (!rooms.includes(value)) rooms.push(value);
    return `room-${rooms.indexOf(value) + 1}`;
  };
  return entries.map((entry) => `${JSON.stringify(entry, named)}\n`).join("");
}
