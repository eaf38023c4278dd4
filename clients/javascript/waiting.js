/**
 * Those who wait for something to be in one of some states.
 * @template {string} State
 */
export class Waiting {
  /** @type {{states: readonly State[], resolve: (state: State) => void}[]} */
  #waiting = [];

  /**
   * A promise of the first of some states, which may be the present one.
   * @param {State} state the present one
   * @param {readonly State[]} states
   * @returns {Promise<State>}
   */
  until(state, states) {
    if (states.includes(state)) return Promise.resolve(state);
    return new Promise((resolve) => {
      this.#waiting.push({ states, resolve });
    });
  }

  /**
   * Tell of a state.
   * @param {State} state
   * @param {boolean} [isLast] no other will follow: nobody is to wait any longer
   */
  tell(state, isLast = false) {
    const told = this.#waiting.filter(({ states }) => isLast || states.includes(state));
    this.#waiting = this.#waiting.filter((one) => !told.includes(one));
    for (const { resolve } of told) resolve(state);
  }
}
