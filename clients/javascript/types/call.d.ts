/** @typedef {import("./types.js").Address} Address */
/** @typedef {import("./types.js").Answers} Answers */
/** @typedef {import("./types.js").CallState} CallState */
/**
 * Whether a phone is that of a guest, who came by a link: it cannot be called back.
 * @param {string} phone
 */
export function isGuest(phone: string): boolean;
/** A call of a Device, which makes it. What it says of itself is to be read only. */
export class Call {
    /**
     * @internal
     * @param {"incoming" | "outgoing"} direction
     * @param {Address} peer
     * @param {Answers} answers
     */
    constructor(direction: "incoming" | "outgoing", peer: Address, answers: Answers);
    /** @type {CallState} */
    state: CallState;
    /** "" until it is known. Whoever knows it can enter the room. */
    roomId: string;
    /** The address of the call's page on the server's site, without the origin; "" if the server did not say it. */
    page: string;
    /** What the owner of this phone calls the other side, as the server says it, or a guest itself; "" if nothing. */
    name: string;
    /** What the owner calls the link of a guest; "" if it is not known. */
    linkName: string;
    /** Whether the owner wants this caller to be answered without anybody touching the device. */
    autoAnswer: boolean;
    /**
     * What became of the other side's connection while the call is active.
     * @type {"here" | "reconnecting"}
     */
    otherSide: "here" | "reconnecting";
    /** Whether the call that the device is in can be held while it is in this second one. */
    canHold: boolean;
    /**
     * Whether the other side holds the call: it is in another one, and neither sends nor plays anything. For a call that
     * this device holds see `heldCall` of the device.
     */
    isOnHold: boolean;
    /**
     * Why it is over, in the words of the protocol (docs/extended-protocol.md), or "refused" and "failed" where the
     * server names no reason, "over" where it went on with another call, "forgotten" where it knows of none; "" before.
     */
    reason: string;
    /** Whether this device ended it. */
    isOwnEnd: boolean;
    /** Whether the server has lost its memory of the call: whether it goes on, its page alone knows. */
    isForgotten: boolean;
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
    direction: "incoming" | "outgoing";
    /**
     * The other side. `deviceId` is `*` while all devices of that phone are called; both are "" in a call that this
     * device pulls, until it has it.
     */
    peer: import("./types.js").Address;
    /** Which device, or `*`, to call to try it again. */
    asked: string;
    /** Whether the other side is a guest, who came by a link of this phone. It cannot be called back. */
    get isGuest(): boolean;
    get isIncoming(): boolean;
    get isOver(): boolean;
    /** Milliseconds for which it was active; null: never. */
    get duration(): number | null;
    /**
     * Accept a call that comes in; any other is left as it is.
     * @param {{byItself?: boolean, hold?: boolean}} options byItself: nobody has touched the device, whose owner wants it
     *   so for this caller (`autoAnswer`) · hold: the call that the device is in is held, if `canHold`; else that ends
     */
    accept({ byItself, hold }?: {
        byItself?: boolean;
        hold?: boolean;
    }): void;
    /** Refuse a call that comes in; any other is left as it is. */
    refuse(): void;
    /** End it, whatever state it is in: hang up, cancel, or refuse. */
    hangUp(): void;
    /**
     * Say something to the other side, which is told by the event `signal` of its device, if both speak the extended
     * protocol and the call is active. After `otherSide` was "reconnecting" begin anew: what was said meanwhile is lost.
     * @param {unknown} data whatever JSON can say, in less than 64 KiB and 64 levels
     * @param {{ofPage?: boolean}} options ofPage: whether the page of the call says it, which takes its seat as well; of
     *   what the caller's page says while the call rings, whoever accepts is told the last
     * @returns {boolean} whether it could be sent
     */
    signal(data: unknown, { ofPage }?: {
        ofPage?: boolean;
    }): boolean;
    /**
     * Wait for one of these states, or for the end.
     * @param {...CallState} states
     * @returns {Promise<CallState>} the state that it then has: one of these, "over", or the present one if the device
     *   was closed
     */
    until(...states: CallState[]): Promise<CallState>;
    /**
     * Tell those who wait.
     * @internal
     * @param {boolean} [hasLeft] the device was closed, so nothing more will come
     */
    _noted(hasLeft?: boolean | undefined): void;
    #private;
}
export type Address = import("./types.js").Address;
export type Answers = import("./types.js").Answers;
export type CallState = import("./types.js").CallState;
