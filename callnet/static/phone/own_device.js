/**
 * The settings of this device. The account keeps them, and the browser remembers them: a kiosk is one before it is
 * connected.
 */

import { browser } from "../shared/memory.js";

const NOTHING_SET = { kiosk: false, auto_answers: false };

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
  if (browser.get(earlierOf(account)) === null) return;
  forgetEarlier(account); // at once: of two answers that come meanwhile only one tells it
  if (auto_answers) return;
  await account.configureDevice(account.deviceId, { auto_answers: true }).catch((error) => {
    browser.set(earlierOf(account), true);
    throw error;
  });
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
