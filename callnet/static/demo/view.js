/**
 * Puts a scene and the facts of a call on the page.
 */

const ICONS = {
  idle: "video",
  waiting: "person",
  connecting: "link",
  reconnecting: "link",
  ended: "hangup",
  full: "people",
  permission: "video",
  refused: "video-off",
  taken: "tabs",
};

const CONTROLLED = new Set(["waiting", "connecting", "connected", "reconnecting"]);

/** A picture of another shape than the screen is shown whole if cutting it would lose more than this. */
const MOST_CUT = 1.6;

export class View {
  #words;
  #elements;
  #isSilent = false;
  #title = null;

  constructor({ lang, words }) {
    this.#words = words;
    const named = document.querySelectorAll("[id]");
    this.#elements = Object.fromEntries(Array.from(named, (element) => [element.id, element]));
    document.documentElement.lang = lang;
    this._say();
    this.#elements.remote.addEventListener("resize", () => this._fit());
    window.addEventListener("resize", () => this._fit());
  }

  get elements() {
    return this.#elements;
  }

  /** Whether the browser plays the other side without its sound, until the person does something. */
  get isSilent() {
    return this.#isSilent;
  }

  /**
   * @param {ReturnType<import("./scene.js").sceneOf>} scene
   * @param {import("./call.js").Call | null} call
   * @param {string} notice a name in words.js
   * @param {number} now performance.now()
   */
  show(scene, call, notice, now) {
    const words = this.#words;
    document.body.dataset.callState = scene.state;
    document.body.dataset.scene = scene.title;
    document.title = scene.state === "idle" ? words.page : `${words.title[scene.title]} · ${words.page}`;
    this._showMessage(scene, call);
    this._showActions(scene);
    this._showControls(scene, call);
    this._showVideos(scene, call);
    this._text("status-text", statusText(words, call, now));
    this._text("notice", CONTROLLED.has(scene.state) ? words.notice[notice] : "");
    this._keepFocus(scene);
  }

  /** Show what this side sends. */
  showLocal(stream) {
    attach(this.#elements.local, stream);
  }

  /** Play what the other side sends; null: nothing. */
  async play(stream) {
    const { remote } = this.#elements;
    attach(remote, stream);
    if (stream === null) return;
    try {
      await remote.play();
    } catch (error) {
      if (error.name !== "NotAllowedError") return; // another stream came meanwhile
      this.#isSilent = true;
      remote.muted = true;
      await remote.play();
    }
  }

  /** The person did something, so sound is allowed now. */
  letSound() {
    this.#isSilent = false;
    this.#elements.remote.muted = false;
  }

  showRoomProblem(isBad) {
    this._text("room-problem", isBad ? this.#words.notice.bad_room : "");
    this.#elements["room-id"].setAttribute("aria-invalid", String(isBad));
  }

  _say() {
    const words = this.#words;
    this._text("room-label", words.room);
    this._text("join", words.action.join);
    this._text("hangup-label", words.hangUp);
    this._text("remote-off-text", words.otherOff);
    this._text("self-off-text", words.selfOff);
    this.#elements.controls.setAttribute("aria-label", words.controls);
    this.#elements.local.setAttribute("aria-label", words.self);
    this.#elements.remote.setAttribute("aria-label", words.other);
  }

  _showMessage(scene, call) {
    const words = this.#words;
    this.#elements.panel.hidden = scene.state === "connected";
    this.#elements["emblem-icon"].setAttribute("href", `#i-${ICONS[scene.title] ?? ICONS[scene.state] ?? "alert"}`);
    this._text("title", words.title[scene.title]);
    this._text("hint", scene.state === "ended" ? endedText(words, scene, call) : words.hint[scene.hint] ?? "");
    this._text("room", scene.room ?? "");
    this.#elements.form.hidden = scene.state !== "idle";
  }

  _showActions({ actions }) {
    this.#elements.actions.hidden = actions.length === 0;
    this._text("action", this.#words.action[actions[0]] ?? "");
    this._text("second-action", this.#words.action[actions[1]] ?? "");
  }

  _showControls({ state }, call) {
    const words = this.#words;
    this.#elements.controls.hidden = !CONTROLLED.has(state);
    if (call === null) return;
    this._toggle("mute", !call.hasMicrophone, call.isMuted, words.mute, words.unmute, ["mic", "mic-off"]);
    this._toggle("camera", !call.hasCamera, call.isCameraOff, words.cameraOff, words.cameraOn, ["video", "video-off"]);
  }

  _toggle(name, isMissing, isOff, offWord, onWord, [onIcon, offIcon]) {
    const button = this.#elements[name];
    button.disabled = isMissing;
    button.classList.toggle("off", isOff || isMissing);
    this._text(`${name}-label`, isOff ? onWord : offWord);
    this.#elements[`${name}-icon`].setAttribute("href", `#i-${isOff || isMissing ? offIcon : onIcon}`);
  }

  _showVideos({ state }, call) {
    const isVisible = Boolean(call?.hasCamera) && !call.isCameraOff;
    const isOver = !CONTROLLED.has(state);
    this.#elements.self.hidden = isOver || call.media !== "open" || (!call.hasCamera && state !== "connected");
    this.#elements["self-off"].hidden = isVisible;
    this.#elements.local.hidden = !isVisible;
    this.#elements["remote-off"].hidden = !(state === "connected" && call.other.isCameraOff);
  }

  // A remote control needs something to press, so what appears takes the focus that has vanished. In a
  // call nothing takes it: a ring around a button would stand there all the time; the first key brings it.
  _keepFocus(scene) {
    if (scene.title === this.#title) return;
    this.#title = scene.title;
    const focused = document.activeElement;
    const isLost = focused === document.body || focused === null || focused.offsetParent === null;
    if (isLost && !CONTROLLED.has(scene.state)) this.mainControl()?.focus();
  }

  /** The button or field that matters most now. */
  mainControl() {
    return this.controls()[0] ?? null;
  }

  /** What can have the focus now, in order. */
  controls() {
    const all = document.querySelectorAll("input, button");
    return Array.from(all).filter((element) => element.offsetParent !== null && !element.disabled);
  }

  _fit() {
    const { remote } = this.#elements;
    if (!remote.videoWidth) return;
    const picture = remote.videoWidth / remote.videoHeight;
    const screen = window.innerWidth / window.innerHeight;
    remote.classList.toggle("whole", Math.max(picture / screen, screen / picture) > MOST_CUT);
  }

  _text(id, text) {
    const element = this.#elements[id];
    if (element.textContent !== text) element.textContent = text;
    element.hidden = text === "";
  }
}

function attach(video, stream) {
  if (video.srcObject !== stream) video.srcObject = stream;
}

function statusText(words, call, now) {
  if (!call?.flowing) return "";
  return `${words.title.connected} · ${duration(now - call.flowedAt)}`;
}

function endedText(words, scene, call) {
  const why = words.ended[scene.ended] ?? words.ended.other;
  if (call.flowedAt === null) return why;
  return `${why}${words.lasted(duration(call.overAt - call.flowedAt))}`;
}

/** Milliseconds as `2:03` or `1:02:03`. */
function duration(milliseconds) {
  const seconds = Math.floor(milliseconds / 1_000);
  const pad = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  const tail = pad(seconds % 60);
  return hours > 0 ? `${hours}:${pad(minutes)}:${tail}` : `${minutes}:${tail}`;
}
