/**
 * The contacts of this phone, their devices, and who of them is online.
 */

/** Presence of a device that is not listed yet comes with that of others. */
const LOOK_AGAIN_AFTER = 300;

export class Book {
  #account;
  #changed;
  #loading = 0;
  #looking = null;
  #rows = [];
  /** What was heard since the list was last asked for, by device: an answer that is under way may be older. */
  #heard = new Map();

  /** Whether the list has been read once. */
  isKnown = false;

  /**
   * @param {import("../client/index.js").Account} account
   * @param {() => void} changed
   */
  constructor(account, changed) {
    this.#account = account;
    this.#changed = changed;
  }

  /** Read the list. @throws {AccountError} */
  async load() {
    this.#loading += 1;
    const mine = this.#loading;
    this.#heard = new Map();
    const rows = await this.#account.contacts();
    if (mine !== this.#loading) return; // a later reading has newer rows
    this.#rows = rows;
    for (const presence of this.#heard.values()) this.hear(presence);
    this.isKnown = true;
    this.#changed();
  }

  /** Take note that a device has come or gone. */
  hear(presence) {
    const { phone, device_id, online } = presence;
    this.#heard.set(`${phone} ${device_id}`, presence);
    const row = this.#rows.find((one) => one.phone === phone && one.device_id === device_id);
    if (row === undefined) {
      clearTimeout(this.#looking);
      this.#looking = setTimeout(() => this.load().catch(() => {}), LOOK_AGAIN_AFTER);
    } else if (row.online !== online) {
      row.online = online;
      this.#changed();
    }
  }

  /** Be read no more. */
  close() {
    this.#loading += 1;
    clearTimeout(this.#looking);
  }

  /** What the owner calls a phone; "" if nothing. */
  nameOf(phone) {
    return this.#rows.find((row) => row.phone === phone)?.name ?? "";
  }

  /** Everybody, those who are online first: `{phone, name, isOnline, devices: [{deviceId, isOnline}]}`. */
  people() {
    const people = new Map();
    for (const { phone, device_id, name, online } of this.#rows) {
      const person = people.get(phone) ?? { phone, name: name || phone, isOnline: false, devices: [] };
      person.isOnline = person.isOnline || online;
      person.devices.push({ deviceId: device_id, isOnline: online });
      people.set(phone, person);
    }
    return Array.from(people.values()).sort(
      (one, other) => other.isOnline - one.isOnline || one.name.localeCompare(other.name),
    );
  }

  /** Whether some device of a phone is listed. */
  lists(phone) {
    return this.#rows.some((row) => row.phone === phone);
  }

  /** Put a phone in the list, or give it another name. @throws {AccountError} */
  async add(phone, name) {
    await this.#account.addContact(phone, name);
    await this.load();
  }

  /** Take a phone out of the list. @throws {AccountError} */
  async remove(phone) {
    await this.#account.removeContact(phone);
    await this.load();
  }
}
