/**
 * Which device this tab is.
 *
 * A tab keeps its device for itself, so that two tabs can be two devices. The browser remembers the last one
 * and the credentials of all: a new tab is the last one again, unless another tab is that already.
 */

import { browser, tab } from "../shared/memory.js";
import { nameFrom } from "./device_name.js";

/**
 * The device of this tab, `{phone, deviceId}`: it was that before a reload, or may be the last one; else null.
 * @param {{phone: string, deviceId: string} | null} called a device that a new tab is to be instead of the last one
 */
export async function deviceOfTab(called) {
  const own = tab.get("device");
  if (own !== null) {
    hold(own);
    return own;
  }
  const last = called ?? browser.get("last");
  if (last === null || last.stays === false || !(await hold(last))) return null;
  tab.set("device", { phone: last.phone, deviceId: last.deviceId });
  return last;
}

/** Be this device in this tab, and in the next one. */
export function become({ phone, deviceId }) {
  tab.set("device", { phone, deviceId });
  browser.set("last", { phone, deviceId, stays: true });
  hold({ phone, deviceId });
}

/** Be no device any more. */
export function leave({ phone, deviceId }) {
  tab.set("device", null);
  const last = browser.get("last");
  if (last?.phone === phone && last.deviceId === deviceId) browser.set("last", { phone, deviceId, stays: false });
  release();
}

/** What to propose to who logs in: the device that logged out last, else one named after this browser. */
export function proposal() {
  const last = browser.get("last");
  if (last !== null && !last.stays) return last;
  return { phone: "", deviceId: nameFrom(navigator.userAgent) };
}

/** Whether no tab of this browser is this device. Where there are no locks, one that is logged in may be some tab. */
export async function isFree(device) {
  try {
    const { held: locks } = await navigator.locks.query();
    return locks.every((lock) => lock.name !== lockOf(nameOf(device)));
  } catch {
    return (kept(device)?.token ?? null) === null;
  }
}

/** The credentials of a device, or null. */
export function kept(device) {
  return browser.get(nameOf(device));
}

/**
 * What keeps the credentials of a device. It is undefined where they would be lost with the page: a device that is claimed
 * by a secret is of no use to anybody once that is lost.
 */
export function keeperOf(device) {
  return browser.keeps || kept(device) !== null ? (credentials) => keep(device, credentials) : undefined;
}

/** Keep the credentials of a device. Of one that has neither token nor secret there is nothing to keep. */
export function keep(device, credentials) {
  const { token, secret } = credentials;
  browser.set(nameOf(device), token === null && secret === null ? null : credentials);
}

// Who holds the lock of a device shows other tabs that it is in use. Where there are no locks, or they are refused as
// storage is, a new tab asks the person who it is.
let held = "";
let letGo = () => {};

/** Whether no other tab is this device. */
function hold(device) {
  const name = nameOf(device);
  if (name === held) return Promise.resolve(true);
  release();
  if (!navigator.locks) return Promise.resolve(false);
  held = name;
  return new Promise((told) => {
    const take = (lock) => {
      told(lock !== null);
      if (lock === null && held === name) held = "";
      if (held !== name) return undefined;
      return new Promise((resolve) => {
        letGo = resolve;
      });
    };
    navigator.locks.request(lockOf(name), { ifAvailable: true }, take).catch(() => take(null));
  });
}

function release() {
  held = "";
  letGo();
  letGo = () => {};
}

function nameOf({ phone, deviceId }) {
  return `device.${phone}.${deviceId}`;
}

function lockOf(name) {
  return `callnet.${name}`;
}
