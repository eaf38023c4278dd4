/** @typedef {import("./types.js").Frame} Frame */
/** @typedef {import("./types.js").GuestCallEvents} GuestCallEvents */
/** @typedef {import("./types.js").GuestCallOptions} GuestCallOptions */
/** @typedef {import("./types.js").GuestCallState} GuestCallState */
/**
 * One call by a link, from the first ring to its end. It tells of GuestCallEvents. A link that is good and one that is
 * not look the same: both ring, and nobody answers.
 * @extends {Teller<GuestCallEvents>}
 */
export class GuestCall extends Teller<import("./types.js").GuestCallEvents> {
    /** @param {GuestCallOptions} options */
    constructor(options: GuestCallOptions);
    /** @type {GuestCallState} */
    state: GuestCallState;
    /** With this `resume` takes it up again, for a day; "" until it has entered. Whoever has it is this guest. */
    token: string;
    /** "" until it was answered. Whoever knows it can enter the room. */
    roomId: string;
    /** The address of the call's page on the server's site, without the origin. */
    page: string;
    /**
     * Why it is over, as `Call.reason`; or "rate_limited" or "invalid" if it never rang, "unreachable" if it had no
     * connection, "elsewhere" if the guest is in it in another place; "" before.
     */
    reason: string;
    /** Whether the guest ended it. */
    isOwnEnd: boolean;
    /** Whether the server has lost its memory of the call: whether it goes on, its page alone knows. */
    isForgotten: boolean;
    /** Whether its connection is lost, or could not be made, and is tried again. */
    isLost: boolean;
    /**
     * Seconds after which to try again, if it was "rate_limited" and the server said so.
     * @type {number | null}
     */
    retryAfter: number | null;
    /**
     * When it was answered, on the clock of Date.now(); null before.
     * @type {number | null}
     */
    answeredAt: number | null;
    /**
     * When it ended, likewise.
     * @type {number | null}
     */
    endedAt: number | null;
    /** Milliseconds for which it was active; null: never. */
    get duration(): number | null;
    /** Ring, once. */
    ring(): Promise<void>;
    /**
     * Take up again, within the time that the server allows, a call that was answered and then closed, as by a reload. It is
     * "resuming" until the server says that it goes on.
     * @param {Pick<GuestCall, "token" | "roomId" | "page" | "answeredAt">} before
     */
    resume({ token, roomId, page, answeredAt }: Pick<GuestCall, "token" | "roomId" | "page" | "answeredAt">): void;
    /** End it, whatever state it is in. Until the server has heard of it, this is kept for half a minute. */
    hangUp(): void;
    /** The page of the call has seen its end. */
    noteEnd(): void;
    /**
     * Leave without a word; a call goes on for the time that the server allows.
     * @returns {Promise<void>} of the moment at which the connection is gone
     */
    close(): Promise<void>;
    /**
     * Wait for one of these states, or for the end.
     * @param {...GuestCallState} states
     * @returns {Promise<GuestCallState>} the state that it then has: one of these, "over", or the present one if it was
     *   closed
     */
    until(...states: GuestCallState[]): Promise<GuestCallState>;
    /** @private */
    private _dial;
    /** @private @param {Frame} frame */
    private _heard;
    /** @private @param {Frame} frame */
    private _welcomed;
    /** @private @param {Frame} frame */
    private _answered;
    /** @private */
    private _lose;
    /** @private */
    private _wait;
    /** @private */
    private _forget;
    /** @private @param {string} reason @param {boolean} isOwn */
    private _hangUp;
    /** @private */
    private _sayHangUp;
    /** @private @param {string} reason @param {boolean} [isOwn] @param {boolean} [isKnown] whether the server knows */
    private _end;
    /** @private */
    private _leave;
    /** @private */
    private _stopTimers;
    /** @private @param {GuestCallState} state */
    private _become;
    #private;
}
export type Frame = import("./types.js").Frame;
export type GuestCallEvents = import("./types.js").GuestCallEvents;
export type GuestCallOptions = import("./types.js").GuestCallOptions;
export type GuestCallState = import("./types.js").GuestCallState;
import { Teller } from "./teller.js";
