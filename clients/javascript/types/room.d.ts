/** 32 random hex digits, as keys of seats and names of sessions have. */
export function randomId(): string;
/**
 * One client in a room. The server lets in only who says the site's own Origin, as a page of the site does by itself;
 * a program without a page gives a WebSocket that says it (docs/javascript-client.md). It tells of RoomEvents.
 * @extends {Teller<RoomEvents>}
 */
export class Room extends Teller<import("./types.js").RoomEvents> {
    /** @param {RoomOptions} options */
    constructor({ site, roomId, key, session, WebSocket }: RoomOptions);
    roomId: string;
    /** To be kept for as long as the client is to have the seat, and told nobody. */
    key: string;
    /** By which the other client knows this one; of the two the one with the greater session makes all offers. */
    session: string;
    /** Take the seat, and keep it. Once it was closed a room is over: another visit is another Room. */
    join(): void;
    /**
     * Say something to the other client.
     * @param {string} to its session
     * @param {unknown} data whatever JSON can say
     * @returns {boolean} whether it could be sent; what is said while a socket is away is lost
     */
    relay(to: string, data: unknown): boolean;
    /**
     * Tell the server, for its figures, how it went to be connected.
     * @param {MediaSetup} media
     * @returns {boolean} whether it could be sent
     */
    report(media: MediaSetup): boolean;
    /** Find out now whether the server still answers: nothing comes from the other client, or the network has changed. */
    check(): void;
    /** End the call for both and leave. Until the server answers this is tried, for 30 s. */
    hangUp(): void;
    /** Leave without a word: the seat stays ours for a while. */
    close(): void;
    /** @private */
    private _opened;
    /**
     * The path may have died a moment ago: the answer to a question asked after it shows that the server has it.
     * @private
     */
    private _sayHangUp;
    /** @private @param {any} message */
    private _heard;
    /** @private @param {number | null} code */
    private _lost;
    /** @private @param {import("./types.js").Frame} frame */
    private _say;
    #private;
}
export type MediaSetup = import("./types.js").MediaSetup;
export type RoomEvents = import("./types.js").RoomEvents;
export type RoomOptions = import("./types.js").RoomOptions;
import { Teller } from "./teller.js";
