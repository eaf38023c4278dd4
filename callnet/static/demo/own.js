/**
 * What this side shows and says: its camera, its microphone and its screen, before a call and in it.
 */

import { browser } from "../shared/memory.js";
import {
  closeMedia, isGranted, listDevices, openDevice, openFacing, openMedia, openScreen, watchDevices, watchPermissions,
} from "../shared/media.js";
import { Mixer } from "./mixer.js";
import { keepSwitches, keptSwitches } from "./seat.js";

const KIND_OF_TRACK = { video: "camera", audio: "microphone" };
const KIND_REFUSED = { camera_refused: "camera", microphone_refused: "microphone" };

export class Own {
  #roomId;
  #handlers;
  #asked = 0;
  /** The changes of devices, one after the other: of two that overlap the first would leave its device open. */
  #work = Promise.resolve();
  /** The devices open when it was paused, `{devices, problem}` as of media.js; null: not paused, or none yet. */
  #paused = null;
  #unwatchPermissions = () => {};
  #mixer = new Mixer();
  #screenSound = null;

  /** The camera and microphone: "" not asked for yet, or "asking" "refused" "open". */
  state = "";
  /** What is missing of them (media.js). */
  problem = "";
  /** What is sent of them, if anything: a MediaStream with at most one track of a kind. */
  stream = null;
  /** The screen that is shared, and all the sound that is sent, the screen's included: a MediaStreamTrack or null. */
  screen = null;
  sound = null;
  isMuted;
  isCameraOff;
  /** What there is to choose from (media.js). */
  devices = { camera: [], microphone: [], speaker: [] };

  /**
   * @param {string} roomId of the room in the address, where the switches are as this tab left them; "": none
   * @param {object} handlers changed() when a fact has changed · replaced(kind, track) when a "camera",
   *   a "microphone" or a "screen" has another track, or null · failed(notice) with a name in the words
   */
  constructor(roomId, handlers) {
    this.#roomId = roomId;
    this.#handlers = handlers;
    ({ isMuted: this.isMuted, isCameraOff: this.isCameraOff } = keptSwitches(roomId));
    watchDevices(() => this._list());
  }

  /** Take the switches along to another room, "" if that is not known yet. */
  enter(roomId) {
    this.#roomId = roomId;
    this._keep();
  }

