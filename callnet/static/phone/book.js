/**
 * The people around this phone: its contacts, their devices and who of them is online, and who has added it.
 */

/** Presence of a device that is not listed yet comes with that of others. */
const LOOK_AGAIN_AFTER = 300;
const BY_NAME = new Intl.Collator();

export class Book {
  #account;
  #changed;
  #loading = 0;
  /** The reading that was begun last. */
  #reading = null;
  #looking = null;
  /** Rows by phone, and of contacts their devices. */
  #contacts = new Map();
  #adders = new Map();
  #devices = new Map();
  /**
   * Whether a device is online, as was heard on this connection, by device. A list may show a moment of which nobody is
   * told, such as one between two connections of a device.
   */
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

  /** Forget who was online: the device has connected, and is told anew. */
  begin() {
    this.#heard.clear();
  }

  /** Read all of it. @throws {AccountError} */
  load() {
    this.#reading = this._load();
    return this.#reading;
  }

  async _load() {
    this.#loading += 1;
    const mine = this.#loading;
    const account = this.#account;
    const [contacts, devices, adders] = await Promise.all([account.people(), account.contacts(), account.added()]);
    if (mine !== this.#loading) {
      await this.#reading; // it has newer rows
      return;
    }
    const byPhone = (rows) => new Map(rows.map((row) => [row.phone, row]));
    [this.#contacts, this.#adders] = [byPhone(contacts), byPhone(adders)];
    this.#devices = new Map();
    const heard = new Map();
    for (const device of devices) {
      const { phone } = device;
      if (this.#devices.has(phone)) this.#devices.get(phone).push(device);
      else this.#devices.set(phone, [device]);
      const name = nameOf(device);
      if (!this.#heard.has(name)) continue;
      device.online = this.#heard.get(name);
      heard.set(name, device.online);
    }
    this.#heard = heard; // of who is no contact any more nothing is heard
    this.isKnown = true;
    this.#changed();
  }

  /** Take note that a device has come or gone. */
  hear(presence) {
    const { phone, device_id, online } = presence;
    this.#heard.set(nameOf(presence), online);
    const device = this.#devices.get(phone)?.find((one) => one.device_id === device_id);
    if (device === undefined) {
      clearTimeout(this.#looking);
      this.#looking = setTimeout(() => this.load().catch(() => {}), LOOK_AGAIN_AFTER);
    } else if (device.online !== online) {
      device.online = online;
      this.#changed();
    }
  }

  /** Be read no more. */
  close() {
    this.#loading += 1;
    this.#reading = null;
    clearTimeout(this.#looking);
  }

  /** What the owner calls a phone, else what it calls itself; "" if neither is known. */
  nameOf(phone) {
    const known = this._known(phone);
    return known === undefined ? "" : seenOf(known);
  }

  /** The version of a phone's photo, or null. */
  photoOf(phone) {
    return this._known(phone)?.photo ?? null;
  }

  /**
   * The contacts, the favourites first, then those who are online: `{phone, name, givenName, profileName, photo,
   * hasGivenPhoto, isFavourite, hasJoined, isOnline, isBlocked, devices: [{deviceId, isOnline}]}`. name: what to call them,
   * a number if there is nothing else; givenName, profileName: what the owner and they themselves call them, or "";
   * hasGivenPhoto: the photo is the owner's.
   */
  people() {
    return Array.from(this.#contacts.values(), (row) => this._person(row)).sort(
      (one, other) =>
        other.isFavourite - one.isFavourite || other.isOnline - one.isOnline || BY_NAME.compare(one.name, other.name),
    );
  }

  /** Who has added this phone and waits for an answer: `{phone, name, photo}`. */
  adders() {
    const shown = ({ phone, profile_name, photo }) => ({ phone, name: profile_name.trim() || phone, photo });
    return Array.from(this.#adders.values(), shown);
  }

  /** The contact with this number, or undefined. */
  personOf(phone) {
    const row = this.#contacts.get(phone);
    return row && this._person(row);
  }

  /**
   * Put a phone in the list, or change what is there.
   * @param {string} phone
   * @param {{name?: string, favourite?: boolean, photo?: string | null}} changes what is left out stays as it is; name: "":
   *   none of the owner's; photo: null: likewise
   * @throws {AccountError}
   */
  async add(phone, { name, favourite, photo }) {
    await this.#account.addContact(phone, name, favourite, photo);
    await this.load();
  }

  /** Take a phone out of the list. @throws {AccountError} */
  async remove(phone) {
    await this.#account.removeContact(phone);
    await this.load();
  }

  /** Show a phone among those who have added this one no more. @throws {AccountError} */
  async dismiss(phone) {
    await this.#account.dismiss(phone);
    await this.load();
  }

  _known(phone) {
    return this.#contacts.get(phone) ?? this.#adders.get(phone);
  }

  _person({ phone, name, profile_name, photo, photo_given, favourite, joined, blocked }) {
    const devices = this.#devices.get(phone) ?? [];
    return {
      phone,
      name: seenOf({ name, profile_name }) || phone,
      givenName: name,
      profileName: profile_name,
      photo,
      hasGivenPhoto: photo_given,
      isFavourite: favourite,
      hasJoined: joined,
      isOnline: devices.some((one) => one.online),
      isBlocked: blocked,
      devices: devices.map(({ device_id, online }) => ({ deviceId: device_id, isOnline: online })),
    };
  }
}

// A name of spaces, which earlier servers took, is none.
function seenOf({ name = "", profile_name }) {
  return name.trim() || profile_name.trim();
}

function nameOf({ phone, device_id }) {
  return `${phone} ${device_id}`;
}

/** Those whose names or number have what was typed in them. */
export function matching(people, text) {
  const wanted = plain(text.trim());
  const digits = /^[\d\s+().-]+$/.test(text) ? text.replace(/\D/g, "") : "";
  return people.filter(
    ({ phone, name, profileName }) =>
      plain(name).includes(wanted) || plain(profileName).includes(wanted) || (digits !== "" && phone.includes(digits)),
  );
}

/** Without accents, in small letters: few type them in a search. */
function plain(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/**
 * Which lists of the settings a phone is in: `{auto_answer, rings_through}`; null: that is not known yet.
 * @param {object | null} settings
 */
export function listsOf(settings, phone) {
  const isIn = (list) => settings[list].includes(phone);
  return settings && { auto_answer: isIn("auto_answer"), rings_through: isIn("rings_through") };
}

/** These phones with one of them, or without it. */
export function toggled(phones, phone, isIn) {
  return isIn ? [...phones, phone] : phones.filter((one) => one !== phone);
}
