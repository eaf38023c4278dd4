/**
 * The camera and the microphone, as much of them as there is and the person allows.
 */

const SOUND = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const PICTURE = { facingMode: "user", width: { ideal: 1280 }, height: { ideal: 720 }, frameRate: { ideal: 30 } };

/**
 * Open both, else the one there is.
 *
 * Resolves to `{stream, problem}`. `stream` is null if the person (or a policy) refused, and has no
 * track where there is nothing to open. `problem` says what is missing:
 *   "" nothing · "refused" · "camera_refused" · "microphone_refused" · "no_camera" · "no_microphone" · "nothing"
 */
export async function openMedia() {
  if (!navigator.mediaDevices) return { stream: new MediaStream(), problem: "nothing" };
  const isCameraRefused = await isRefused("camera");
  const isMicrophoneRefused = await isRefused("microphone");
  if (isCameraRefused && isMicrophoneRefused) return { stream: null, problem: "refused" };
  if (isCameraRefused) return openFirst([[SOUND, false, "camera_refused"]]);
  if (isMicrophoneRefused) return openFirst([[false, PICTURE, "microphone_refused"]]);
  return openFirst([
    [SOUND, PICTURE, ""],
    [SOUND, false, "no_camera"],
    [false, PICTURE, "no_microphone"],
  ]);
}

/** Call `changed` when the person allows or refuses the camera or the microphone; returns how to stop that. */
export async function watchPermissions(changed) {
  const watched = (await Promise.all([permission("camera"), permission("microphone")])).filter(Boolean);
  for (const status of watched) status.addEventListener("change", changed);
  return () => {
    for (const status of watched) status.removeEventListener("change", changed);
  };
}

/** Stop the camera and the microphone. */
export function closeMedia(stream) {
  for (const track of stream?.getTracks() ?? []) track.stop();
}

async function openFirst(ways) {
  for (const [audio, video, problem] of ways) {
    try {
      return { stream: await navigator.mediaDevices.getUserMedia({ audio, video }), problem };
    } catch (error) {
      if (error.name === "NotAllowedError") return { stream: null, problem: "refused" };
      // Missing, or in use by another program: there may still be the other one.
    }
  }
  return { stream: new MediaStream(), problem: "nothing" };
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