  /** Ask for the camera and the microphone, again if need be. */
  async ask() {
    this.#paused = null;
    const asked = this._begin();
    const { stream, problem } = await openMedia({ camera: browser.get("camera") ?? "", microphone: browser.get("microphone") ?? "" });
    if (asked !== this.#asked) {
      closeMedia(stream);
    } else if (stream === null) {
      this.state = "refused";
      this.problem = problem;
      await this._watchPermissions(["camera", "microphone"], () => this.ask());
      this.#handlers.changed();
    } else {
      await this._open(stream, problem);
      // A person who allows both has a switch for each, and may have pressed the second while the first device opened.
      if (asked === this.#asked) this._openAllowed();
    }
  }

  /** Go on without camera and microphone. */
  goWithout() {
    this.close();
    this._open(new MediaStream(), "nothing");
  }

  /** Stop everything until it is resumed. */
  pause() {
    if (this.state === "open") {
      const devices = { camera: this._deviceOf("camera"), microphone: this._deviceOf("microphone") };
      this.#paused = { devices, problem: this.problem };
    }
    this.close();
  }

  /** Open what was open when it was paused, or as much of it as there still is; nothing else is asked for. */
  async resume() {
    if (this.#paused === null) {
      this.ask();
      return;
    }
    const { devices, problem } = this.#paused;
    const asked = this._begin();
    const { stream } = await openMedia(devices);
    if (asked === this.#asked) this._open(stream ?? new MediaStream(), problem);
    else closeMedia(stream);
  }

  /** Stop everything. It can be asked for again. */
  close() {
    this.#asked += 1;
    // The browser may never answer what it was asked before.
    this.#work = Promise.resolve();
    this.#unwatchPermissions();
    this.#unwatchPermissions = () => {};
    closeMedia(this.stream);
    this.screen?.stop();
    this.#screenSound?.stop();
    this.#mixer.close();
    this.stream = this.screen = this.sound = this.#screenSound = null;
    this.state = "";
    this.problem = "";
  }

  toggleMute() {
    this.isMuted = !this.isMuted;
    this._keep();
    this._switch();
  }

  toggleCamera() {
    this.isCameraOff = !this.isCameraOff;
    this._keep();
    this._switch();
  }

  /** Take another camera or microphone, and remember it. */
  choose(kind, id) {
    return this._enqueue(() => this._choose(kind, id));
  }

  /** Keep noise out of the microphone or let it in, from now on. */
  suppressNoise(isWanted) {
    browser.set("noise", isWanted ? null : false);
    return this._enqueue(async () => {
      const id = this.inUse.microphone ?? "";
      if (this.hasMicrophone) await this._replace("microphone", () => openDevice("microphone", id));
    });
  }

  /** Take the camera on the other side of a phone; elsewhere the next one. */
  flip() {
    return this._enqueue(async () => {
      if (!this.hasCamera) return;
      const { deviceId, facingMode } = this._track("camera").getSettings();
      if (facingMode) {
        await this._replace("camera", () => openFacing(facingMode === "user" ? "environment" : "user"));
      } else {
        const ids = this.devices.camera.map(({ id }) => id);
        await this._choose("camera", ids[(ids.indexOf(deviceId) + 1) % ids.length]);
      }
    });
  }

  /** Share a screen or a window that the person chooses, until they stop it here or in the browser's own bar. */
  async share() {
    const asked = this.#asked;
    let opened;
    try {
      opened = await openScreen();
    } catch (error) {
      // Who does not choose any has changed their mind.
      if (error.name !== "NotAllowedError") this.#handlers.failed("screen_failed");
      return;
    }
    const { picture, sound } = opened;
    if (asked !== this.#asked) {
      picture.stop();
      sound?.stop();
      return;
    }
    picture.onended = () => {
      if (this.screen === picture) this.stopSharing();
    };
    this._show(picture, sound);
  }

  stopSharing() {
    this._show(null, null);
  }

  _show(picture, sound) {
    const isSound = sound !== this.#screenSound;
    this.screen?.stop();
    this.#screenSound?.stop();
    this.screen = picture;
    this.#screenSound = sound;
    this.#handlers.replaced("screen", picture);
    if (isSound) this._mix();
    this.#handlers.changed();
  }

  // There is one line for sound, so what a screen plays goes with what the person says.
  _mix() {
    const microphone = this._track("microphone");
    this.sound = this.#screenSound === null ? microphone : this.#mixer.mix([this.#screenSound, microphone]);
    if (this.#screenSound === null) this.#mixer.close();
    this.#handlers.replaced("microphone", this.sound);
  }

  get hasCamera() {
    return Boolean(this.stream?.getVideoTracks().length);
  }

  get hasMicrophone() {
    return Boolean(this.stream?.getAudioTracks().length);
  }

  /** Whether the other side sees this side's camera. */
  get isSeen() {
    return this.hasCamera && !this.isCameraOff;
  }

  /** The ids of the devices in use, by their kind. */
  get inUse() {
    const entries = (this.stream?.getTracks() ?? []).map((track) => {
      return [KIND_OF_TRACK[track.kind], track.getSettings().deviceId];
    });
    return Object.fromEntries(entries);
  }

  /** Whether the person looks into the camera as into a mirror. */
  get isMirrored() {
    return this.stream?.getVideoTracks()[0]?.getSettings().facingMode !== "environment";
  }

  _begin() {
    this.#unwatchPermissions();
    this.state = "asking";
    this.#handlers.changed();
    this.#asked += 1;
    return this.#asked;
  }

  async _open(stream, problem) {
    this.state = "open";
    this.stream = stream;
    this.problem = problem;
    this._noteMissing();
    this.sound = this._track("microphone");
    for (const track of stream.getTracks()) this._watch(track);
    this._switch();
    this._list();
    const refused = KIND_REFUSED[this.problem];
    if (refused !== undefined) await this._watchPermissions([refused], () => this._openAllowed());
  }

  async _watchPermissions(kinds, changed) {
    const asked = this.#asked;
    const unwatch = await watchPermissions(kinds, changed);
    if (asked === this.#asked) this.#unwatchPermissions = unwatch;
    else unwatch();
  }

  // Open what was refused, if it is allowed now.
  async _openAllowed() {
    const [kind, asked] = [KIND_REFUSED[this.problem], this.#asked];
    if (kind === undefined || !(await isGranted(kind)) || asked !== this.#asked) return;
    const wanted = { camera: null, microphone: null, [kind]: browser.get(kind) ?? "" };
    await this._enqueue(async () => {
      if (this._track(kind) !== null) return;
      await this._replace(kind, async () => (await openMedia(wanted)).stream?.getTracks()[0] ?? null);
      await this._list();
    });
  }

  async _list() {
    this.devices = await listDevices();
    this.#handlers.changed();
  }

  _keep() {
    if (this.#roomId !== "") keepSwitches(this.#roomId, this);
  }

  _switch() {
    this._enable();
    this.#handlers.changed();
  }

  _enable() {
    for (const track of this.stream?.getAudioTracks() ?? []) track.enabled = !this.isMuted;
    for (const track of this.stream?.getVideoTracks() ?? []) track.enabled = !this.isCameraOff;
  }

  _enqueue(change) {
    const asked = this.#asked;
    const report = (error) => console.warn("own:", error.name, error.message);
    this.#work = this.#work.then(() => (asked === this.#asked ? change() : undefined)).catch(report);
    return this.#work;
  }

  async _choose(kind, id) {
    if (await this._replace(kind, () => openDevice(kind, id))) browser.set(kind, id);
  }

  // A phone opens one camera at a time, so the old one is stopped first, and opened again if need be.
  async _replace(kind, open) {
    const asked = this.#asked;
    const before = this._track(kind);
    const id = before?.getSettings().deviceId ?? "";
    before?.stop();
    let track = null;
    let isNew = true;
    try {
      track = await open();
    } catch {
      isNew = false;
      if (before !== null) track = await openDevice(kind, id).catch(() => null);
      if (track !== null) this.#handlers.failed("device_failed");
    }
    if (asked === this.#asked) this._put(kind, track);
    else track?.stop();
    return isNew;
  }

  _put(kind, track) {
    const before = this._track(kind);
    if (before !== null) this.stream.removeTrack(before);
    if (track !== null) {
      this.stream.addTrack(track);
      this._watch(track);
    }
    this._noteMissing();
    this._enable();
    if (kind === "microphone") this._mix();
    else this.#handlers.replaced(kind, track);
    this.#handlers.changed();
  }

  // What is unplugged leaves its place to another one, if there is any.
  _watch(track) {
    track.onended = () => {
      const kind = KIND_OF_TRACK[track.kind];
      this._enqueue(async () => {
        if (this._track(kind) === track) await this._replace(kind, () => openDevice(kind, ""));
      });
    };
  }

  _track(kind) {
    return this.stream.getTracks().find((track) => KIND_OF_TRACK[track.kind] === kind) ?? null;
  }

  // The id of the device in use; null: none is.
  _deviceOf(kind) {
    const track = this._track(kind);
    return track === null ? null : (track.getSettings().deviceId ?? "");
  }

  _noteMissing() {
    const [camera, microphone] = [this.hasCamera, this.hasMicrophone];
    if (camera && microphone) this.problem = "";
    else if (camera) this.problem = this.problem === "microphone_refused" ? this.problem : "no_microphone";
    else if (microphone) this.problem = this.problem === "camera_refused" ? this.problem : "no_camera";
    else this.problem = "nothing";
  }
}
