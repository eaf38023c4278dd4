/**
 * Who calls while a call goes on: a card in the bar above that call's page, which covers nothing of it. It takes the focus
 * from nobody; the page's ArrowUp leads to it (page.js).
 */

import { fill, put } from "../shared/elements.js";
import { beginScene } from "../shared/presses.js";
import { face } from "./people.js";

export class SecondCaller {
  #elements;

  /** @param {Object<string, HTMLElement>} elements of the page, by their ids */
  constructor(elements) {
    this.#elements = elements;
  }

  /**
   * Show a caller, or none.
   * @param {{phone: string, ownName: string, photo: string, text: string} | null} caller with the URL of the photo, or ""
   * @param {boolean} canHold whether the present call can be held meanwhile
   */
  show(caller, canHold) {
    const { second } = this.#elements;
    this.#elements["second-hold"].hidden = !canHold;
    if (second.hidden && caller !== null) this._begin();
    second.hidden = caller === null;
    put(this.#elements["second-name"], caller?.ownName ?? "");
    put(this.#elements["second-text"], caller?.text ?? "");
    if (caller === null) return;
    const shown = [caller.phone, caller.ownName, caller.photo];
    fill(this.#elements["second-face"], shown, () => [face(...shown)]);
  }

  _begin() {
    beginScene(); // under a finger that may mean something else
    // Of what is beside a page that fills the screen nothing is to be seen.
    if (document.fullscreenElement) document.exitFullscreen().catch(() => {});
  }
}
