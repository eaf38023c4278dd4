/**
 * The call's page inside the phone (protocol §3). Both are of one site, so the phone sees the page's state and its
 * button to hang up, and tells it the name of the other person.
 *
 * The page is there, and not seen, while the call rings: it makes ready, and takes its seat once the call is active.
 */

import { tellAtOnce } from "./at_once.js";
import { beginScene, NOT_MEANT_WITHIN } from "./presses.js";

const PAGE = "/static/demo/direct_chat.html";

/** Of a call that was ended here the page takes leave of the other one, even where the server is out of reach. */
const FAREWELL = 600;
/** So long the server may take to say why a call is over that its page calls over. */
const PATIENCE = 3_000;
/** A guest who has closed the page does not come back, and one who has loaded it again is there sooner. */
const GUEST_BACK_WITHIN = 15_000;
/** A call that the server has forgotten is over if the other one is away for so long: the usual grace period. */
const BACK_WITHIN = 30_000;
/** What is seen of a call that was accepted comes so much later: camera and connection need the processor first. */
const ENTERS_AFTER = 100;
/** No side holds the call. */
const NOT_HELD = { here: false, there: false };
/** The other side may say as much as it likes. */
const MOST_UNTOLD = 50;
const ALLOWED = "camera; microphone; display-capture; fullscreen; picture-in-picture; autoplay";

export class CallPage {
  #place;
  #handlers;
  #frame = null;
  #call = null;
  #observer = null;
  /** The milliseconds after which the call is over if its page goes on to show what it does, and their timer; or null. */
  #patience = null;
  #ending = null;
  #name = "";
  #hold = NOT_HELD;
  #hasHangUp = false;
  /** The parameters of a page that makes ready; null: none does. */
  #ahead = null;
  #isLoaded = false;
  /** What the page is told once it has loaded, and what it says to the other one once the call is active. */
  #untold = [];
  #kept = [];
  /** What it says to whoever accepts, until the call is known to ring. */
  #early = null;
  #isLooking = false;
  /** Until what is seen follows; null: it has. */
  #entering = null;
  /** Until it was seen that the page has come back from hold; null: it was. */
  #returning = null;

