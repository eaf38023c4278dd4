/**
 * The account service (docs/openapi.json) for one device: who it is, whom it knows, what has been.
 *
 * A token that is no good any more is replaced by a new login with what is known, once a request.
 */

/** `errorCode` of an answer, as far as a client tells one from another; UNREACHABLE: there was no answer. */
export const ERROR = {
  UNREACHABLE: -1,
  INTERNAL: 1,
  DATA: 2,
  PHONE: 3,
  TOKEN: 4,
  DEVICE: 5,
  RATE_LIMITED: 6,
  CODE: 7,
};

const TIMEOUT = 15_000;
/** What is left of a token's time when it is renewed. */
const RENEW_BEFORE = 24 * 3_600_000;

/** A request that failed. `code` is one of ERROR; `retryAfter`: seconds, or null if the server named none. */
export class AccountError extends Error {
  constructor(code, message, retryAfter = null) {
    super(message);
    this.name = "AccountError";
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

export class Account {
  #site;
  #keep;

  /**
   * @param {object} options
   *   site: the origin of the service, such as `https://example.org:8080` · phone · deviceId ·
   *   kept: what `keep` was given last for this device, or null ·
   *   keep(credentials): keeps `{token, expiresAt, secret}`; called whenever they change. Who logs in with the
   *   secret has claimed the device: then nobody logs in without it, so it must not get lost.
   */
  constructor({ site, phone, deviceId, kept = null, keep = () => {} }) {
    this.#site = site;
    this.#keep = keep;
    this.phone = phone;
    this.deviceId = deviceId;
    this.token = kept?.token ?? null;
    /** Milliseconds since 1970. */
    this.expiresAt = kept?.expiresAt ?? 0;
    this.secret = kept?.secret ?? null;
  }

  /** Whether there is a token that should be good. */
  get isLoggedIn() {
    return this.token !== null && Date.now() < this.expiresAt;
  }

  /**
   * Log in.
   * @param {string} [code] the one-time code that the phone was sent, where one is asked for
   * @throws {AccountError}
   */
  async login(code) {
    const fields = { phone: this.phone, device_id: this.deviceId };
    if (this.secret !== null) fields.secret = this.secret;
    if (code) fields.code = code;
    this._loggedIn(await this._post("/account/login", fields));
  }

  /** Have a one-time code sent to the phone. */
  async requestCode() {
    await this._post("/account/code", { phone: this.phone });
  }

  /** See to it that the token is good for another day; to be called now and then. */
  async renew() {
    if (this.token === null || this.expiresAt - Date.now() > RENEW_BEFORE) return;
    this._loggedIn(await this._ask("/account/refresh", {}));
  }

  /** Revoke the token. The secret is kept: the device needs it to come back. */
  async logout() {
    const { token } = this;
    this.forget();
    if (token === null) return;
    try {
      await this._post("/account/logout", { token });
    } catch (error) {
      if (error.code !== ERROR.TOKEN) throw error; // else it is no good already
    }
  }

  /** Keep the token no longer. */
  forget() {
    this.token = null;
    this.expiresAt = 0;
    this._keepAll();
  }

  /** The devices of the phone's contacts: `{phone, device_id, name, online}`, by phone, then by device id. */
  async contacts() {
    const { contacts } = await this._ask("/getContactPersons", { phone: this.phone });
    return contacts;
  }

  /** Put a phone in the contact list, or give it another name there. */
  async addContact(phone, name) {
    await this._ask("/contacts/add", name ? { contact_phone: phone, name } : { contact_phone: phone });
  }

  async removeContact(phone) {
    await this._ask("/contacts/remove", { contact_phone: phone });
  }

  async block(phone) {
    await this._ask("/contacts/block", { contact_phone: phone });
  }

  async unblock(phone) {
    await this._ask("/contacts/unblock", { contact_phone: phone });
  }

  /**
   * The phone's past calls, the newest first: `{calls, next}`.
   * @param {{limit?: number, after?: string}} [page] 1 to 500 calls; after: the `next` of an earlier page
   */
  async history(page = {}) {
    const { calls, next = null } = await this._ask("/calls/history", page);
    return { calls, next };
  }

  /** What the phone wants of calls to it, `{do_not_disturb, auto_answer}`, once `changes` of that are made. */
  async settings(changes = {}) {
    const { do_not_disturb, auto_answer } = await this._ask("/account/settings", changes);
    return { do_not_disturb, auto_answer };
  }

  async _ask(path, fields) {
    if (this.token === null) await this.login();
    try {
      return await this._post(path, { ...fields, token: this.token });
    } catch (error) {
      if (error.code !== ERROR.TOKEN) throw error;
    }
    await this.login();
    return this._post(path, { ...fields, token: this.token });
  }

  async _post(path, fields) {
    const given = new AbortController();
    const timer = setTimeout(() => given.abort(), TIMEOUT);
    let response, answer;
    try {
      response = await fetch(this.#site + path, {
        method: "POST",
        headers: { "Content-Type": "application/json" },
        body: JSON.stringify(fields),
        signal: given.signal,
      });
      answer = await response.json();
    } catch (error) {
      throw new AccountError(ERROR.UNREACHABLE, error.message);
    } finally {
      clearTimeout(timer);
    }
    if (answer.errorCode === 0) return answer;
    const seconds = Number(response.headers.get("Retry-After"));
    throw new AccountError(answer.errorCode, answer.message, seconds > 0 ? seconds : null);
  }

  _loggedIn({ token, expires_in, device_secret }) {
    this.token = token;
    this.expiresAt = Date.now() + expires_in * 1_000;
    if (device_secret) this.secret = device_secret;
    this._keepAll();
  }

  _keepAll() {
    const { token, expiresAt, secret } = this;
    this.#keep({ token, expiresAt, secret });
  }
}
