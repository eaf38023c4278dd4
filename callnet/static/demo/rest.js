/**
 * The buttons of a call step back while nobody moves, and are there again at the first move, touch or key. Who wakes
 * them with a key or a finger has not pressed the button that was not to be seen.
 */

const REST_AFTER = 5_000;
const PRESSES = new Set(["Enter", " ", "ArrowLeft", "ArrowUp", "ArrowRight", "ArrowDown"]);

export class Rest {
  #may;
  #movedAt = 0;
  #isTouchedAwake = false;

  /** @param {function(): boolean} may whether the buttons may step back just now */
  constructor(may) {
    this.#may = may;
    for (const kind of ["pointermove", "focusin"]) {
      document.addEventListener(kind, () => this._wake(), true);
    }
    document.addEventListener("pointerdown", () => this._touched(), true);
    document.addEventListener("click", (event) => this._clicked(event), true);
    document.addEventListener("keydown", (event) => this._pressed(event), true);
  }

  /** Whether the buttons are away. */
  get isResting() {
    return document.body.classList.contains("resting");
  }

  show({ now }) {
    if (!this.#may()) this._wake();
    else if (now - this.#movedAt >= REST_AFTER) document.body.classList.add("resting");
  }

  _pressed(event) {
    if (this.isResting && PRESSES.has(event.key)) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
    this._wake();
  }

  _touched() {
    this.#isTouchedAwake = this.isResting;
    this._wake();
  }

  _clicked(event) {
    if (event.detail === 0) return; // a key's or a script's: no touch goes before it
    if (this.#isTouchedAwake && event.target.closest("button")) {
      event.preventDefault();
      event.stopImmediatePropagation();
    }
    this.#isTouchedAwake = false;
  }

  _wake() {
    this.#movedAt = performance.now();
    document.body.classList.remove("resting");
  }
}
