/**
 * The client of callnet for programs in JavaScript: an account, and the device that calls and is called.
 * It needs fetch and WebSocket, and no document.
 */

export { Account, AccountError, ERROR } from "./account.js";
export { Call } from "./call.js";
export { Device } from "./device.js";
