/**
 * The account service (docs/openapi.json) for one device: who it is, whom it knows, what has been.
 *
 * A token that is no good any more is replaced by a new login with what is known, once a request. What the server
 * answers is passed on with its own names, and times in it are seconds since 1970.
 */

/** `errorCode` of an answer, as far as a client tells one from another; UNREACHABLE: there was no answer. */
export const ERROR = Object.freeze({
  UNREACHABLE: -1,
  INTERNAL: 1,
  DATA: 2,
  PHONE: 3,
  TOKEN: 4,
  DEVICE: 5,
  RATE_LIMITED: 6,
  CODE: 7,
  PHOTOS_FULL: 8,
});

const TIMEOUT = 15_000;
/** The message of whatever fails after a logout. */
const LOGGED_OUT = "logged out";
const DAY = 24 * 3_600_000;
/** What is left of a token's time when it is renewed. */
const RENEW_BEFORE = DAY;
/** How long a token is good if the server, which knows only the seed's protocol, does not say. */
const GOOD_FOR = 7 * DAY;

/** @typedef {import("./types.js").AccountOptions} AccountOptions */
/** @typedef {import("./types.js").Adder} Adder */
/** @typedef {import("./types.js").ContactRow} ContactRow */
/** @typedef {import("./types.js").Credentials} Credentials */
/** @typedef {import("./types.js").DeviceChanges} DeviceChanges */
/** @typedef {import("./types.js").IceServer} IceServer */
/** @typedef {import("./types.js").Link} Link */
/** @typedef {import("./types.js").LinkFields} LinkFields */
/** @typedef {import("./types.js").OwnDevice} OwnDevice */
/** @typedef {import("./types.js").PastCall} PastCall */
/** @typedef {import("./types.js").Person} Person */
/** @typedef {import("./types.js").Photo} Photo */
/** @typedef {import("./types.js").Profile} Profile */
/** @typedef {import("./types.js").Settings} Settings */
/** @typedef {import("./types.js").WaitingDevice} WaitingDevice */

/** A request that failed. */
export class AccountError extends Error {
  /**
   * @param {number} code
   * @param {string} message
   * @param {number | null} [retryAfter]
   * @param {number | null} [status]
   */
  constructor(code, message, retryAfter = null, status = null) {
    super(message);
    this.name = "AccountError";
    /** One of ERROR. */
    this.code = code;
    /** Seconds after which to try again, or null if the server named none. */
    this.retryAfter = retryAfter;
    /** The status of HTTP, or null if there was no answer. */
    this.status = status;
  }
}

/** One device at a server. Every request may fail with an AccountError. */
export class Account {
  #keep;
  /** @type {AccountError | null} Why it does not log in by itself: its secret was refused, or it has logged out. */
  #refusal = null;
  /** @type {Promise<void> | null} The login that is under way: whoever needs one meanwhile waits for it. */
  #login = null;
  /** Counts the logouts: a token that was asked for before the last of them is nobody's. */
  #logouts = 0;

  /** @param {AccountOptions} options */
  constructor({ site, phone, deviceId, kept = null, keep }) {
    this.#keep = keep;
    /** The origin of the service. */
    this.site = site;
    this.phone = phone;
    this.deviceId = deviceId;
    /** @type {string | null} */
    this.token = kept?.token ?? null;
    /** Milliseconds since 1970. */
    this.expiresAt = kept?.expiresAt ?? 0;
    /** @type {string | null} */
    this.secret = kept?.secret ?? null;
    // The seed's server gives no secret and no token that names its key, and does not say how long one is good.
    /** @internal Whether the server has shown that it knows the extended protocol. */
    this._isExtended = this.secret !== null || namesKey(this.token);
  }

  /** Whether there is a token that should be good. */
  get isLoggedIn() {
    return this.token !== null && this.#refusal === null && Date.now() < this.expiresAt;
  }

