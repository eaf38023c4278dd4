export type Call = import("./call.js").Call;
export type CallState = "calling" | "ringing" | "active" | "over";
/**
 * the name of a device
 */
export type Address = {
    phone: string;
    deviceId: string;
};
/**
 * What is done with a call when its owner wants something.
 */
export type Answers = {
    accept: (call: Call, byItself: boolean, hold: boolean) => void;
    refuse: (call: Call) => void;
    hangUp: (call: Call) => void;
    signal: (call: Call, data: unknown, ofPage: boolean) => boolean;
};
/**
 * A call that is remembered by who has the device, for when its program begins anew.
 */
export type RememberedCall = {
    direction: "incoming" | "outgoing";
    peer: Address;
    roomId: string;
    page: string;
    name: string;
    answeredAt: number | null;
    /**
     * whether the other side held it then
     */
    isOnHold?: boolean | undefined;
};
/**
 * "off" · "connecting" before the first connection · "online" · "offline": it comes back by itself ·
 * "elsewhere": the same device has connected somewhere else, and this one stays away ·
 * "denied": the device may not log in any more, `denial` says why
 */
export type DeviceState = "off" | "connecting" | "online" | "offline" | "elsewhere" | "denied";
/**
 * a device of a contact, and whether it is there
 */
export type Presence = {
    phone: string;
    device_id: string;
    online: boolean;
};
/**
 * A call that nobody answered.
 */
export type MissedCall = {
    room_id: string;
    /**
     * who called
     */
    peer_phone: string;
    peer_device_id: string;
    /**
     * which device was called; `*`: all of them
     */
    device_id: string;
    /**
     * seconds since 1970
     */
    started_at: number;
};
/**
 * An active call of another device of the phone.
 */
export type CallOfPhone = {
    room_id: string;
    /**
     * the device that is in it
     */
    device_id: string;
    peer_phone: string;
    peer_device_id: string;
    /**
     * seconds since 1970
     */
    answered_at: number | null;
};
/**
 * What has changed, by the methods of Account to call again: "contacts" stands for `people` and `blocked`.
 */
export type Topic = "contacts" | "added" | "profile" | "settings" | "history" | "devices" | "links";
/**
 * What a device tells of. `detail` is what it is about.
 */
export type DeviceEvents = {
    /**
     * it is in another state
     */
    state: CustomEvent<DeviceState>;
    /**
     * a call has begun or has changed
     */
    call: CustomEvent<Call>;
    /**
     * a device of a contact has come or gone
     */
    presence: CustomEvent<Presence>;
    /**
     * calls that nobody answered while it was away, the latest first
     */
    missed: CustomEvent<MissedCall[]>;
    /**
     * data of the phone were changed by another device of it, or by others
     */
    changed: CustomEvent<Topic[]>;
    /**
     * the other side of a call has said something
     */
    signal: CustomEvent<{
        call: Call;
        data: any;
    }>;
};
export type DeviceOptions = {
    /**
     * the origin of the signaling service, where it is another than the account's site
     */
    site?: string | undefined;
    /**
     * false: do not offer the extended protocol
     */
    extended?: boolean | undefined;
    /**
     * true: a second call may ring while one is active (`Device.waitingCall`), if all speak
     * the extended protocol; else its caller is told "busy"
     */
    callWaiting?: boolean | undefined;
    /**
     * the class to use instead of the global one
     */
    WebSocket?: SocketClass | undefined;
};
/**
 * What a device is to keep, in private.
 */
export type Credentials = {
    token: string | null;
    /**
     * milliseconds since 1970
     */
    expiresAt: number;
    /**
     * which must not get lost: once it was shown at a login, nobody logs in as this
     * device without it
     */
    secret: string | null;
};
/**
 * One device of a contact.
 */
export type ContactRow = {
    phone: string;
    device_id: string;
    /**
     * what the owner of the list calls that phone; "" if nothing
     */
    name: string;
    online: boolean;
};
/**
 * A contact, with devices or without.
 */
export type Person = {
    phone: string;
    /**
     * what the owner of the list calls that phone; "" if nothing
     */
    name: string;
    /**
     * what it calls itself, if that may be seen
     */
    profile_name: string;
    /**
     * the version of its photo: `Account.photo` has the same until this changes
     */
    photo: string | null;
    /**
     * that is the one that it was given in this list, and not its own
     */
    photo_given: boolean;
    favourite: boolean;
    /**
     * it has a device that may be seen
     */
    joined: boolean;
    online: boolean;
    blocked: boolean;
};
/**
 * A phone that has this one in its contact list.
 */
