/**
 * What a tab remembers over a reload, and what the browser remembers for all tabs. A browser that keeps nothing,
 * or kept what nobody can read, is one that knows nothing.
 */

class Memory {
  #storage;

  constructor(storage) {
    this.#storage = storage;
  }

  /** Whether anything is kept. */
  get keeps() {
    this.set("probe", true);
    const keeps = this.get("probe") !== null;
    this.set("probe", null);
    return keeps;
  }

  /** What was kept under a name, or null. */
  get(name) {
    try {
      return JSON.parse(this.#storage().getItem(`callnet.${name}`));
    } catch {
      return null;
    }
  }

  /** Keep something that JSON can say; null forgets it. */
  set(name, value) {
    try {
      if (value === null) this.#storage().removeItem(`callnet.${name}`);
      else this.#storage().setItem(`callnet.${name}`, JSON.stringify(value));
    } catch {
      // It is full, or forbidden.
    }
  }
}

export const tab = new Memory(() => sessionStorage);
export const browser = new Memory(() => localStorage);
