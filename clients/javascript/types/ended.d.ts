export class Ended {
    /**
     * Note that a call was ended.
     * @param {string} roomId "" if it had none yet
     * @param {string} phone
     */
    add(roomId: string, phone: string): void;
    /**
     * Note that the device was told the end of a call.
     * @param {string} roomId
     */
    hear(roomId: string): void;
    /**
     * Whether it was told the end of the call of that room.
     * @param {string} roomId
     */
    wasTold(roomId: string): boolean;
    /** Note that the device calls someone: what is heard from now on is of this call. */
    beginOwn(): void;
    /**
     * Whether it has ended the call of that room, which may be the one that it took back from a phone.
     * @param {string} roomId
     * @param {string} [phone]
     */
    has(roomId: string, phone?: string | undefined): boolean;
    #private;
}
