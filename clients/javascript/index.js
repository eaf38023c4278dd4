/**
 * The client of callnet for programs in JavaScript: an account, the device that calls and is called, and a seat in the
 * room where the two of a call meet. It needs fetch and WebSocket, and no document.
 */

export { Account, AccountError, ERROR } from "./account.js";
export { Call, isGuest } from "./call.js";
export { Device } from "./device.js";
export { GuestCall } from "./guest.js";
export { Pairing } from "./pairing.js";
export { Room } from "./room.js";

/** @typedef {import("./types.js").AccountOptions} AccountOptions */
/** @typedef {import("./types.js").Adder} Adder */
/** @typedef {import("./types.js").Address} Address */
/** @typedef {import("./types.js").BegunPairing} BegunPairing */
/** @typedef {import("./types.js").CallOfPhone} CallOfPhone */
/** @typedef {import("./types.js").CallState} CallState */
/** @typedef {import("./types.js").ContactRow} ContactRow */
/** @typedef {import("./types.js").Credentials} Credentials */
/** @typedef {import("./types.js").DeviceEvents} DeviceEvents */
/** @typedef {import("./types.js").DeviceOptions} DeviceOptions */
/** @typedef {import("./types.js").DeviceState} DeviceState */
/** @typedef {import("./types.js").GuestCallEvents} GuestCallEvents */
/** @typedef {import("./types.js").GuestCallOptions} GuestCallOptions */
/** @typedef {import("./types.js").GuestCallState} GuestCallState */
/** @typedef {import("./types.js").IceServer} IceServer */
/** @typedef {import("./types.js").Link} Link */
/** @typedef {import("./types.js").LinkFields} LinkFields */
/** @typedef {import("./types.js").MediaSetup} MediaSetup */
/** @typedef {import("./types.js").MissedCall} MissedCall */
/** @typedef {import("./types.js").OwnDevice} OwnDevice */
/** @typedef {import("./types.js").PairingOptions} PairingOptions */
/** @typedef {import("./types.js").PastCall} PastCall */
/** @typedef {import("./types.js").Person} Person */
/** @typedef {import("./types.js").Photo} Photo */
/** @typedef {import("./types.js").Presence} Presence */
/** @typedef {import("./types.js").Profile} Profile */
/** @typedef {import("./types.js").RememberedCall} RememberedCall */
/** @typedef {import("./types.js").RoomEvents} RoomEvents */
/** @typedef {import("./types.js").RoomOptions} RoomOptions */
/** @typedef {import("./types.js").RoomView} RoomView */
/** @typedef {import("./types.js").Settings} Settings */
/** @typedef {import("./types.js").Socket} Socket */
/** @typedef {import("./types.js").SocketClass} SocketClass */
/** @typedef {import("./types.js").Topic} Topic */
/** @typedef {import("./types.js").WaitingDevice} WaitingDevice */
