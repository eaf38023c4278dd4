/**
 * One side of a pairing, by the client in JavaScript; acceptance/pair.py is the same by that in Python.
 *
 *     node pair.mjs wait SITE NAME                          shows the letters, and who it is once it is let in
 *     node pair.mjs admit SITE PHONE DEVICE SECRET LETTERS NAME
 */

import { Account, Pairing } from "../clients/javascript/index.js";

const [way, site, ...rest] = process.argv.slice(2);
if (way === "wait") {
  const pairing = await Pairing.begin({ site, name: rest[0], keep: () => {} });
  console.log(pairing.userCode);
  const { phone, deviceId } = await pairing.finished();
  console.log(phone, deviceId);
} else {
  const [phone, deviceId, secret, letters, name] = rest;
  const account = new Account({ site, phone, deviceId, kept: { token: null, expiresAt: 0, secret }, keep: () => {} });
  await account.login();
  const { pairing_id: id } = await account.waitingDevice(letters);
  await account.acceptPairing(id, name);
}
