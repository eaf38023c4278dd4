/**
 * A device, which is to be told to connect. It tells of DeviceEvents.
 * @extends {Teller<DeviceEvents>}
 */
export class Device extends Teller<import("./types.js").DeviceEvents> {
    /**
     * @param {Account} account which logs in by itself when the device connects, if it has not
     * @param {DeviceOptions} options
     */
    constructor(account: Account, { site, extended, callWaiting, WebSocket }?: DeviceOptions);
    /** @type {DeviceState} */
    state: DeviceState;
    /**
     * Why it is "denied".
     * @type {AccountError | null}
     */
    denial: AccountError | null;
    /**
     * The active calls of other devices of the phone, by the last welcome; `pull` takes one over.
     * @type {CallOfPhone[]}
     */
    callsOfPhone: CallOfPhone[];
    /** The call that it is in, or null. */
    get call(): import("./call.js").Call | null;
    /**
     * A second call that rings while `call` is active (the option `callWaiting`), or null. To accept it ends the other one,
     * and when that ends otherwise this one is `call`.
     */
    get waitingCall(): import("./call.js").Call | null;
    /**
     * An active call that this device holds while it is in another one, `call`; or null. When that ends this one is `call`.
     * To place or pull a call ends both.
     */
    get heldCall(): import("./call.js").Call | null;
    /** Whether the extended protocol is spoken. */
    get isExtended(): boolean;
    /** Connect, or come back from elsewhere. */
    connect(): void;
    /** Leave; the promise is kept when the connection is gone. A call goes on for the time that the server allows. */
    close(): Promise<void>;
    /** Find out now whether the server still answers: the person is back, or the machine has slept. */
    check(): void;
    /**
     * Wait for one of these states, or for one that lasts until somebody does something.
     * @param {...DeviceState} states
     * @returns {Promise<DeviceState>} the state that it then has: one of these, or "off", "elsewhere" or "denied"
     */
    until(...states: DeviceState[]): Promise<DeviceState>;
    /**
     * Call a device of a phone, or with `*` all of them. It leaves its calls; if it is just being rung by that phone it
     * accepts.
     * @param {string} phone
     * @param {string} [deviceId]
     * @returns {Call | null} null if it is not online, or its connection is closing: nothing was done
     */
    place(phone: string, deviceId?: string | undefined): Call | null;
    /**
     * Take over a call that another device of the phone is in (`callsOfPhone`).
     * @param {string} roomId
     * @returns {Call | null} the call, which is "calling" until this device has it; null as for `place`, or if the
     *   extended protocol is not spoken: nothing was done
     */
    pull(roomId: string): Call | null;
    /**
     * Go on with `heldCall`, and hold the call that it is in. Without one nothing is done. If the device is not online the
     * server is told when it is.
     * A call that cannot be held any more, because the other side speaks the base protocol by now, ends.
     */
    swap(): void;
    /**
     * Be in a call again that was remembered while the program began anew, and that may be over by now. On the extended
     * protocol the server tells of it anyway.
     * @param {RememberedCall} call
     */
    resume(call: RememberedCall): void;
    /**
     * Take note that the page of a call has seen its end.
     * @param {Call} call
     */
    noteEnd(call: Call): void;
    /** @private */
    private _leave;
    /** @private */
    private _dial;
    /**
     * What it asks of an extended server.
     * @private
     */
    private _wish;
    /** @private @param {string} protocol */
    private _opened;
    /**
     * The extended server has looked at the token only when it says its welcome.
     * @private
     */
    private _ready;
    /** @private */
    private _renew;
    /** @private @param {Frame} frame */
    private _heard;
    /** @private @param {number | null} code @param {boolean} wasOpen */
    private _lost;
    /** @private */
    private _beRefused;
    /** @private */
    private _logIn;
    /**
     * The server has no such device any more, so it has no calls.
     * @private
     * @param {"off" | "denied"} state
     */
    private _stop;
    /**
     * Ask the account service something. A device that may not log in any more is denied, and one that has logged out itself
     * is off.
     * @private
     * @param {() => Promise<unknown>} ask
     * @returns {Promise<AccountError | null>} what came of it
     */
    private _try;
    /** @private @param {number | null} seconds */
    private _logInLater;
    /**
     * Whether the server would hear now. Who asks for a call later may not want it any more.
     * @private
     */
    private _canAsk;
    /** @private @param {Frame} frame @returns {boolean} whether it was said now */
    private _say;
    /** @private @param {Frame} frame */
    private _send;
    /**
     * @private
     * @param {DeviceState} state
     * @returns {boolean} whether it still is so: whoever hears of it may have closed it, or have it connect
     */
    private _become;
    #private;
}
export type Account = import("./account.js").Account;
export type Call = import("./call.js").Call;
export type CallOfPhone = import("./types.js").CallOfPhone;
export type DeviceEvents = import("./types.js").DeviceEvents;
export type DeviceOptions = import("./types.js").DeviceOptions;
export type DeviceState = import("./types.js").DeviceState;
export type Frame = import("./types.js").Frame;
export type RememberedCall = import("./types.js").RememberedCall;
import { Teller } from "./teller.js";
import { AccountError } from "./account.js";