export type Adder = {
    phone: string;
    /**
     * what it calls itself; "" if nothing
     */
    profile_name: string;
    /**
     * the version of its photo
     */
    photo: string | null;
};
/**
 * How the phone presents itself.
 */
export type Profile = {
    name: string;
    /**
     * the version of its photo
     */
    photo: string | null;
};
/**
 * A photo.
 */
export type Photo = {
    version: string;
    /**
     * a `data:` URL
     */
    url: string;
};
/**
 * A device of the phone.
 */
export type OwnDevice = {
    device_id: string;
    /**
     * what its owner calls it; "" if nothing
     */
    label: string;
    /**
     * when it last connected, in seconds since 1970, to the day; null: not known
     */
    last_used_at: number | null;
    online: boolean;
    /**
     * it is the one that asks
     */
    this: boolean;
    /**
     * it shows its contacts, and calls them, and nothing else, until somebody enters its PIN
     */
    kiosk: boolean;
    /**
     * it answers the callers in the settings' `auto_answer` automatically
     */
    auto_answers: boolean;
};
/**
 * What is to change in a device of the phone.
 */
export type DeviceChanges = {
    /**
     * it is a kiosk, which ends by these 4 to 8 digits; null: it is none
     */
    kiosk_pin?: string | null | undefined;
    /**
     * whether it answers the callers in the settings' `auto_answer` automatically
     */
    auto_answers?: boolean | undefined;
};
/**
 * A device that waits to be let in.
 */
export type WaitingDevice = {
    pairing_id: string;
    /**
     * what it calls itself, which may be untrue; "" if nothing
     */
    name: string;
    /**
     * seconds since it began to wait
     */
    age: number;
};
/**
 * A call of the past.
 */
export type PastCall = {
    room_id: string;
    direction: "incoming" | "outgoing";
    /**
     * the phone's own device; `*`: the phone was called, and none of its devices answered
     */
    device_id: string;
    peer_phone: string;
    peer_device_id: string;
    started_at: number;
    answered_at: number | null;
    ended_at: number;
    /**
     * "answered", "refused" or "missed"; of a call that went out why it failed
     */
    outcome: string;
    /**
     * nobody touched the device that answered
     */
    auto_answer: boolean;
    /**
     * the caller came by a link, and `peer_device_id` is the name that it gave
     */
    guest: boolean;
};
/**
 * A link that rings the phone.
 */
export type Link = {
    link_id: string;
    /**
     * what its owner calls it
     */
    name: string;
    /**
     * what whoever has the link shows
     */
    secret: string;
    is_on: boolean;
    /**
     * the part of each day in which it rings; null:
     * always
     */
    hours: {
        from: string;
        to: string;
        time_zone: string;
    } | null;
    /**
     * from when on it rings no more, in seconds since 1970; null: never
     */
    expires_at: number | null;
    /**
     * how many calls by it may still be answered; null: any number
     */
    calls_left: number | null;
    made_at: number;
    /**
     * when a call by it was last answered; null: never
     */
    last_used_at: number | null;
};
export type LinkFields = {
    name?: string | undefined;
    is_on?: boolean | undefined;
    hours?: {
        from: string;
        to: string;
        time_zone: string;
    } | null | undefined;
    expires_at?: number | null | undefined;
    calls_left?: number | null | undefined;
};
export type GuestCallState = "off" | "ringing" | "resuming" | "active" | "over";
/**
 * What a call by a link tells of.
 */
export type GuestCallEvents = {
    /**
     * it is in another state, or `isForgotten`, or `isLost` has changed
     */
    state: CustomEvent<GuestCallState>;
};
export type GuestCallOptions = {
    /**
     * the origin of the server's site
     */
    site: string;
    /**
     * the origin of the signaling service, where it is another
     */
    signaling?: string | undefined;
    /**
     * that of the link
     */
    secret: string;
    /**
     * what the guest calls itself: 1 to 50 characters
     */
    name: string;
    /**
     * the class to use instead of the global one
     */
    WebSocket?: SocketClass | undefined;
};
/**
 * What the owner of a phone wants of calls to it.
 */
export type Settings = {
    /**
     * quiet hours, such as from "22:00" to
     * "07:30" in "Europe/Berlin"
     */
    do_not_disturb: {
        from: string;
        to: string;
        time_zone: string;
    } | null;
    /**
     * until when nobody can call, whatever the quiet hours, in seconds since
     * 1970; null: there is no such time, or it is over
     */
    do_not_disturb_until: number | null;
    /**
     * phones whose calls its devices may answer by themselves
     */
    auto_answer: string[];
    /**
     * "contacts": only phones in the contact list
     */
    who_may_call: "anyone" | "contacts";
    /**
     * phones that may call in quiet hours, and before that time, too
     */
    rings_through: string[];
    /**
     * then a second call within three minutes rings, of any phone that may call
     */
    second_call_rings: boolean;
};
/**
 * A STUN or TURN server, as `RTCIceServer` of WebRTC.
 */
