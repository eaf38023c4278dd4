/**
 * Send any request of the account service (docs/openapi.json).
 * @param {string} site the origin of the service
 * @param {string} path
 * @param {object} fields
 * @returns {Promise<any>} the whole answer
 */
export function post(site: string, path: string, fields: object): Promise<any>;
/**
 * The account service (docs/openapi.json) for one device: who it is, whom it knows, what has been.
 *
 * A token that is no good any more is replaced by a new login with what is known, once a request. What the server
 * answers is passed on with its own names, and times in it are seconds since 1970.
 */
/** `errorCode` of an answer, as far as a client tells one from another; UNREACHABLE: there was no answer. */
export const ERROR: Readonly<{
    UNREACHABLE: -1;
    INTERNAL: 1;
    DATA: 2;
    PHONE: 3;
    TOKEN: 4;
    DEVICE: 5;
    RATE_LIMITED: 6;
    CODE: 7;
    PHOTOS_FULL: 8;
}>;
/** @typedef {import("./types.js").AccountOptions} AccountOptions */
/** @typedef {import("./types.js").Adder} Adder */
/** @typedef {import("./types.js").ContactRow} ContactRow */
/** @typedef {import("./types.js").Credentials} Credentials */
/** @typedef {import("./types.js").DeviceChanges} DeviceChanges */
/** @typedef {import("./types.js").IceServer} IceServer */
/** @typedef {import("./types.js").Link} Link */
/** @typedef {import("./types.js").LinkFields} LinkFields */
/** @typedef {import("./types.js").OwnDevice} OwnDevice */
/** @typedef {import("./types.js").PastCall} PastCall */
/** @typedef {import("./types.js").Person} Person */
/** @typedef {import("./types.js").Photo} Photo */
/** @typedef {import("./types.js").Profile} Profile */
/** @typedef {import("./types.js").Settings} Settings */
/** @typedef {import("./types.js").WaitingDevice} WaitingDevice */
/** A request that failed. */
export class AccountError extends Error {
    /**
     * @param {number} code
     * @param {string} message
     * @param {number | null} [retryAfter]
     * @param {number | null} [status]
     */
    constructor(code: number, message: string, retryAfter?: number | null | undefined, status?: number | null | undefined);
    /** One of ERROR. */
    code: number;
    /** Seconds after which to try again, or null if the server named none. */
    retryAfter: number | null;
    /** The status of HTTP, or null if there was no answer. */
    status: number | null;
}
/** One device at a server. Every request may fail with an AccountError. */
export class Account {
    /** @param {AccountOptions} options */
    constructor({ site, phone, deviceId, kept, keep }: AccountOptions);
    /** The origin of the service. */
    site: string;
    phone: string;
    deviceId: string;
    /** @type {string | null} */
    token: string | null;
    /** Milliseconds since 1970. */
    expiresAt: number;
    /** @type {string | null} */
    secret: string | null;
    /** @internal Whether the server has shown that it knows the extended protocol. */
    _isExtended: boolean;
    /** Whether there is a token that should be good. */
    get isLoggedIn(): boolean;
    /**
     * Log in. A secret that is offered, and that somebody keeps, is shown at once: that claims the device. One that is
     * refused is kept no longer, because the device was removed or logged out: the next login is that of a new device.
     * @param {string} [code] the one-time code that the phone was sent, where one is asked for
     * @returns {Promise<void>}
     */
    login(code?: string | undefined): Promise<void>;
    /** Log in as `ask` and a Device do by themselves: one that was removed or has logged out comes back only by `login`. */
    loginAgain(): Promise<void>;
    /**
     * @private
     * @param {string} [code]
     */
    private _logIn;
    /**
     * @private
     * @param {string} [code]
     */
    private _askForToken;
    /** @private @param {AccountError} refusal */
    private _refused;
    /** Have a one-time code sent to the phone. */
    requestCode(): Promise<void>;
    /** See to it that the token is good for another day; to be called now and then, as a Device does. */
    renew(): Promise<void>;
    /** Revoke the token, and with it end the device's call and connection. The secret is kept: it is needed to come back. */
    logout(): Promise<void>;
    /** @private @param {string} token */
    private _revoke;
    /** Keep the token no longer; only `login` gets another one. */
    forget(): void;
    /**
     * The devices of the phone's contacts, by phone, then by device id.
     * @returns {Promise<ContactRow[]>}
     */
    contacts(): Promise<ContactRow[]>;
    /**
     * The contacts, by phone, each once.
     * @returns {Promise<Person[]>}
     */
    people(): Promise<Person[]>;
    /**
     * The phones that have added this one, and that it has neither added nor blocked nor dismissed.
     * @returns {Promise<Adder[]>}
     */
    added(): Promise<Adder[]>;
    /**
     * Show a phone in `added` no more.
     * @param {string} phone
     */
    dismiss(phone: string): Promise<void>;
    /**
     * Put a phone in the contact list, or change it there. What is left out stays as it is.
     * @param {string} phone
     * @param {string} [name] "": none of the owner's
     * @param {boolean} [favourite] whether it is one of the favourites
     * @param {string | null} [photo] its photo there, shown in place of its own, as of `profile`; null: none. It fails with
     *   ERROR.PHOTOS_FULL if no further contact may have one.
     */
    addContact(phone: string, name?: string | undefined, favourite?: boolean | undefined, photo?: string | null | undefined): Promise<void>;
    /**
     * Take a phone off the contact list.
     * @param {string} phone
     */
    removeContact(phone: string): Promise<void>;
    /**
     * Take no calls from a phone any more.
     * @param {string} phone
     */
    block(phone: string): Promise<void>;
    /**
     * Take calls from it again.
     * @param {string} phone
     */
    unblock(phone: string): Promise<void>;
    /**
     * The blocked phones.
     * @returns {Promise<string[]>}
     */
    blocked(): Promise<string[]>;
    /**
     * The profile of the phone, once `changes` of it are made.
     * @param {{name?: string, photo?: string | null}} [changes] photo: the `data:` URL of a square JPEG, PNG or WebP of at
     *   most 32 KiB and 512 pixels a side without metadata, as `canvas.toDataURL` gives it; null: no photo
     * @returns {Promise<Profile>}
     */
    profile(changes?: {
        name?: string | undefined;
        photo?: string | null | undefined;
    } | undefined): Promise<Profile>;
    /**
     * The photo of a phone; null: there is none, or it may not be seen.
     * @param {string} phone
     * @returns {Promise<Photo | null>}
     */
    photo(phone: string): Promise<Photo | null>;
    /**
     * The devices of the phone, by device id.
     * @returns {Promise<OwnDevice[]>}
     */
    devices(): Promise<OwnDevice[]>;
    /**
     * Give a device of the phone a label. Only a claimed device may change others.
     * @param {string} deviceId
     * @param {string} label
     */
    renameDevice(deviceId: string, label: string): Promise<void>;
    /**
     * Change settings of a device of the phone. Only a claimed device may change others.
     * @param {string} deviceId
     * @param {DeviceChanges} changes
     */
    configureDevice(deviceId: string, changes: DeviceChanges): Promise<void>;
    /**
     * End the kiosk of this device. It fails with ERROR.CODE if the PIN is wrong, and with ERROR.RATE_LIMITED after five
     * wrong ones.
     * @param {string} pin
     */
    unlock(pin: string): Promise<void>;
    /**
     * Log a device of the phone out. Its secret is revoked: it does not come back by itself.
     * @param {string} deviceId
     */
    logOutDevice(deviceId: string): Promise<void>;
    /**
     * Remove a device of the phone.
     * @param {string} deviceId
     */
    removeDevice(deviceId: string): Promise<void>;
    /**
     * The device that shows a code (`Pairing`). Only a claimed device may let others in. It fails with ERROR.CODE if none
     * shows this code, and with ERROR.RATE_LIMITED after five codes in ten minutes.
     * @param {string} userCode the letters, as somebody has typed them
     * @returns {Promise<WaitingDevice>}
     */
    waitingDevice(userCode: string): Promise<WaitingDevice>;
    /**
     * Let a device that waits in as this device of the phone. The person should have seen the code on it.
     * @param {string} pairingId
     * @param {string} deviceId
     * @param {string} [label]
     */
    acceptPairing(pairingId: string, deviceId: string, label?: string | undefined): Promise<void>;
    /**
     * Refuse a device that waits.
     * @param {string} pairingId
     */
    refusePairing(pairingId: string): Promise<void>;
    /**
     * The links that ring the phone, by name. Only a claimed device may see and change them.
     * @returns {Promise<Link[]>}
     */
    links(): Promise<Link[]>;
    /**
     * Make a link that rings the phone: whoever opens `${site}/guest#${secret}` calls it without an account. It fails with
     * ERROR.DATA if the phone has as many as it may have.
     * @param {LinkFields & {name: string}} fields
     * @returns {Promise<Link>}
     */
    makeLink(fields: LinkFields & {
        name: string;
    }): Promise<Link>;
    /**
     * Change a link. What is left out stays as it is.
     * @param {string} linkId
     * @param {LinkFields} changes
     * @returns {Promise<Link>}
     */
    changeLink(linkId: string, changes: LinkFields): Promise<Link>;
    /**
     * Remove a link: it rings no more.
     * @param {string} linkId
     */
    removeLink(linkId: string): Promise<void>;
    /**
     * Delete a call from the phone's history.
     * @param {string} roomId
     */
    deleteCall(roomId: string): Promise<void>;
    /** Delete all calls from the phone's history. */
    deleteCalls(): Promise<void>;
    /**
     * The phone's past calls, the newest first.
     * @param {{limit?: number, after?: string}} [page] 1 to 500 calls; after: the `next` of an earlier page
     * @returns {Promise<{calls: PastCall[], next: string | null}>}
     */
    history(page?: {
        limit?: number | undefined;
        after?: string | undefined;
    } | undefined): Promise<{
        calls: PastCall[];
        next: string | null;
    }>;
    /**
     * What the phone wants of calls to it, once `changes` of that are made.
     * @param {Partial<Settings>} [changes]
     * @returns {Promise<Settings>}
     */
    settings(changes?: Partial<import("./types.js").Settings> | undefined): Promise<Settings>;
    /**
     * By which servers the device may reach others, for those who arrange media themselves.
     * @returns {Promise<{ice_servers: IceServer[], expires_in: number}>} expires_in: seconds for which they are good
     */
    iceServers(): Promise<{
        ice_servers: IceServer[];
        expires_in: number;
    }>;
    /**
     * Have this device woken when it sleeps and is called (docs/waking.md). To be said again after each login.
     * @param {"none" | "webhook" | "webpush"} kind
     * @param {string} [target] by what the operator's gateway knows the device, or what the browser's
     *   `pushManager.subscribe()` gave, `JSON.stringify`ed
     */
    setPush(kind: "none" | "webhook" | "webpush", target?: string | undefined): Promise<void>;
    /**
     * The `applicationServerKey` for `pushManager.subscribe()`; null: there is no Web Push here.
     * @returns {Promise<string | null>}
     */
    pushKey(): Promise<string | null>;
    /**
     * Send any request of the account service that wants a token (docs/openapi.json).
     * @param {string} path
     * @param {object} [fields]
     * @returns {Promise<any>} the whole answer
     */
    ask(path: string, fields?: object | undefined): Promise<any>;
    /**
     * @private
     * @param {string} path
     * @param {object} fields
     */
    private _post;
    /**
     * Take the token that was asked for, unless the device has logged out meanwhile: then nobody is to have it.
     * @private
     * @param {Promise<{token: string, expires_in?: number, device_secret?: string}>} asked
     */
    private _take;
    /** @private @returns {boolean} whether that was possible: the storage may be full, or not allowed */
    private _keepAll;
    #private;
}
export type AccountOptions = import("./types.js").AccountOptions;
export type Adder = import("./types.js").Adder;
export type ContactRow = import("./types.js").ContactRow;
export type Credentials = import("./types.js").Credentials;
export type DeviceChanges = import("./types.js").DeviceChanges;
export type IceServer = import("./types.js").IceServer;
export type Link = import("./types.js").Link;
export type LinkFields = import("./types.js").LinkFields;
export type OwnDevice = import("./types.js").OwnDevice;
export type PastCall = import("./types.js").PastCall;
export type Person = import("./types.js").Person;
export type Photo = import("./types.js").Photo;
export type Profile = import("./types.js").Profile;
export type Settings = import("./types.js").Settings;
export type WaitingDevice = import("./types.js").WaitingDevice;
