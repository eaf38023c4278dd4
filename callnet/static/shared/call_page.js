/**
 * The call's page inside the phone (protocol §3). Both are of one site, so the phone sees the page's state and its
 * button to hang up, and tells it the name of the other person.
 */

/** Of a call that was ended here the page takes leave of the other one, even where the server is out of reach. */
const FAREWELL = 600;
/** So long the server may take to say why a call is over that its page calls over. */
const PATIENCE = 3_000;
const ALLOWED = "camera; microphone; display-capture; fullscreen; picture-in-picture; autoplay";

export class CallPage {
  #place;
  #handlers;
  #frame = null;
  #call = null;
  #observer = null;
  #patience = null;
  #name = "";
  #hasHangUp = false;

  /**
   * @param {HTMLElement} place where the page goes
   * @param {{hungUp(call), ended(call), changed(), pressed(event)}} handlers the person hung up in the page; it has been
   *   over there for a while; it has got a button to hang up, or lost it; a key was pressed in the page, which is told of it after
   */
  constructor(place, handlers) {
    this.#place = place;
    this.#handlers = handlers;
  }

  /**
   * Show the page of a call, or none.
   * @param {import("../client/index.js").Call | null} call that is active
   * @param {{lang: string, kiosk?: string}} parameters of the page's address: its language, such as "pt"; whether it
   *   shows what is needed, and nothing else
   * @param {string} title read aloud
   * @param {string} name of the other person
   */
  show(call, parameters, title, name) {
    if (call !== this.#call) {
      this.close();
      if (call !== null) this._open(call, parameters);
    }
    if (this.#frame !== null) this.#frame.title = title;
    if (name === this.#name) return;
    this.#name = name;
    this._tellName();
  }

  /** Show a button to hang up, of which there is one: the page's own, or this one while the page has none. */
  showHangUp(button) {
    const hadFocus = document.activeElement === button;
    button.hidden = this.#hasHangUp;
    if (hadFocus && button.hidden) this.focus();
  }

  /** Let the page have the focus. */
  focus() {
    this.#frame?.focus();
  }

  _open(call, parameters) {
    const url = new URL(call.page, location.origin);
    if (url.origin !== location.origin) return;
    for (const [parameter, value] of Object.entries(parameters)) url.searchParams.set(parameter, value);
    const frame = document.createElement("iframe");
    frame.allow = ALLOWED;
    frame.src = url.href;
    frame.addEventListener("load", () => this._watch(call, frame));
    this.#call = call;
    this.#frame = frame;
    this.#place.append(frame);
    frame.focus();
  }

  _tellName() {
    this.#frame?.contentWindow?.postMessage({ otherName: this.#name }, location.origin);
  }

  _watch(call, frame) {
    const body = frame.contentDocument?.body;
    if (!body || frame !== this.#frame) return;
    this._tellName();
    frame.contentWindow.addEventListener("keydown", (event) => this.#handlers.pressed(event), true);
    this.#observer?.disconnect();
    this.#observer = new MutationObserver(() => this._look(call, body));
    this.#observer.observe(body, { attributes: true, attributeFilter: ["class", "data-call-state"] });
    body.addEventListener("click", (event) => {
      if (event.target.closest("button#hangup") && frame === this.#frame) this.#handlers.hungUp(call);
    });
    this._look(call, body);
  }

  // A page that could not get in may be let in with the next try of the person: that is no end.
  _look(call, body) {
    const has = isSeen(body.querySelector("button#hangup"));
    if (has !== this.#hasHangUp) {
      this.#hasHangUp = has;
      this.#handlers.changed();
      if (call !== this.#call) return;
    }
    const state = body.dataset.callState;
    const isOver = state === "ended" || (state === "error" && call.isForgotten);
    if (!isOver) {
      clearTimeout(this.#patience);
      this.#patience = null;
    } else if (this.#patience === null) {
      // The page says again and again which state it is in.
      this.#patience = setTimeout(() => this.#handlers.ended(call), PATIENCE);
    }
  }

  /** Close the page. If its call was ended here it hangs up, for which it has to be in view still. */
  close() {
    const frame = this.#frame;
    const isOwnEnd = this.#call?.isOwnEnd ?? false;
    this.#hasHangUp = false;
    this.#observer?.disconnect();
    clearTimeout(this.#patience);
    this.#call = this.#frame = this.#observer = this.#patience = null;
    if (frame === null) return;
    if (isOwnEnd) hangUp(frame);
    frame.hidden = true;
    setTimeout(() => frame.remove(), FAREWELL);
  }
}

function hangUp({ contentDocument }) {
  const button = contentDocument?.getElementById("hangup");
  if (button && button.offsetParent !== null) button.click();
}

// Buttons that step back while nobody moves are still there.
function isSeen(button) {
  return button !== null && button.offsetParent !== null && getComputedStyle(button).visibility === "visible";
}
