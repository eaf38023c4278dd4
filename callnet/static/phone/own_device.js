/**
 * The settings of this device. The account keeps them, and the browser remembers them: a kiosk is one before it is
 * connected.
 */

import { browser } from "../shared/memory.js";

const NOTHING_SET = { kiosk: false, auto_answers: false };
/** What is being told to the account: of two answers that come meanwhile only one tells it. */
const telling = new Set();

/**
 * The settings: `{kiosk, auto_answers}`.
 * @param {import("../client/types.js").OwnDevice[] | null} devices as the account tells them; null: not known yet
 */
export function ownSettings(account, devices) {
  const own = devices === null ? browser.get(nameOf(account)) : devices.find((one) => one.this);
  return own ?? NOTHING_SET;
}

/** Remember what the account tells. Of an earlier release the browser alone knew whether the device answers. */
export async function remember(account, devices) {
  const { kiosk, auto_answers } = ownSettings(account, devices);
  browser.set(nameOf(account), { kiosk, auto_answers });
  const earlier = earlierOf(account);
  if (browser.get(earlier) === null || telling.has(earlier)) return;
  telling.add(earlier);
  try {
    if (!auto_answers) await account.configureDevice(account.deviceId, { auto_answers: true });
    forgetEarlier(account);
  } finally {
    telling.delete(earlier);
  }
}

/** Forget what the browser alone knew: somebody says now whether the device answers. */
export function forgetEarlier(account) {
  browser.set(earlierOf(account), null);
}

/** Keep nothing of a device that has logged out. */
export function forget(account) {
  browser.set(nameOf(account), null);
  forgetEarlier(account);
}

function earlierOf({ phone, deviceId }) {
  return `answers.${phone}.${deviceId}`;
}

function nameOf({ phone, deviceId }) {
  return `own.${phone}.${deviceId}`;
}
