/** Which calls of a device are over, and which of them it has ended itself. */

const REMEMBERED = 50;

export class Ended {
  /** @type {string[]} */
  #rooms = [];
  /**
   * Of calls whose end the device was told.
   * @type {string[]}
   */
  #told = [];
  /** The phone that a call was taken back from before its room was known. */
  #withdrawn = "";

  /**
   * Note that a call was ended.
   * @param {string} roomId "" if it had none yet
   * @param {string} phone
   */
  add(roomId, phone) {
    if (roomId === "") this.#withdrawn = phone;
    else this.#rooms = newest(roomId, this.#rooms);
  }

  /**
   * Note that the device was told the end of a call.
   * @param {string} roomId
   */
  hear(roomId) {
    this.#told = newest(roomId, this.#told);
  }

  /**
   * Whether it was told the end of the call of that room.
   * @param {string} roomId
   */
  wasTold(roomId) {
    return this.#told.includes(roomId);
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

/** @param {string} roomId @param {string[]} rooms */
function newest(roomId, rooms) {
  return [roomId, ...rooms.filter((room) => room !== roomId)].slice(0, REMEMBERED);
}
