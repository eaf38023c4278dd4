/**
 * Pairing: another device of a phone lets this one in by the letters that it shows.
 */

import { Account, AccountError, ERROR, post } from "./account.js";

/** @type {number[]} Errors that say nothing of the pairing. */
const TRIED_AGAIN = [ERROR.UNREACHABLE, ERROR.INTERNAL, ERROR.RATE_LIMITED];

/** @typedef {import("./types.js").PairingOptions} PairingOptions */

/** A device that waits to be let in. `begin` makes one. */
export class Pairing {
  #site;
  #keep;
  #secret;
  #interval;
  #isClosed = false;
  #wake = () => {};

  /**
   * @private
   * @param {PairingOptions} options
   * @param {{device_secret: string, user_code: string, expires_in: number, interval: number}} answer
   */
  constructor({ site, keep }, { device_secret, user_code, expires_in, interval }) {
    this.#site = site;
    this.#keep = keep;
    this.#secret = device_secret;
    this.#interval = interval;
    /** The letters to show, such as `BCDF-GHJK`. */
    this.userCode = user_code;
    /** Until when they are valid, in milliseconds since 1970. */
    this.expiresAt = Date.now() + expires_in * 1_000;
  }

  /**
   * Begin to wait.
   * @param {PairingOptions} options
   */
  static async begin(options) {
    return new Pairing(options, await post(options.site, "/pairing/begin", { name: options.name ?? "" }));
  }

  /** The link that opens the phone with the letters filled in, for a QR code. */
  get link() {
    return `${this.#site}/#pair=${this.userCode}`;
  }

  /**
   * Wait until this device is let in, and log in. Connections that are lost meanwhile do no harm. It fails with an
   * AccountError: with ERROR.CODE the letters are not valid any more, with ERROR.DEVICE the device was refused, or
   * removed since.
   * @returns {Promise<Account | null>} null: it was closed meanwhile
   */
  async finished() {
    /** @type {Account | null} */
    let account = null;
    let wait = this.#interval;
    for (;;) {
      await this._pause(wait * 1_000);
      if (this.#isClosed) return null;
      try {
        account = account ?? (await this._ask());
        if (account !== null && !this.#isClosed) {
          await account.login();
          return account;
        }
        wait = this.#interval;
      } catch (error) {
        if (!(error instanceof AccountError) || !TRIED_AGAIN.includes(error.code)) throw error;
        wait = Math.max(this.#interval, error.retryAfter ?? 0);
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
    const secret = this.#secret;
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
