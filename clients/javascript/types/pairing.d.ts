/** @typedef {import("./types.js").PairingOptions} PairingOptions */
/** A device that waits to be let in. `begin` makes one. */
export class Pairing {
    /**
     * Begin to wait.
     * @param {PairingOptions} options
     */
    static begin(options: PairingOptions): Promise<Pairing>;
    /**
     * @private
     * @param {PairingOptions} options
     * @param {{device_secret: string, user_code: string, expires_in: number, interval: number}} answer
     */
    private constructor();
    /** The letters to show, such as `BCDF-GHJK`. */
    userCode: string;
    /** Until when they are valid, in milliseconds since 1970. */
    expiresAt: number;
    /** The link that opens the phone with the letters filled in, for a QR code. */
    get link(): string;
    /**
     * Wait until this device is let in, and log in. Connections that are lost meanwhile do no harm. It fails with an
     * AccountError: with ERROR.CODE the letters are not valid any more, with ERROR.DEVICE the device was refused, or
     * removed since.
     * @returns {Promise<Account | null>} null: it was closed meanwhile
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
import { Account } from "./account.js";