  /**
   * Log in. A secret that is offered, and that somebody keeps, is shown at once: that claims the device. One that is
   * refused is kept no longer, because the device was removed or logged out: the next login is that of a new device.
   * @param {string} [code] the one-time code that the phone was sent, where one is asked for
   * @returns {Promise<void>}
   */
  login(code) {
    if (this.#login !== null && !code) return this.#login;
    this.#refusal = null;
    /** @type {Promise<void>} */
    const login = this._logIn(code).finally(() => {
      if (this.#login === login) this.#login = null;
    });
    this.#login = login;
    return login;
  }

  /** Log in as `ask` and a Device do by themselves: one that was removed or has logged out comes back only by `login`. */
  async loginAgain() {
    if (this.#refusal !== null) throw this.#refusal;
    await this.login();
  }

  /**
   * @private
   * @param {string} [code]
   */
  async _logIn(code) {
    const { secret } = this;
    await this._askForToken(code);
    if (this.secret !== secret) await this._askForToken();
  }

  /**
   * @private
   * @param {string} [code]
   */
  async _askForToken(code) {
    const { secret } = this;
    /** @type {Record<string, unknown>} */
    const fields = { phone: this.phone, device_id: this.deviceId };
    if (secret !== null) fields.secret = secret;
    if (code) fields.code = code;
    try {
      await this._take(this._post("/account/login", fields));
    } catch (error) {
      if (secret !== null && secret === this.secret && isRefusal(error, ERROR.DEVICE)) this._refused(error);
      throw error;
    }
  }

  /** @private @param {AccountError} refusal */
  _refused(refusal) {
    this.#refusal = refusal;
    this.secret = null;
    this._keepAll();
  }

  /** Have a one-time code sent to the phone. */
  async requestCode() {
    await this._post("/account/code", { phone: this.phone });
  }

  /** See to it that the token is good for another day; to be called now and then, as a Device does. */
  async renew() {
    if (this.token === null || this.expiresAt - Date.now() > RENEW_BEFORE) return;
    await this._take(this.ask("/account/refresh"));
  }

  /** Revoke the token, and with it end the device's call and connection. The secret is kept: it is needed to come back. */
  async logout() {
    const { token } = this;
    this.forget();
    if (token !== null) await this._revoke(token);
  }

  /** @private @param {string} token */
  async _revoke(token) {
    try {
      await this._post("/account/logout", { token });
    } catch (error) {
      if (!isRefusal(error, ERROR.TOKEN)) throw error; // else it is no good already
    }
  }

  /** Keep the token no longer; only `login` gets another one. */
  forget() {
    this.#refusal = new AccountError(ERROR.TOKEN, LOGGED_OUT);
    this.#logouts += 1;
    this.#login = null;
    this.token = null;
    this.expiresAt = 0;
    this._keepAll();
  }

  /**
   * The devices of the phone's contacts, by phone, then by device id.
   * @returns {Promise<ContactRow[]>}
   */
  async contacts() {
    const { contacts } = await this.ask("/getContactPersons", { phone: this.phone });
    return contacts;
  }

  /**
   * The contacts, by phone, each once.
   * @returns {Promise<Person[]>}
   */
  async people() {
    return (await this.ask("/contacts/list")).contacts;
  }

  /**
   * The phones that have added this one, and that it has neither added nor blocked nor dismissed.
   * @returns {Promise<Adder[]>}
   */
  async added() {
    return (await this.ask("/contacts/added")).added;
  }

  /**
   * Show a phone in `added` no more.
   * @param {string} phone
   */
  async dismiss(phone) {
    await this.ask("/contacts/dismiss", { contact_phone: phone });
  }

  /**
   * Put a phone in the contact list, or change it there. What is left out stays as it is.
   * @param {string} phone
   * @param {string} [name] "": none of the owner's
   * @param {boolean} [favourite] whether it is one of the favourites
   * @param {string | null} [photo] its photo there, shown in place of its own, as of `profile`; null: none. It fails with
   *   ERROR.PHOTOS_FULL if no further contact may have one.
   */
  async addContact(phone, name, favourite, photo) {
    /** @type {Record<string, unknown>} */
    const fields = { contact_phone: phone };
    if (name !== undefined) fields.name = name;
    if (favourite !== undefined) fields.favourite = favourite;
    if (photo !== undefined) fields.photo = inBase64(photo);
    await this.ask("/contacts/add", fields);
  }

  /**
   * Take a phone off the contact list.
   * @param {string} phone
   */
  async removeContact(phone) {
    await this.ask("/contacts/remove", { contact_phone: phone });
  }

  /**
   * Take no calls from a phone any more.
   * @param {string} phone
   */
  async block(phone) {
    await this.ask("/contacts/block", { contact_phone: phone });
  }

  /**
   * Take calls from it again.
   * @param {string} phone
   */
  async unblock(phone) {
    await this.ask("/contacts/unblock", { contact_phone: phone });
  }

  /**
   * The blocked phones.
   * @returns {Promise<string[]>}
   */
  async blocked() {
    return (await this.ask("/contacts/blocked")).phones;
  }

  /**
   * The profile of the phone, once `changes` of it are made.
   * @param {{name?: string, photo?: string | null}} [changes] photo: the `data:` URL of a square JPEG, PNG or WebP of at
   *   most 32 KiB and 512 pixels a side without metadata, as `canvas.toDataURL` gives it; null: no photo
   * @returns {Promise<Profile>}
   */
  async profile(changes = {}) {
    const { photo } = changes;
    const fields = photo === undefined ? changes : { ...changes, photo: inBase64(photo) };
    const now = await this.ask("/account/profile", fields);
    return { name: now.name, photo: now.photo };
  }

  /**
   * The photo of a phone; null: there is none, or it may not be seen.
   * @param {string} phone
   * @returns {Promise<Photo | null>}
   */
  async photo(phone) {
    const { photo } = await this.ask("/contacts/photo", { contact_phone: phone });
    return photo && { version: photo.version, url: `data:${photo.type};base64,${photo.data}` };
  }

  /**
   * The devices of the phone, by device id.
   * @returns {Promise<OwnDevice[]>}
   */
  async devices() {
    return (await this.ask("/devices/list")).devices;
  }

  /**
   * Give a device of the phone a label. Only a claimed device may change others.
   * @param {string} deviceId
   * @param {string} label
   */
  async renameDevice(deviceId, label) {
    await this.ask("/devices/rename", { device_id: deviceId, label });
  }

  /**
   * Change settings of a device of the phone. Only a claimed device may change others.
   * @param {string} deviceId
   * @param {DeviceChanges} changes
   */
  async configureDevice(deviceId, changes) {
    await this.ask("/devices/configure", { device_id: deviceId, ...changes });
  }

  /**
   * End the kiosk of this device. It fails with ERROR.CODE if the PIN is wrong, and with ERROR.RATE_LIMITED after five
   * wrong ones.
   * @param {string} pin
   */
  async unlock(pin) {
    await this.ask("/devices/unlock", { pin });
  }

  /**
   * Log a device of the phone out. Its secret is revoked: it does not come back by itself.
   * @param {string} deviceId
   */
  async logOutDevice(deviceId) {
    await this.ask("/devices/logout", { device_id: deviceId });
  }

  /**
   * Remove a device of the phone.
   * @param {string} deviceId
   */
  async removeDevice(deviceId) {
    await this.ask("/devices/remove", { device_id: deviceId });
  }

  /**
   * The device that shows a code (`Pairing`). Only a claimed device may let others in. It fails with ERROR.CODE if none
   * shows this code, and with ERROR.RATE_LIMITED after five codes in ten minutes.
   * @param {string} userCode the letters, as somebody has typed them
   * @returns {Promise<WaitingDevice>}
   */
  async waitingDevice(userCode) {
    const { pairing_id, name, age } = await this.ask("/pairing/look", { user_code: userCode });
    return { pairing_id, name, age };
  }

  /**
   * Let a device that waits in as this device of the phone. The person should have seen the code on it.
   * @param {string} pairingId
   * @param {string} deviceId
   * @param {string} [label]
   */
  async acceptPairing(pairingId, deviceId, label = "") {
    await this.ask("/pairing/accept", { pairing_id: pairingId, device_id: deviceId, label });
  }

  /**
   * Refuse a device that waits.
   * @param {string} pairingId
   */
  async refusePairing(pairingId) {
    await this.ask("/pairing/refuse", { pairing_id: pairingId });
  }

  /**
   * The links that ring the phone, by name. Only a claimed device may see and change them.
   * @returns {Promise<Link[]>}
   */
  async links() {
    return (await this.ask("/links/list")).links;
  }

  /**
   * Make a link that rings the phone: whoever opens `${site}/guest#${secret}` calls it without an account. It fails with
   * ERROR.DATA if the phone has as many as it may have.
   * @param {LinkFields & {name: string}} fields
   * @returns {Promise<Link>}
   */
  async makeLink(fields) {
    return (await this.ask("/links/make", fields)).link;
  }

  /**
   * Change a link. What is left out stays as it is.
   * @param {string} linkId
   * @param {LinkFields} changes
   * @returns {Promise<Link>}
   */
  async changeLink(linkId, changes) {
    return (await this.ask("/links/change", { link_id: linkId, ...changes })).link;
  }

  /**
   * Remove a link: it rings no more.
   * @param {string} linkId
   */
  async removeLink(linkId) {
    await this.ask("/links/remove", { link_id: linkId });
  }

  /**
   * Delete a call from the phone's history.
   * @param {string} roomId
   */
  async deleteCall(roomId) {
    await this.ask("/calls/delete", { room_id: roomId });
  }

  /** Delete all calls from the phone's history. */
  async deleteCalls() {
    await this.ask("/calls/delete", { room_id: "*" });
  }

  /**
   * The phone's past calls, the newest first.
   * @param {{limit?: number, after?: string}} [page] 1 to 500 calls; after: the `next` of an earlier page
   * @returns {Promise<{calls: PastCall[], next: string | null}>}
   */
  async history(page = {}) {
    const { calls, next = null } = await this.ask("/calls/history", page);
    return { calls, next };
  }

  /**
   * What the phone wants of calls to it, once `changes` of that are made.
   * @param {Partial<Settings>} [changes]
   * @returns {Promise<Settings>}
   */
  async settings(changes = {}) {
    const found = await this.ask("/account/settings", changes);
    const { do_not_disturb, do_not_disturb_until = null, auto_answer, who_may_call = "anyone" } = found;
    const { rings_through = [], second_call_rings = false } = found;
    return { do_not_disturb, do_not_disturb_until, auto_answer, who_may_call, rings_through, second_call_rings };
  }

  /**
   * By which servers the device may reach others, for those who arrange media themselves.
   * @returns {Promise<{ice_servers: IceServer[], expires_in: number}>} expires_in: seconds for which they are good
   */
  async iceServers() {
    const { ice_servers, expires_in } = await this.ask("/ice");
    return { ice_servers, expires_in };
  }

  /**
   * Have this device woken when it sleeps and is called (docs/waking.md). To be said again after each login.
   * @param {"none" | "webhook" | "webpush"} kind
   * @param {string} [target] by what the operator's gateway knows the device, or what the browser's
   *   `pushManager.subscribe()` gave, `JSON.stringify`ed
   */
  async setPush(kind, target = "") {
    await this.ask("/devices/push", { kind, target });
  }

  /**
   * The `applicationServerKey` for `pushManager.subscribe()`; null: there is no Web Push here.
   * @returns {Promise<string | null>}
   */
  async pushKey() {
    return (await request(this.site + "/devices/push/key", { method: "GET" })).application_server_key;
  }

  /**
   * Send any request of the account service that wants a token (docs/openapi.json).
   * @param {string} path
   * @param {object} [fields]
   * @returns {Promise<any>} the whole answer
   */
  async ask(path, fields = {}) {
    if (this.token === null) await this.loginAgain();
    const { token } = this;
    try {
      return await this._post(path, { ...fields, token });
    } catch (error) {
      if (!isRefusal(error, ERROR.TOKEN)) throw error;
    }
    // Another request may have got a new token meanwhile.
    if (this.token === token || this.token === null) await this.loginAgain();
    return this._post(path, { ...fields, token: this.token });
  }

  /**
   * @private
   * @param {string} path
   * @param {object} fields
   */
  _post(path, fields) {
    return post(this.site, path, fields);
  }

  /**
   * Take the token that was asked for, unless the device has logged out meanwhile: then nobody is to have it.
   * @private
   * @param {Promise<{token: string, expires_in?: number, device_secret?: string}>} asked
   */
  async _take(asked) {
    const logouts = this.#logouts;
    const { token, expires_in, device_secret } = await asked;
    if (logouts !== this.#logouts) {
      this._revoke(token).catch(() => {});
      throw new AccountError(ERROR.TOKEN, LOGGED_OUT);
    }
    this.token = token;
    this._isExtended = expires_in !== undefined;
    this.expiresAt = Date.now() + (expires_in === undefined ? GOOD_FOR : expires_in * 1_000);
    const { secret } = this;
    if (device_secret && this.#keep !== undefined) this.secret = device_secret;
    // To show it claims the device, for which nobody could log in again without it.
    if (!this._keepAll()) this.secret = secret;
  }

  /** @private @returns {boolean} whether that was possible: the storage may be full, or not allowed */
  _keepAll() {
    const { token, expiresAt, secret } = this;
    try {
      this.#keep?.({ token, expiresAt, secret });
      return true;
    } catch (error) {
      console.error("The credentials of a device could not be kept:", error);
      return false;
    }
  }
}

/**
 * Send any request of the account service (docs/openapi.json).
 * @param {string} site the origin of the service
 * @param {string} path
 * @param {object} fields
 * @returns {Promise<any>} the whole answer
 */
export function post(site, path, fields) {
  const headers = { "Content-Type": "application/json" };
  return request(site + path, { method: "POST", headers, body: JSON.stringify(fields) });
}

/**
 * @param {string} url
 * @param {RequestInit} options
 * @returns {Promise<any>}
 */
async function request(url, options) {
  const given = new AbortController();
  const timer = setTimeout(() => given.abort(), TIMEOUT);
  let response, answer;
  try {
    response = await fetch(url, { ...options, signal: given.signal });
    answer = await response.json();
    if (typeof answer?.errorCode !== "number") throw new TypeError("the answer is not that of an account service");
  } catch (error) {
    throw new AccountError(ERROR.UNREACHABLE, error instanceof Error ? error.message : String(error));
  } finally {
    clearTimeout(timer);
  }
  if (answer.errorCode === 0) return answer;
  const seconds = Number(response.headers.get("Retry-After"));
  throw new AccountError(answer.errorCode, answer.message, seconds > 0 ? seconds : null, response.status);
}

/**
 * A photo on the wire.
 * @param {string | null} url
 */
function inBase64(url) {
  return url && url.slice(url.indexOf(",") + 1);
}

/**
 * Whether the server has refused with this code.
 * @param {unknown} error
 * @param {number} code
 * @returns {error is AccountError}
 */
function isRefusal(error, code) {
  return error instanceof AccountError && error.code === code;
}

/** @param {string | null} token @returns {boolean} whether its header names a key (RFC 7515 §4.1.4) */
function namesKey(token) {
  try {
    return "kid" in JSON.parse(atob(String(token).split(".")[0].replace(/-/g, "+").replace(/_/g, "/")));
  } catch {
    return false;
  }
}
