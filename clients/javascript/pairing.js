/**
 * Pairing: another device of a phone lets this one in by the letters that it shows.
 */

import { Account, AccountError, ERROR, post } from "./account.js";

/** @type {number[]} Errors that say nothing of the pairing. */
const TRIED_AGAIN = [ERROR.UNREACHABLE, ERROR.INTERNAL, ERROR.RATE_LIMITED];

/** @typedef {import("./types.js").PairingOptions} PairingOptions */
/** @typedef {import("./types.js").BegunPairing} BegunPairing */

/** A device that waits to be let in. `begin` makes one, and `resume` one that waited before a reload. */
export class Pairing {
  #site;
  #keep;
  #agree;
  #isClosed = false;
  #wake = () => {};

  /**
   * @private
   * @param {PairingOptions} options
   * @param {BegunPairing} begun
   */
  constructor({ site, keep, agree = () => true }, begun) {
    this.#site = site;
    this.#keep = keep;
    this.#agree = agree;
    /** This device, to be kept in private: it is not lost if it is let in while it is away. */
    this.begun = begun;
  }

  /**
   * Begin to wait.
   * @param {PairingOptions} options
   */
  static async begin(options) {
    const answer = await post(options.site, "/pairing/begin", { name: options.name ?? "" });
    const { device_secret: secret, user_code: userCode, expires_in: expiresIn, interval } = answer;
    return new Pairing(options, { secret, userCode, expiresAt: Date.now() + expiresIn * 1_000, interval });
  }

  /**
   * Wait on, after a reload.
   * @param {PairingOptions} options
   * @param {BegunPairing} begun what was kept of it
   */
  static resume(options, begun) {
    return new Pairing(options, begun);
  }

  /** The letters to show, such as `BCDF-GHJK`. */
  get userCode() {
    return this.begun.userCode;
  }

  /** Until when they are valid, in milliseconds since 1970. */
  get expiresAt() {
    return this.begun.expiresAt;
  }

  /** The link that opens the phone with the letters filled in, for a QR code. */
  get link() {
    return `${this.#site}/#pair=${this.userCode}`;
  }

  /**
   * Wait until this device is let in, and log in. Connections that are lost meanwhile do no harm. It fails with an
   * AccountError: with ERROR.CODE the letters are not valid any more, with ERROR.DEVICE the device was refused, or
   * removed since.
   * @returns {Promise<Account | null>} null: it was closed meanwhile, or did not agree, and is not logged in
   */
  async finished() {
    /** @type {Account | null} */
    let account = null;
    const { interval } = this.begun;
    let wait = interval;
    for (;;) {
      await this._pause(wait * 1_000);
      if (this.#isClosed) return null;
      try {
        if (account === null) {
          const found = await this._ask();
          if (found !== null && !(await this.#agree(found))) return null;
          account = found;
        }
        if (account !== null && !this.#isClosed) {
          await account.login();
          if (!this.#isClosed) return account;
          await account.logout();
        }
        wait = interval;
      } catch (error) {
        if (!(error instanceof AccountError) || !TRIED_AGAIN.includes(error.code)) throw error;
        wait = Math.max(interval, error.retryAfter ?? 0);
      }
    }
  }

  /** Wait no longer. */
  close() {
    this.#isClosed = true;
    this.#wake();
  }

  /** @private @param {number} time */
  _pause(time) {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, time);
      this.#wake = () => {
        clearTimeout(timer);
        resolve(undefined);
      };
      if (this.#isClosed) this.#wake();
    });
  }

  /**
   * The account of this device, once it has one.
   * @private
   */
  async _ask() {
    const { secret } = this.begun;
    const { phone, device_id: deviceId } = await post(this.#site, "/pairing/poll", { device_secret: secret });
    if (phone === null) return null;
    const kept = { token: null, expiresAt: 0, secret };
    const keep = this.#keep;
    return new Account({
      site: this.#site,
      phone,
      deviceId,
      kept,
      keep: keep && ((credentials) => keep({ phone, deviceId }, credentials)),
    });
  }
}