  /**
   * @param {HTMLElement} place where the page goes
   * @param {object} handlers hungUp(call): the person hung up in the page · ended(call): it has been over there for a
   *   while · changed(): it has got a button to hang up, or lost it · pressed(event): a key was pressed in the page, which
   *   is told of it after · signal(call, data): what the page says to the other one over the signaling
   */
  constructor(place, handlers) {
    this.#place = place;
    this.#handlers = handlers;
    window.addEventListener("message", ({ origin, source, data }) => {
      const isPage = origin === location.origin && source !== null && source === this.#frame?.contentWindow;
      if (!isPage || !data?.signal) return;
      if (this.#ahead === null) this.#handlers.signal(this.#call, data.signal);
      else if (this.#call.isIncoming) this._keep(data.signal);
      else this._sayEarly(data.signal);
    });
  }

  /** The call whose page it is, or null. */
  get call() {
    return this.#call;
  }

  /** Whether the page is just taking the seat for which it made ready. */
  get isEntering() {
    return this.#entering !== null;
  }

  /**
   * Have the page of a call make ready while it rings.
   * @param {import("../client/index.js").Call} call
   * @param {object} parameters as of `show`
   * @param {() => Promise<RTCIceServer[]>} findServers without them it makes no offer
   */
  prepare(call, parameters, findServers) {
    if (call === this.#call) {
      this._sayEarly(this.#early);
      return;
    }
    this.close();
    this.#ahead = JSON.stringify(parameters);
    const frame = this._load(call, PAGE, { ...parameters, ahead: call.isIncoming ? "callee" : "caller" });
    const tell = (servers) => {
      if (frame === this.#frame) this._tell({ servers });
    };
    findServers().then(tell, () => {});
  }

  /** Let the page hear what the other one says over the signaling. */
  hear(call, data) {
    if (call === this.#call && data?.room) this._tell({ signal: data });
  }

  /**
   * Show the page of a call, or none.
   * @param {import("../client/index.js").Call | null} call that is active
   * @param {{lang: string, kiosk?: string}} parameters of the page's address: its language, such as "pt"; whether it
   *   shows what is needed, and nothing else
   * @param {string} title read aloud
   * @param {string} name of the other person
   * @param {{here: boolean, there: boolean}} hold which side holds the call; a page that is held here is not seen
   * @param {boolean} byItself whether the page comes back from hold because another call is over
   */
  show(call, parameters, title, name, hold = NOT_HELD, byItself = false) {
    if (call !== this.#call || (this.#ahead !== null && !this._enter(call, parameters))) {
      this.close();
      if (call !== null) this._open(call, parameters, hold);
    }
    if (this.#frame === null) return;
    this.#frame.title = title;
    this._hold(hold, byItself);
    if (name === this.#name) return;
    this.#name = name;
    if (this.#isLoaded) this._tell({ otherName: name });
  }

  _hold(hold, byItself) {
    const was = this.#hold;
    if (hold.here === was.here && hold.there === was.there) return;
    this.#hold = hold;
    if (this.#isLoaded) this._tell({ hold });
    this.#frame.hidden = hold.here;
    this._lookForHangUp();
    if (!was.here || hold.here) return;
    if (byItself) this._return();
    else this.focus();
  }

  // Who presses now means the call that is over.
  _return() {
    const frame = this.#frame;
    const focused = document.activeElement;
    beginScene();
    frame.classList.add("meant");
    clearTimeout(this.#returning);
    this.#returning = setTimeout(() => {
      this.#returning = null;
      frame.classList.remove("meant");
      if ([focused, document.body].includes(document.activeElement)) this.focus(); // else somebody has moved it
      this.#handlers.changed();
    }, NOT_MEANT_WITHIN);
  }

  /** Show a button to hang up, of which there is one: the page's own, or this one while the page has none. */
  showHangUp(button) {
    const hadFocus = document.activeElement === button;
    button.hidden = this.#hasHangUp;
    button.classList.toggle("meant", this.#returning !== null);
    if (hadFocus && button.hidden) this.focus();
  }

  /** Let the page have the focus, as soon as it was seen. */
  focus() {
    if (this.#returning === null) this.#frame?.focus();
  }

  // A page that is held must know that before it opens the camera.
  _open(call, parameters, hold) {
    const holders = ["here", "there"].filter((side) => hold[side]).join(",");
    this._load(call, call.page, holders === "" ? parameters : { ...parameters, hold: holders });
    if (!hold.here) this._focusSoon();
  }

  _load(call, page, parameters) {
    const url = new URL(page, location.origin);
    if (url.origin !== location.origin) return null;
    for (const [parameter, value] of Object.entries(parameters)) url.searchParams.set(parameter, value);
    const frame = document.createElement("iframe");
    frame.allow = ALLOWED;
    frame.src = url.href;
    frame.addEventListener("load", () => this._watch(call, frame));
    this.#call = call;
    this.#frame = frame;
    this.#place.append(frame);
    return frame;
  }

  // Have the page that made ready take its seat; returns whether it is the page of this call.
  _enter(call, parameters) {
    const { pathname, searchParams } = new URL(call.page, location.origin);
    if (pathname !== PAGE || JSON.stringify(parameters) !== this.#ahead || this._isBroken()) return false;
    this.#ahead = null;
    for (const said of this.#kept.splice(0)) this.#handlers.signal(call, said);
    this._tell({ room: searchParams.get("room_id") });
    this.#entering = setTimeout(() => {
      this.#entering = null;
      this.#handlers.changed();
      this._focusSoon();
    }, ENTERS_AFTER);
    return true;
  }

  _focusSoon() {
    requestAnimationFrame(() => this.focus());
  }

  // Whether something else came in place of the page, such as a proxy's error, or the page came without its words.
  _isBroken() {
    const page = this.#frame.contentDocument;
    return page === null || (this.#isLoaded && page.documentElement.dataset.started === undefined);
  }

  // Another offer takes the place of what was kept.
  _keep(said) {
    if (said.room.kind === "offer") this.#kept = [];
    this.#kept.push(said);
  }

  // The server keeps it for whoever accepts. Of a call that it may have forgotten nothing is said: it would end that.
  _sayEarly(said) {
    this.#early = this.#call.state === "calling" ? said : null;
    if (said !== null && this.#early === null) this.#handlers.signal(this.#call, said);
  }

  _tell(message) {
    if (this.#isLoaded && this.#frame.contentDocument !== null) tellAtOnce(this.#frame.contentWindow, message);
    else if (this.#untold.length < MOST_UNTOLD) this.#untold.push(message);
  }

  _watch(call, frame) {
    const body = frame.contentDocument?.body;
    if (!body || frame !== this.#frame) return;
    this.#isLoaded = true;
    this._tell({ otherName: this.#name, hold: this.#hold });
    for (const message of this.#untold.splice(0)) this._tell(message);
    frame.contentWindow.addEventListener("keydown", (event) => this.#handlers.pressed(event), true);
    this.#observer?.disconnect();
    this.#observer = new MutationObserver(() => this._look(call, body));
    this.#observer.observe(body, { attributes: true, attributeFilter: ["class", "data-call-state", "data-scene"] });
    body.addEventListener("click", (event) => {
      if (event.target.closest("button#hangup") && frame === this.#frame) this.#handlers.hungUp(call);
    });
    this._look(call, body);
  }

  _look(call, body) {
    this._lookForHangUp();
    const patience = patienceWith(call, body.dataset);
    // The page says again and again which state it is in.
    if (patience === this.#patience) return;
    clearTimeout(this.#ending);
    this.#patience = patience;
    if (patience !== null) this.#ending = setTimeout(() => this.#handlers.ended(call), patience);
  }

  // With the next picture: what is seen has to be computed for that anyway.
  _lookForHangUp() {
    if (this.#isLooking) return;
    this.#isLooking = true;
    requestAnimationFrame(() => {
      this.#isLooking = false;
      const has = isSeen(this.#frame?.contentDocument?.querySelector("button#hangup") ?? null);
      if (has === this.#hasHangUp) return;
      this.#hasHangUp = has;
      this.#handlers.changed();
    });
  }

  /** Close the page. If its call was ended here it hangs up, for which it has to be in view still. */
  close() {
    const frame = this.#frame;
    const isOwnEnd = this.#call?.isOwnEnd ?? false;
    const wasAhead = this.#ahead !== null;
    this.#hasHangUp = this.#isLoaded = false;
    this.#name = "";
    this.#hold = NOT_HELD;
    this.#ahead = null;
    this.#untold = [];
    this.#kept = [];
    this.#early = null;
    this.#observer?.disconnect();
    clearTimeout(this.#ending);
    clearTimeout(this.#entering);
    clearTimeout(this.#returning);
    this.#call = this.#frame = this.#observer = this.#patience = this.#entering = this.#returning = null;
    if (frame === null) return;
    if (wasAhead) {
      frame.remove();
      return;
    }
    if (isOwnEnd) hangUp(frame);
    frame.hidden = true;
    setTimeout(() => frame.remove(), FAREWELL);
  }
}

/** Milliseconds after which a call is over whose page shows this all the time; null: it is not over. */
function patienceWith({ isForgotten, isOnHold, isGuest }, { callState: state, scene }) {
  // A page that could not get in may be let in with the next try of the person: that is no end.
  if (state === "ended" || (state === "error" && isForgotten)) return PATIENCE;
  if (isGuest && scene === "left") return GUEST_BACK_WITHIN;
  return state === "waiting" && isForgotten && !isOnHold ? BACK_WITHIN : null;
}

function hangUp({ contentDocument }) {
  const button = contentDocument?.getElementById("hangup");
  if (button && button.offsetParent !== null) button.click();
}

// Buttons that step back while nobody moves are still there.
function isSeen(button) {
  return button !== null && button.offsetParent !== null && getComputedStyle(button).visibility === "visible";
}
