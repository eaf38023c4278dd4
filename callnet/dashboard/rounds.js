/**
 * Looks again and again: every two seconds while somebody can see it, less and less often while nobody answers.
 */

const EVERY = 2_000;
const LONGEST = 30_000;

export class Rounds {
  #look;
  #timer = 0;
  #pause = EVERY;
  #isLooking = false;
  #isWanted = false;

  /** @param {function(): Promise<boolean>} look tells whether there was an answer */
  constructor(look) {
    this.#look = look;
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) clearTimeout(this.#timer);
      else this.now();
    });
  }

  /** Look now, or again as soon as the present look is over. */
  async now() {
    clearTimeout(this.#timer);
    this.#isWanted = this.#isLooking;
    if (this.#isLooking) return;
    this.#isLooking = true;
    let isWell = false;
    try {
      isWell = await this.#look();
    } finally {
      this.#isLooking = false;
      this._goOn(isWell);
    }
  }

  _goOn(isWell) {
    if (isWell) this.#pause = EVERY;
    if (this.#isWanted) this.now();
    else if (!document.hidden) this.#timer = setTimeout(() => this.now(), this.#pause);
    if (!isWell) this.#pause = Math.min(LONGEST, this.#pause * 2);
  }
}
