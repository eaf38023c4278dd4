/**
 * An EventTarget whose events have types.
 * @template {object} Events by the name of an event
 */
export class Teller extends EventTarget {
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
    this.dispatchEvent(new CustomEvent(type, { detail }));
  }
}
