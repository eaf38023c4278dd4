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
    /**
     * The call that the device is in, or null.
     * @type {Call | null}
     */
    present: Call | null;
    /**
     * A call that rings while the present one is active, or null. When that ends it takes its place.
     * @type {Call | null}
     */
    waiting: Call | null;
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
    resume({ direction, peer, roomId, page, name, answeredAt }: RememberedCall): void;
    /**
     * A connection is open. What is asked for on an extended one is answered by its id there.
     * @param {boolean} isExtended
     */
    connected(isExtended: boolean): void;
    /**
     * Take what the server says at the beginning of a connection of the call that the device is in.
     * @param {Record<string, any> | undefined} view
     */
    welcomed(view: Record<string, any> | undefined): void;
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
    /** The device has logged out, and with that left its calls. */
    revoked(): void;
    /** The device is closed: nothing more will happen to its calls. */
    left(): void;
    /** @private @param {Frame} frame @param {Call} call */
    private _asked;
    /** @private @param {Frame} frame @param {Call} call */
    private _told;
    /** @private @param {Frame} frame */
    private _ring;
    /** @private @param {Call} call @param {Frame} frame */
    private _beRung;
    /** @private @param {Frame} frame */
    private _succeed;
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
    /** @private @param {Call} call @param {boolean} byItself */
    private _accept;
    /** @private @param {Call} call */
    private _hangUp;
    /** @private @param {Call} call @param {unknown} data @param {boolean} ofPage */
    private _signal;
    /** @private @param {Call} call @param {boolean} [byItself] */
    private _tellAccept;
    /** @private @param {boolean} wasRung @param {Address} peer @param {string} roomId */
    private _tellEnd;
    /** @private @param {Address} peer */
    private _beginOwn;
    /** @private @param {"incoming" | "outgoing"} direction @param {Address} peer */
    private _begin;
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
    /** @private @param {string} roomId */
    private _callIn;
    #private;
}
export type Address = import("./types.js").Address;
export type Answers = import("./types.js").Answers;
export type Frame = import("./types.js").Frame;
export type RememberedCall = import("./types.js").RememberedCall;
import { Call } from "./call.js";
