/**
 * Logging in as a device. A name that the phone has proposed gets a number where somebody else has it.
 */

import { Account, ERROR } from "../client/account.js";
import * as identity from "./identity.js";

/** Names of one kind that are tried: a login counts for a limit. */
const NAMES_TRIED = 5;

/** The account of a device, with what this browser keeps of it. */
export function accountOf(device) {
  const [kept, keep] = [identity.kept(device), identity.keeperOf(device)];
  return new Account({ site: location.origin, ...device, kept, keep });
}

/**
 * Log in as a device.
 * @param {{phone: string, deviceId: string}} who
 * @param {string} code the one-time code that the phone was sent, or ""
 * @param {boolean} isProposed whether its name is one that the phone has proposed: if somebody else has it, the
 *   same with a number is as good
 * @returns {Promise<Account>}
 * @throws {AccountError}
 */
export async function logIn(who, code, isProposed) {
  if (!isProposed) return logInAs(who, (account) => account.login(code));
  for (let number = 1; ; number += 1) {
    const device = number === 1 ? who : { ...who, deviceId: `${who.deviceId} ${number}` };
    const isLast = number === NAMES_TRIED;
    if (!isLast && !(await identity.isFree(device))) continue;
    try {
      return await logInAs(device, (account) => logInIfFree(account, code));
    } catch (error) {
      if (isLast || error.code !== ERROR.DEVICE) throw error;
    }
  }
}

async function logInAs(device, login) {
  const account = accountOf(device);
  const { secret } = account;
  try {
    await login(account);
  } catch (error) {
    if (error.code !== ERROR.DEVICE || account.secret === secret) throw error;
    await login(account); // another device has removed this one meanwhile: it may come as a new one
  }
  return account;
}

// A code is good for every device of the phone, and takes it from who has it: only a free name is to have it.
async function logInIfFree(account, code) {
  try {
    await account.login();
  } catch (error) {
    if (error.code !== ERROR.CODE || code === "") throw error;
    await account.login(code);
  }
}
