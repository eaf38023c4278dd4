/** Which calls a device has ended itself. */

const REMEMBERED = 50;

export class Ended {
  /** @type {string[]} */
  #rooms = [];
  /** The phone that a call was taken back from before its room was known. */
  #withdrawn = "";

  /**
   * Note that a call was ended.
   * @param {string} roomId "" if it had none yet
   * @param {string} phone
   */
  add(roomId, phone) {
    if (roomId === "") this.#withdrawn = phone;
    else this.#rooms = [roomId, ...this.#rooms.filter((room) => room !== roomId)].slice(0, REMEMBERED);
  }

  /** Note that the device calls someone: what is heard from now on is of this call. */
  beginOwn() {
    this.#withdrawn = "";
  }

  /**
   * Whether it has ended the call of that room, which may be the one that it took back from a phone.
   * @param {string} roomId
   * @param {string} [phone]
   */
  has(roomId, phone = "") {
    return this.#rooms.includes(roomId) || (phone !== "" && phone === this.#withdrawn);
  }
}
