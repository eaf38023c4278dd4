/** @typedef {import("./types.js").Frame} Frame */
/** @typedef {import("./types.js").Socket} Socket */
/** @typedef {import("./types.js").SocketClass} SocketClass */
/**
 * @typedef {object} LineOptions
 * @property {SocketClass} WebSocket
 * @property {() => string} url where to, asked before each attempt
 * @property {() => string[]} protocols the subprotocols to offer
 * @property {() => Frame | null} question a frame to which a living server answers with `pong`, or null if there is none
 * @property {() => number} askEvery milliseconds between two questions
 * @property {number} longestDelay milliseconds, the most between two attempts
 * @property {(protocol: string) => void} opened with the subprotocol that was chosen, "" for none
 * @property {(frame: any) => void} heard
 * @property {(code: number | null, wasOpen: boolean) => number | undefined} lost closed with this code, or null if it
 *   fell silent; returns the milliseconds until the next attempt, or undefined to leave that to the line
 */
/**
 * The class to open sockets with: the given one, else that of the browser or of Node.js.
 * @param {SocketClass | undefined} given
 * @returns {SocketClass}
 */
export function socketClass(given: SocketClass | undefined): SocketClass;
/**
 * The address of a WebSocket of a site.
 * @param {string} site its origin
 * @param {string} path
 */
export function socketUrl(site: string, path: string): string;
export class Line {
    /** @param {LineOptions} options */
    constructor(options: LineOptions);
    get isOpen(): boolean;
    /**
     * Send a frame. Returns false if it cannot be sent just now: then it is not.
     * @param {Frame} frame
     */
    say(frame: Frame): boolean;
    /**
     * Find out now whether the server still answers: a socket over which it does not soon is replaced at once, and where
     * there is none the next attempt is made now, unless the server has named its time.
     */
    check(): void;
    /** The server let us in: should it be lost, the next attempts come quickly again. */
    settle(): void;
    /**
     * Close it for good; nothing is reported any more.
     * @returns {Promise<void>} of the moment at which the socket is gone
     */
    close(): Promise<void>;
    /** @private */
    private _connect;
    /**
     * @private
     * @param {string} protocol
     */
    private _opened;
    /**
     * @private
     * @param {string} data
     */
    private _heard;
    /**
     * @private
     * @param {number} longer milliseconds
     */
    private _check;
    /** @private */
    private _mayBeUrgent;
    /** @private @returns {boolean} false if there is nobody to ask */
    private _ask;
    /** @private */
    private _checked;
    /**
     * What counts is the oldest question without an answer, not when anything was last heard: the timers
     * of a page in the background may run once a minute only.
     * @private
     */
    private _look;
    /**
     * @private
     * @param {number | null} code
     * @param {boolean} wasOpen
     * @param {number} [soon] the delay in place of the line's own
     */
    private _lost;
    /** @private */
    private _backOff;
    /**
     * @private
     * @param {number} code
     */
    private _abandon;
    /**
     * Do not wait for the next attempt.
     * @private
     */
    private _hurry;
    #private;
}
export type Frame = import("./types.js").Frame;
export type Socket = import("./types.js").Socket;
export type SocketClass = import("./types.js").SocketClass;
export type LineOptions = {
    WebSocket: SocketClass;
    /**
     * where to, asked before each attempt
     */
    url: () => string;
    /**
     * the subprotocols to offer
     */
    protocols: () => string[];
    /**
     * a frame to which a living server answers with `pong`, or null if there is none
     */
    question: () => Frame | null;
    /**
     * milliseconds between two questions
     */
    askEvery: () => number;
    /**
     * milliseconds, the most between two attempts
     */
    longestDelay: number;
    /**
     * with the subprotocol that was chosen, "" for none
     */
    opened: (protocol: string) => void;
    heard: (frame: any) => void;
    /**
     * closed with this code, or null if it
     * fell silent; returns the milliseconds until the next attempt, or undefined to leave that to the line
     */
    lost: (code: number | null, wasOpen: boolean) => number | undefined;
};
