/** @typedef {import("./types.js").PairingOptions} PairingOptions */
/** @typedef {import("./types.js").BegunPairing} BegunPairing */
/** A device that waits to be let in. `begin` makes one, and `resume` one that waited before a reload. */
export class Pairing {
    /**
     * Begin to wait.
     * @param {PairingOptions} options
     */
    static begin(options: PairingOptions): Promise<Pairing>;
    /**
     * Wait on, after a reload.
     * @param {PairingOptions} options
     * @param {BegunPairing} begun what was kept of it
     */
    static resume(options: PairingOptions, begun: BegunPairing): Pairing;
    /**
     * @private
     * @param {PairingOptions} options
     * @param {BegunPairing} begun
     */
    private constructor();
    /** This device, to be kept in private: it is not lost if it is let in while it is away. */
    begun: import("./types.js").BegunPairing;
    /** The letters to show, such as `BCDF-GHJK`. */
    get userCode(): string;
    /** Until when they are valid, in milliseconds since 1970. */
    get expiresAt(): number;
    /** The link that opens the phone with the letters filled in, for a QR code. */
    get link(): string;
    /**
     * Wait until this device is let in, and log in. Connections that are lost meanwhile do no harm. It fails with an
     * AccountError: with ERROR.CODE the letters are not valid any more, with ERROR.DEVICE the device was refused, or
     * removed since.
     * @returns {Promise<Account | null>} null: it was closed meanwhile, or did not agree, and is not logged in
     */
    finished(): Promise<Account | null>;
    /** Wait no longer. */
    close(): void;
    /** @private @param {number} time */
    private _pause;
    /**
     * The account of this device, once it has one.
     * @private
     */
    private _ask;
    #private;
}
export type PairingOptions = import("./types.js").PairingOptions;
export type BegunPairing = import("./types.js").BegunPairing;
import { Account } from "./account.js";