export type IceServer = {
    urls: string[];
    username?: string | undefined;
    credential?: string | undefined;
};
export type AccountOptions = {
    /**
     * the origin of the service, such as `https://example.org:8080`
     */
    site: string;
    phone: string;
    deviceId: string;
    /**
     * what `keep` was given last for this device
     */
    kept?: Partial<Credentials> | null | undefined;
    /**
     * is called whenever they change. Who logs in with the secret
     * has claimed the device: then nobody logs in without it, so it must not get lost. Without `keep`, or where that
     * throws, a new one is never shown
     */
    keep?: ((credentials: Credentials) => void) | undefined;
};
export type PairingOptions = {
    /**
     * the origin of the service, such as `https://example.org:8080`
     */
    site: string;
    /**
     * what this device calls itself, for the person who lets it in
     */
    name?: string | undefined;
    /**
     * is called whenever the credentials of the device
     * change. They must not get lost: later logins need the secret
     */
    keep?: ((device: Address, credentials: Credentials) => void) | undefined;
    /**
     * is asked, once it was let in, whether it is to log in as
     * this device; without it, it does
     */
    agree?: ((device: Address) => boolean | Promise<boolean>) | undefined;
};
/**
 * A device that waits to be let in, as it is kept over a reload.
 */
export type BegunPairing = {
    secret: string;
    /**
     * the letters that it shows
     */
    userCode: string;
    /**
     * until when they are valid, in milliseconds since 1970
     */
    expiresAt: number;
    /**
     * seconds between two questions
     */
    interval: number;
};
/**
 * What is used of a WebSocket.
 */
export type Socket = {
    readyState: number;
    protocol: string;
    send: (data: string) => void;
    close: (code?: number) => void;
    onopen: ((event: any) => void) | null;
    onmessage: ((event: any) => void) | null;
    onclose: ((event: any) => void) | null;
    onerror: ((event: any) => void) | null;
};
/**
 * A class like the browser's own `WebSocket`.
 */
export type SocketClass = new (url: string, protocols: string[]) => Socket;
/**
 * A message, whose fields depend on its `type`.
 */
export type Frame = {
    type: string;
} & Record<string, any>;
/**
 * What the server says of a room (docs/room.md).
 */
export type RoomView = {
    state: "waiting" | "meeting" | "ended";
    /**
     * why it has ended; "" before
     */
    reason: string;
    /**
     * the other client, whose socket may be away
     */
    peer: {
        session: string;
        present: boolean;
    } | null;
    /**
     * the newest; to be taken for every connection that begins
     */
    ice_servers: IceServer[];
    /**
     * seconds since the call was answered
     */
    elapsed?: number | undefined;
};
/**
 * How it went to be connected with the other client, for the operator's figures.
 */
export type MediaSetup = {
    path: "relay" | "host" | "srflx" | "unknown" | "none";
    /**
     * 0 to 120
     */
    seconds: number;
    /**
     * with "none": whether the server had named a TURN server
     */
    relay_offered?: boolean | undefined;
    /**
     * with "none": whether that has given this client an address
     */
    relay_answered?: boolean | undefined;
};
/**
 * What a room tells of. `detail` is what it is about.
 */
export type RoomEvents = {
    /**
     * whether the server answers: it does now, or no longer
     */
    reach: CustomEvent<boolean>;
    /**
     * how the room now is
     */
    room: CustomEvent<RoomView>;
    /**
     * what the client with the session `from` said
     */
    relay: CustomEvent<{
        from: string;
        data: any;
    }>;
    /**
     * there is no seat: it is "full", which is tried again, or an "unknown_room", or
     * the name is "invalid"; or the seat was "taken" by a newer client with the same key, or the server took the client
     * for "broken"
     */
    refused: CustomEvent<string>;
};
export type RoomOptions = {
    /**
     * the origin of the site, such as `https://example.org:8080`
     */
    site: string;
    /**
     * 1 to 64 characters
     */
    roomId: string;
    /**
     * 32 hex digits: whoever shows it again gets the same seat back; drawn if it is left out
     */
    key?: string | undefined;
    /**
     * 32 hex digits, by which the other client knows this one; drawn if it is left out
     */
    session?: string | undefined;
    /**
     * the class to use instead of the global one
     */
    WebSocket?: SocketClass | undefined;
};
