/**
 * Asks on the page before something is done that cannot be undone, and says there if it did not work. To close the
 * question does not take back what was begun.
 */

import { put, tell } from "./elements.js";

export class Question {
  #missed;
  #parts;
  #doing = null;
  #begun = null;

  /** @param {function(string): void} missed called with what did not work, and why, where its question was closed meanwhile */
  constructor(missed) {
    this.#missed = missed;
    const part = (name) => document.getElementById(name);
    this.#parts = {
      dialog: part("question"),
      title: part("question-title"),
      text: part("question-text"),
      problem: part("question-problem"),
      yes: part("question-yes"),
      no: part("question-no"),
    };
    this.#parts.yes.addEventListener("click", () => this._do());
    this.#parts.no.addEventListener("click", () => this.#parts.dialog.close());
  }

  /**
   * @param {{title: string, text: string, button: string}} words
   * @param {function(): Promise<void>} doing what a yes does; it fails with words for people
   */
  ask({ title, text, button }, doing) {
    this.#doing = doing;
    put(this.#parts.title, title);
    put(this.#parts.text, text);
    put(this.#parts.yes, button);
    tell(this.#parts.problem, "");
    this.#parts.dialog.showModal();
    this.#parts.no.focus();
  }

  async _do() {
    const doing = this.#doing;
    if (doing === this.#begun) return;
    this.#begun = doing;
    const { dialog, yes } = this.#parts;
    const wanted = yes.textContent;
    tell(this.#parts.problem, "");
    const problem = await doing().then(
      () => "",
      (error) => error.message,
    );
    if (doing !== this.#doing || !dialog.open) {
      if (problem !== "") this.#missed(`${wanted} – ${problem}`);
      return;
    }
    this.#begun = null;
    tell(this.#parts.problem, problem);
    if (problem === "") dialog.close();
  }
}
