/**
 * An EventTarget whose events have types, and are told in the order in which things happened, and none while something
 * is going on: who is told may do what it likes, and what it causes is told after.
 * @template {object} Events by the name of an event
 */
export class Teller extends EventTarget {
  /** @type {CustomEvent[]} */
  #untold = [];
  #depth = 0;

  /**
   * Have a function told of an event.
   * @template {keyof Events & string} Type
   * @param {Type} type
   * @param {((event: Events[Type] & Event) => void) | EventListenerObject | null} listener
   * @param {boolean | AddEventListenerOptions} [options]
   * @override
   */
  addEventListener(type, listener, options) {
    super.addEventListener(type, /** @type {EventListener | null} */ (listener), options);
  }

  /**
   * @protected
   * @param {keyof Events & string} type
   * @param {unknown} detail
   */
  _tell(type, detail) {
    this._during(() => this.#untold.push(new CustomEvent(type, { detail })));
  }

  /**
   * Do something, and tell of what came of it when it is done.
   * @protected
   * @template Result
   * @param {() => Result} work
   * @returns {Result}
   */
  _during(work) {
    this.#depth += 1;
    try {
      return work();
    } finally {
      for (let event; this.#depth === 1 && (event = this.#untold.shift()); ) this.dispatchEvent(event);
      this.#depth -= 1;
    }
  }
}
