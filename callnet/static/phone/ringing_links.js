/**
 * The links that ring, in the settings: making them, giving them to somebody, changing and removing them.
 */

import { ERROR } from "../client/account.js";
import { fill, focusOn } from "../shared/elements.js";
import { linkForm, linkLine, linkQuestion, linkShown, poster } from "./links.js";
import { sentenceOf } from "./sentences.js";

/** What stands in a line in the place of a link that is open, by the mode of that, and what of it has the focus first. */
const OPEN = { shown: linkShown, changed: linkForm, removed: linkQuestion };
const FIRST = { shown: () => "link", changed: () => "link-name", removed: (id) => `link-no-${id}` };

export class RingingLinks {
  #elements;
  #phone;
  #changed;
  #words = null;
  /** The link that is open, by its id, in a mode of OPEN; null: none. */
  #open = { id: null, mode: "" };
  #isMaking = false;
  #isAdding = false;
  /** How often a switch could not be set. Each time the lines are made again: they show what the links are. */
  #failures = 0;
  /** What somebody is looking at, or filling in, and the content that it was made of. */
  #made = { content: "", element: null };

  /**
   * @param {Object<string, HTMLElement>} elements of the page, by id
   * @param {import("./phone.js").Phone} phone
   * @param {() => void} changed something else is to be shown
   */
  constructor(elements, phone, changed) {
    this.#elements = elements;
    this.#phone = phone;
    this.#changed = changed;
    elements["link-make"].addEventListener("click", () => this._make(!this.#isMaking));
  }

  /** Show them in these words. */
  show(words) {
    this.#words = words;
    const { links } = this.#phone;
    if (links === null) [this.#isMaking, this.#open] = [false, { id: null, mode: "" }];
    this.#elements["ringing-links"].hidden = links === null;
    this.#elements["link-make"].setAttribute("aria-expanded", String(this.#isMaking));
    this.#elements["link-new"].hidden = !this.#isMaking;
    fill(this.#elements["link-new"], { isMaking: this.#isMaking, lang: words.lang }, () =>
      this.#isMaking ? [linkForm(null, words, { close: () => this._make(false), save: (values) => this._add(values) })] : [],
    );
    const { id, mode } = this.#open;
    fill(this.#elements.links, { links, id, mode, failures: this.#failures, lang: words.lang }, () =>
      (links ?? []).map((link) => (link.link_id === id ? this._openLine(link) : linkLine(link, words, this._doings(link)))),
    );
  }

  // What somebody is filling in stays as it is, whatever becomes of the list around it.
  _openLine(link) {
    const { mode } = this.#open;
    const content = JSON.stringify([link.link_id, mode, this.#words.lang]);
    if (content !== this.#made.content) {
      this.#made = { content, element: OPEN[mode](link, this.#words, this._doings(link)) };
    }
    const line = document.createElement("li");
    line.className = "line";
    line.append(this.#made.element);
    return line;
  }

  _doings(link) {
    const { link_id: id, name } = link;
    const close = () => {
      if (this.#open.id === id) this._show(null, "", `link-${id}`); // else another one was opened meanwhile
    };
    return {
      close,
      open: (mode) => this._show(id, mode, FIRST[mode](id)),
      say: (sentence) => this.#phone.say(sentence),
      turn: async (isOn) => {
        if ((await this._change((account) => account.changeLink(id, { is_on: isOn }))) !== null) return;
        this.#failures += 1;
        this.#changed();
      },
      save: async (values) => {
        if ((await this._change((account) => account.changeLink(id, values))) !== null) close();
      },
      remove: async () => {
        if ((await this._change((account) => account.removeLink(id).then(() => true))) === null) return;
        if (this.#open.id === id) {
          close();
          this.#elements["link-make"].focus();
        }
        this.#phone.say(({ links }) => links.removed({ name }));
      },
      print: () => this._print(link),
    };
  }

  _show(id, mode, key) {
    this.#open = { id, mode };
    this.#made = { content: "", element: null };
    this.#changed();
    this.#elements.links.querySelector(`[data-key="${key}"]`)?.focus();
    this.#elements.links.querySelector(".whole")?.scrollIntoView({ block: "nearest" });
  }

  _make(isMaking) {
    this.#isMaking = isMaking;
    this.#changed();
    if (isMaking) focusOn("link-name");
    else this.#elements["link-make"].focus();
  }

  async _add(values) {
    if (this.#isAdding) return; // it was pressed twice
    this.#isAdding = true;
    const open = this.#open;
    const link = await this._change((account) => account.makeLink(values));
    this.#isAdding = false;
    if (link === null) return;
    this.#isMaking = false;
    if (this.#open === open) this._show(link.link_id, "shown", "link");
    else this.#changed(); // somebody has opened another one meanwhile
  }

  _change(change) {
    // Whatever else there is to be wrong the form does not let anybody say.
    const sentence = (error) => (error.code === ERROR.DATA ? ({ links }) => links.full : sentenceOf(error));
    return this.#phone.changeLinks(change, sentence);
  }

  async _print(link) {
    const place = this.#elements.poster;
    const clear = () => (place.textContent = "");
    clear();
    place.append(...(await poster(link, this.#words)));
    window.addEventListener("afterprint", clear, { once: true });
    window.print();
  }
}
