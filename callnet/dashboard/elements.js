/**
 * Making elements, and changing what is on the page without taking the focus or a click from anybody. Whatever callnet
 * tells is put there as text, never as HTML.
 */

/**
 * Make an element.
 * @param {string} name
 * @param {object} properties attributes; `on…`: what to do at an event
 * @param {...(Node | string)} children
 */
export function el(name, properties = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(properties)) {
    if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
    else element.setAttribute(key, value);
  }
  element.append(...children);
  return element;
}

/** Put a text there. */
export function put(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Put a text there; an empty one is not shown at all. */
export function tell(element, text) {
  put(element, text);
  element.hidden = text === "";
}

/** Put what went wrong there, in a language; null: nothing did. */
export function complain(element, problem, words) {
  tell(element, problem === null ? "" : problem.say(words));
}

/** Elements of a list, each of which stays the same for as long as what it shows is there. */
export class Rows {
  #parent;
  #make;
  #rows = new Map();

  /**
   * @param {HTMLElement} parent
   * @param {function(object): {element: HTMLElement, update: function(object): void}} make
   */
  constructor(parent, make) {
    this.#parent = parent;
    this.#make = make;
  }

  /** The keys of what is shown, in their order. */
  get keys() {
    return Array.from(this.#rows.keys());
  }

  /**
   * Show these, in this order. If the focus was on what is gone, the list has it.
   * @param {Map<string, object>} items by keys that tell them apart
   */
  show(items) {
    for (const [key, { element }] of this.#rows) {
      if (!items.has(key)) this._remove(key, element);
    }
    let next = this.#parent.firstElementChild;
    const rows = new Map();
    for (const [key, item] of items) {
      const row = this.#rows.get(key) ?? this.#make(item);
      row.update(item);
      rows.set(key, row);
      if (row.element === next) next = next.nextElementSibling;
      else this.#parent.insertBefore(row.element, next);
    }
    this.#rows = rows;
  }

  _remove(key, element) {
    const hadFocus = element.contains(document.activeElement);
    element.remove();
    this.#rows.delete(key);
    if (hadFocus) this.#parent.closest("[tabindex]")?.focus();
  }
}
