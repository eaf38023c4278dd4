/** @typedef {import("./types.js").Address} Address */
/** @typedef {import("./types.js").Answers} Answers */
/** @typedef {import("./types.js").Frame} Frame */
/** @typedef {import("./types.js").RememberedCall} RememberedCall */
export class Calls {
    /**
     * @param {(frame: Frame) => boolean} say sends a frame, now or as soon as the server is back; a signal now or not at
     *   all, and returns whether it was now
     * @param {(call: Call) => void} changed is told of each change of a call
     * @param {(work: () => void) => void} during does some work, and has `changed` told only afterwards
     * @param {boolean} canWait whether a call may ring while another one is active; else it takes the place of that
     */
    constructor(say: (frame: Frame) => boolean, changed: (call: Call) => void, during: (work: () => void) => void, canWait: boolean);
    /** @type {Call | null} The call that the device is in. */
    present: Call | null;
    /** A call that rings while the present one is active, or null. */
    get waiting(): Call | null;
    /** An active call that this device holds while it is in the present one, or null. */
    get held(): Call | null;
    /**
     * Call a device, or with `*` all devices of a phone. The device leaves its calls.
     * @param {string} phone
     * @param {string} deviceId
     */
    place(phone: string, deviceId: string): Call;
    /**
     * Take over a call of another device of the phone. The device leaves its calls.
     * @param {string} roomId
     */
    pull(roomId: string): Call;
    /**
     * Be in a call that this device was in before its program began anew, and that may be over by now.
     * @param {RememberedCall} remembered
     */
    resume({ direction, peer, roomId, page, name, answeredAt, isOnHold }: RememberedCall): void;
    /**
     * A connection is open. What is asked for on an extended one is answered by its id there.
     * @param {boolean} isExtended
     */
    connected(isExtended: boolean): void;
    /** Go on with the held call, and hold the present one. */
    swap(): void;
    /** @private */
    private _exchange;
    /**
     * Take what the server says at the beginning of a connection of the call that the device is in, and of the one that it
     * holds. A second time on one connection it overrules neither what the server has yet to handle, nor what it rings.
     * @param {Record<string, any> | undefined} view
     * @param {Record<string, any> | undefined} held
     */
    welcomed(view: Record<string, any> | undefined, held: Record<string, any> | undefined): void;
    /** @private @param {Record<string, any> | undefined} view */
    private _welcomedHeld;
    /**
     * Whether the server has yet to handle a call or an accept of the device.
     * @private @param {(Record<string, any> | undefined)[]} views
     */
    private _isAhead;
    /** @private @param {Record<string, any> | undefined} view @param {boolean} stays */
    private _welcomed;
    /**
     * Take a frame, whatever it is.
     * @param {Frame} frame
     */
    hear(frame: Frame): void;
    /**
     * The page of a call has seen its end, and the server says nothing: perhaps it has not heard of it.
     * @param {Call} call
     */
    noteEnd(call: Call): void;
    /**
     * The device has logged out, and with that left its calls.
     * @param {boolean} isOwn whether it has done so itself
     */
    revoked(isOwn: boolean): void;
    /** The device is closed: nothing more will happen to its calls. */
    left(): void;
    /** @private @param {Frame} frame @param {Call} call */
    private _asked;
    /**
     * End a call that the device asked for, and ring if the server goes on ringing the device.
     * @private @param {Call} call @param {string} reason
     */
    private _fail;
    /** @private @param {Frame} frame @param {Call} call */
    private _told;
    /** @private @param {Frame} frame */
    private _ring;
    /** @private @param {Call} call @param {Frame} frame */
    private _beRung;
    /** @private @param {Frame} frame */
    private _succeed;
    /**
     * Whether a call is over for this device, which has not taken it over since.
     * @private @param {string} roomId @param {string} [phone]
     */
    private _isOver;
    /** @private @param {Call} call */
    private _doubt;
    /** @private @param {Frame} frame @param {Call} call */
    private _isAsked;
    /**
     * Whether an answer without an id is to an earlier call: a server that cannot know whether that was heard says so
     * again on the next connection. It gives back no address that it cannot accept, nor perhaps the id.
     * @private @param {Frame} answer
     */
    private _isOld;
    /** @private @param {Call} call @param {boolean} byItself @param {boolean} hold */
    private _accept;
    /** @private @param {Call} call */
    private _hangUp;
    /** @private @param {Call} call @param {unknown} data @param {boolean} ofPage */
    private _signal;
    /** @private @param {Call} call @param {boolean} [byItself] @param {boolean} [hold] */
    private _tellAccept;
    /** @private @param {Call} call */
    private _tellResume;
    /** @private @param {boolean} wasRung @param {Address} peer @param {string} roomId */
    private _tellEnd;
    /** @private @param {Address} peer */
    private _beginOwn;
    /**
     * Begin a call in place of the others.
     * @private @param {"incoming" | "outgoing"} direction @param {Address} peer
     * @param {boolean} [stays] one that rings goes on ringing beside it
     */
    private _begin;
    /** @private @param {"incoming" | "outgoing"} direction @param {Address} peer */
    private _add;
    /** @private @param {Call} call @param {Record<string, any>} view */
    private _activateSeen;
    /** @private @param {Call} call @param {string} roomId @param {string} page @param {Address} peer @param {number} [answeredAt] */
    private _activate;
    /**
     * End a call whose place another one takes: the server knows by that.
     * @private @param {Call} call
     */
    private _replace;
    /** @private @param {Call} call @param {string} reason @param {boolean} [isOwn] */
    private _end;
    /** @private @param {Call} call */
    private _note;
    /** @private @param {Call} call @param {number} delay @param {() => void} act */
    private _startClock;
    /** @private @param {Call} call */
    private _stopClock;
    /** @private */
    private _all;
    /**
     * The call of a room, or null: the device is in none.
     * @param {string} roomId
     */
    callIn(roomId: string): Call | null;
    #private;
}
export type Address = import("./types.js").Address;
export type Answers = import("./types.js").Answers;
export type Frame = import("./types.js").Frame;
export type RememberedCall = import("./types.js").RememberedCall;
import { Call } from "./call.js";
