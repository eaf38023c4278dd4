/**
 * How this phone presents itself: its name and its photo.
 */

export class Profile {
  #account;
  #changed;
  #turn = 0;

  /** "": none is known. */
  name = "";
  /** The version of the photo; null: none is known. */
  photo = null;

  /**
   * @param {import("../client/index.js").Account} account
   * @param {() => void} changed
   */
  constructor(account, changed) {
    this.#account = account;
    this.#changed = changed;
  }

  /** Read it. @throws {AccountError} */
  async load() {
    await this.change({});
  }

  /**
   * Change it.
   * @param {{name?: string, photo?: string | null}} changes as of Account.profile
   * @throws {AccountError}
   */
  async change(changes) {
    this.#turn += 1;
    const mine = this.#turn;
    const { name, photo } = await this.#account.profile(changes);
    if (mine !== this.#turn) return; // a later answer is newer
    this.name = name;
    this.photo = photo;
    this.#changed();
  }
}
