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
  return devices?.find((one) => one.this) ?? browser.get(nameOf(account)) ?? NOTHING_SET;
}

/** Remember what the account tells. Of an earlier release the browser alone knew whether the device answers. */
export async function remember(account, devices) {
  const { kiosk, auto_answers } = ownSettings(account, devices);
  browser.set(nameOf(account), { kiosk, auto_answers });
  const earlier = `answers.${account.phone}.${account.deviceId}`;
  if (browser.get(earlier) === null) return;
  if (!auto_answers) await account.configureDevice(account.deviceId, { auto_answers: true });
  browser.set(earlier, null);
}

/** Keep nothing of a device that has logged out. */
export function forget(account) {
  browser.set(nameOf(account), null);
}

function nameOf({ phone, deviceId }) {
  return `own.${phone}.${deviceId}`;
}
