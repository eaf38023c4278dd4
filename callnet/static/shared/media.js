/**
 * The cameras, microphones and speakers of this device, as much of them as there is and the person allows.
 */

import { browser } from "./memory.js";

const SOUND = { echoCancellation: true, autoGainControl: true };
const PICTURE = { width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };
/** What a shared screen plays is no speech, and the other side is not to hear itself. */
const SCREEN_SOUND = { echoCancellation: false, noiseSuppression: false, autoGainControl: false, restrictOwnAudio: true };
/** A screen is read rather than watched. */
const SCREEN = { frameRate: { ideal: 15, max: 30 } };

const KINDS = { videoinput: "camera", audioinput: "microphone", audiooutput: "speaker" };

/** Whether the browser has just said so: asking takes a while. */
let wasAllowed = false;

/** Whether this browser can share a screen, and send sound to a chosen speaker. */
export const canShare = Boolean(navigator.mediaDevices?.getDisplayMedia);
export const canChooseSpeaker = "setSinkId" in HTMLMediaElement.prototype;

/**
 * Open both, else the one there is.
 *
 * `wanted` names devices to prefer, by the kinds `camera` and `microphone`; "" and what is no longer
 * there leave it to the browser; null is not opened. Resolves to `{stream, problem}`. `stream` is null if the person (or a
 * policy) refused, and has no track where there is nothing to open. `problem` says what is missing:
 *   "" nothing · "refused" · "camera_refused" · "microphone_refused" · "no_camera" · "no_microphone" · "nothing"
 */
export async function openMedia(wanted) {
  if (!navigator.mediaDevices) return { stream: new MediaStream(), problem: "nothing" };
  const [sound, picture] = [soundFrom(wanted.microphone), pictureFrom(wanted.camera)];
  const isKnown = wasAllowed;
  wasAllowed = false; // it may be refused later
  const [isCameraRefused, isMicrophoneRefused] = isKnown
    ? [false, false]
    : await Promise.all([isRefused("camera"), isRefused("microphone")]);
  if (isCameraRefused && isMicrophoneRefused) return { stream: null, problem: "refused" };
  if (isCameraRefused) return openFirst([[sound, false, "camera_refused"]]);
  if (isMicrophoneRefused) return openFirst([[false, picture, "microphone_refused"]]);
  if (sound === false || picture === false) return openFirst([[sound, picture, ""]]);
  return openFirst([
    [sound, picture, ""],
    [sound, false, "no_camera", "camera_refused"],
    [false, picture, "no_microphone", "microphone_refused"],
  ]);
}

/**
 * Open one device and resolve to its track.
 *
 * @param {"camera" | "microphone"} kind
 * @param {string} id of the device; "" leaves it to the browser
 */
export async function openDevice(kind, id) {
  const wanted = kind === "camera" ? { video: pictureFrom(id) } : { audio: soundFrom(id) };
  return (await navigator.mediaDevices.getUserMedia(wanted)).getTracks()[0];
}

/** Open the camera that looks the other way and resolve to its track. */
export async function openFacing(facingMode) {
  const video = { ...PICTURE, facingMode: { exact: facingMode } };
  return (await navigator.mediaDevices.getUserMedia({ video })).getTracks()[0];
}

/** Let the person choose a screen or a window; resolves to its track, and that of its sound or null. */
export async function openScreen() {
  const stream = await navigator.mediaDevices.getDisplayMedia({ video: SCREEN, audio: SCREEN_SOUND });
  const [picture] = stream.getVideoTracks();
  picture.contentHint = "detail";
  return { picture, sound: stream.getAudioTracks()[0] ?? null };
}

/** What there is to choose from: `{camera, microphone, speaker}`, each a list of `{id, name}`; a name may be "". */
export async function listDevices() {
  const found = { camera: [], microphone: [], speaker: [] };
  const devices = (await navigator.mediaDevices?.enumerateDevices()) ?? [];
  for (const { kind, deviceId, label } of devices) {
    // Before the person has allowed anything, all that is known is that there is something.
    if (deviceId !== "" && deviceId !== "communications") found[KINDS[kind]].push({ id: deviceId, name: label });
  }
  if (!canChooseSpeaker) found.speaker = [];
  return found;
}

/** Have the browser make ready to open a camera. None is opened. */
export function wakeCameras() {
  navigator.mediaDevices?.enumerateDevices().catch(() => {}); // then one opens as it always did
}

/** Whether the browser can keep noise out of the microphone, and whether it is to. */
export const canSuppressNoise = Boolean(navigator.mediaDevices?.getSupportedConstraints().noiseSuppression);
export function suppressesNoise() {
  return browser.get("noise") ?? true;
}

/** Call `changed` when something is plugged in or out. */
export function watchDevices(changed) {
  navigator.mediaDevices?.addEventListener("devicechange", changed);
}

/**
 * Call `changed` when the person allows or refuses one of these.
 *
 * @param {("camera" | "microphone")[]} kinds
 * @param {function(): void} changed
 * @returns {Promise<function(): void>} how to stop that
 */
export async function watchPermissions(kinds, changed) {
  const watched = (await Promise.all(kinds.map(permission))).filter(Boolean);
  for (const status of watched) status.addEventListener("change", changed);
  return () => {
    for (const status of watched) status.removeEventListener("change", changed);
  };
}

/** Stop the camera and the microphone. */
export function closeMedia(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

function pictureFrom(id) {
  if (id === null) return false;
  return id === "" ? { ...PICTURE, facingMode: "user" } : { ...PICTURE, deviceId: { exact: id } };
}

function soundFrom(id) {
  if (id === null) return false;
  const sound = { ...SOUND, noiseSuppression: suppressesNoise() };
  return id === "" ? sound : { ...sound, deviceId: { exact: id } };
}

/**
 * Open the first that can be opened of these `[audio, video, problem, refusal]`; refusal: the problem, if the system has
 * refused one before.
 */
async function openFirst(ways) {
  let isRefused = false;
  for (const [audio, video, problem, refusal = problem] of ways) {
    try {
      return { stream: await openBoth(audio, video), problem: isRefused ? refusal : problem };
    } catch (error) {
      // Missing, or in use by another program: there may still be the other one. So there may if the system has refused
      // what the person allows the site: it has a switch for each. A person who has just refused is not asked again.
      if (error.name !== "NotAllowedError") continue;
      isRefused = true;
      if (!(await isAllowed())) break;
    }
  }
  return isRefused ? { stream: null, problem: "refused" } : { stream: new MediaStream(), problem: "nothing" };
}

async function openBoth(audio, video) {
  try {
    return await navigator.mediaDevices.getUserMedia({ audio, video });
  } catch (error) {
    if (error.name !== "OverconstrainedError") throw error;
    // A device that was chosen before is gone.
    return navigator.mediaDevices.getUserMedia({ audio: audio && soundFrom(""), video: video && pictureFrom("") });
  }
}

/** Whether the person has allowed both camera and microphone, as far as the browser tells. */
export async function isAllowed() {
  const both = await Promise.all([isGranted("camera"), isGranted("microphone")]);
  return (wasAllowed = both.every(Boolean));
}

/** Whether the person has allowed the "camera" or the "microphone", as far as the browser tells. */
export async function isGranted(name) {
  return (await permission(name))?.state === "granted";
}

async function isRefused(name) {
  return (await permission(name))?.state === "denied";
}

async function permission(name) {
  try {
    return await navigator.permissions.query({ name });
  } catch {
    return null; // This browser does not tell.
  }
}
