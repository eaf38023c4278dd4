/**
 * From the facts of the phone to what it shows: no DOM.
 */

/**
 * "starting" · "login" · "pairing" it waits to be let in by another device · "home" · "kiosk" in place of it · "ringing"
 * somebody calls · "calling" somebody is called · "call" · "elsewhere" the device is in use in another place
 * @param {import("./phone.js").Phone} phone
 */
export function sceneOf({ isStarting, device, waiting, isKiosk }) {
  if (isStarting) return "starting";
  if (device === null) return waiting === null ? "login" : "pairing";
  if (device.state === "elsewhere") return "elsewhere";
  const { call } = device;
  if (call === null) return isKiosk ? "kiosk" : "home";
  if (call.state === "active") return "call";
  return call.isIncoming ? "ringing" : "calling";
}

/** Which section of the page shows a scene. */
export const SECTIONS = {
  starting: "starting",
  login: "login",
  pairing: "pairing",
  home: "home",
  kiosk: "kiosk",
  ringing: "ring",
  calling: "ring",
  call: "call",
  elsewhere: "elsewhere",
};

/** What has the focus first in a scene: the first of these that is there. */
export const FIRST = {
  starting: [],
  login: ["#login-phone"],
  pairing: ["#pairing-again", "#pairing-back"],
  home: ["#notice-again", ".cards .call", ".adder .main", "#add-phone", ".panel button"],
  kiosk: ["#pin [data-digit]", ".tile.called", ".tile", "#kiosk-lock"],
  ringing: ["#auto-stop", "#accept"],
  calling: ["#cancel"],
  call: ["#call-hangup"],
  elsewhere: ["#here"],
};
