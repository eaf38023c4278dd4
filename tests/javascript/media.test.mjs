// Opening cameras and microphones (callnet/static/shared/media.js), in a browser that has them, or refuses them.

import assert from "node:assert/strict";
import { test } from "node:test";

/** What the browser says of the site's permissions, and how it fails to open something. */
const browser = { permissions: {}, failure: () => null };
const mediaDevices = {
  getSupportedConstraints: () => ({}),
  getUserMedia: async ({ audio, video }) => {
    const name = browser.failure(Boolean(audio), Boolean(video));
    if (name !== null) throw new DOMException("", name);
    return [audio && "sound", video && "picture"].filter(Boolean).join(" and ");
  },
};
const query = async ({ name }) => ({ state: browser.permissions[name] });
globalThis.HTMLMediaElement = class {};
globalThis.MediaStream = class {};
globalThis.localStorage = { getItem: () => null };
Object.defineProperty(globalThis, "navigator", { value: { permissions: { query }, mediaDevices } });
const { openMedia } = await import("../../callnet/static/shared/media.js");

async function opened(permission, failure) {
  Object.assign(browser, { permissions: { camera: permission, microphone: permission }, failure });
  const { stream, problem } = await openMedia({ camera: "", microphone: "" });
  return [stream instanceof MediaStream ? "nothing" : stream, problem];
}

const REFUSED = "NotAllowedError";

test("where the system refuses what the site may open, the other one is opened", async () => {
  const camera = await opened("granted", (audio, video) => (video ? REFUSED : null));
  assert.deepEqual(camera, ["sound", "camera_refused"]);
  const microphone = await opened("granted", (audio) => (audio ? REFUSED : null));
  assert.deepEqual(microphone, ["picture", "microphone_refused"]);
  assert.deepEqual(await opened("granted", () => REFUSED), [null, "refused"]);
});

test("a person who has refused is not asked again", async () => {
  let asked = 0;
  const refuse = () => {
    asked += 1;
    return REFUSED;
  };
  assert.deepEqual(await opened("prompt", refuse), [null, "refused"]);
  assert.equal(asked, 1);
});

test("what is missing leaves the other one", async () => {
  const missing = (audio, video) => (video ? "NotFoundError" : null);
  assert.deepEqual(await opened("granted", missing), ["sound", "no_camera"]);
  assert.deepEqual(await opened("granted", () => "NotFoundError"), ["nothing", "nothing"]);
});
