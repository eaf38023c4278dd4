/**
 * The types of the client, in the words of JSDoc: no program loads this file.
 *
 * What the server says is passed on with its own names, and times in it are seconds since 1970; what the client itself
 * knows has names as in JavaScript, and times as of Date.now().
 */

/** @typedef {import("./call.js").Call} Call */

/** @typedef {"calling" | "ringing" | "active" | "over"} CallState */
/** @typedef {{phone: string, deviceId: string}} Address the name of a device */

/**
 * What is done with a call when its owner wants something.
 * @typedef {object} Answers
 * @property {(call: Call, byItself: boolean, hold: boolean) => void} accept
 * @property {(call: Call) => void} refuse
 * @property {(call: Call) => void} hangUp
 * @property {(call: Call, data: unknown, ofPage: boolean) => boolean} signal
 */

/**
 * A call that is remembered by who has the device, for when its program begins anew.
 * @typedef {object} RememberedCall
 * @property {"incoming" | "outgoing"} direction
 * @property {Address} peer
 * @property {string} roomId
 * @property {string} page
 * @property {string} name
 * @property {number | null} answeredAt
 * @property {boolean} [isOnHold] whether the other side held it then
 */

/**
 * "off" · "connecting" before the first connection · "online" · "offline": it comes back by itself ·
 * "elsewhere": the same device has connected somewhere else, and this one stays away ·
 * "denied": the device may not log in any more, `denial` says why
 * @typedef {"off" | "connecting" | "online" | "offline" | "elsewhere" | "denied"} DeviceState
 */

/** @typedef {{phone: string, device_id: string, online: boolean}} Presence a device of a contact, and whether it is there */

/**
 * A call that nobody answered.
 * @typedef {object} MissedCall
 * @property {string} room_id
 * @property {string} peer_phone who called
 * @property {string} peer_device_id
 * @property {string} device_id which device was called; `*`: all of them
 * @property {number} started_at seconds since 1970
 */

/**
 * An active call of another device of the phone.
 * @typedef {object} CallOfPhone
 * @property {string} room_id
 * @property {string} device_id the device that is in it
 * @property {string} peer_phone
 * @property {string} peer_device_id
 * @property {number | null} answered_at seconds since 1970
 */

/**
 * What has changed, by the methods of Account to call again: "contacts" stands for `people` and `blocked`.
 * @typedef {"contacts" | "added" | "profile" | "settings" | "history" | "devices" | "links"} Topic
 */

/**
 * What a device tells of. `detail` is what it is about.
 * @typedef {object} DeviceEvents
 * @property {CustomEvent<DeviceState>} state it is in another state
 * @property {CustomEvent<Call>} call a call has begun or has changed
 * @property {CustomEvent<Presence>} presence a device of a contact has come or gone
 * @property {CustomEvent<MissedCall[]>} missed calls that nobody answered while it was away, the latest first
 * @property {CustomEvent<Topic[]>} changed data of the phone were changed by another device of it, or by others
 * @property {CustomEvent<{call: Call, data: any}>} signal the other side of a call has said something
 */

/**
 * @typedef {object} DeviceOptions
 * @property {string} [site] the origin of the signaling service, where it is another than the account's site
 * @property {boolean} [extended] false: do not offer the extended protocol
 * @property {boolean} [callWaiting] true: a second call may ring while one is active (`Device.waitingCall`), if all speak
 *   the extended protocol; else its caller is told "busy"
 * @property {SocketClass} [WebSocket] the class to use instead of the global one
 */

/**
 * What a device is to keep, in private.
 * @typedef {object} Credentials
 * @property {string | null} token
 * @property {number} expiresAt milliseconds since 1970
 * @property {string | null} secret which must not get lost: once it was shown at a login, nobody logs in as this
 *   device without it
 */

/**
 * One device of a contact.
 * @typedef {object} ContactRow
 * @property {string} phone
 * @property {string} device_id
 * @property {string} name what the owner of the list calls that phone; "" if nothing
 * @property {boolean} online
 */

/**
 * A contact, with devices or without.
 * @typedef {object} Person
 * @property {string} phone
 * @property {string} name what the owner of the list calls that phone; "" if nothing
 * @property {string} profile_name what it calls itself, if that may be seen
 * @property {string | null} photo the version of its photo: `Account.photo` has the same until this changes
 * @property {boolean} photo_given that is the one that it was given in this list, and not its own
 * @property {boolean} favourite
 * @property {boolean} joined it has a device that may be seen
 * @property {boolean} online
 * @property {boolean} blocked
 */

/**
 * A phone that has this one in its contact list.
 * @typedef {object} Adder
 * @property {string} phone
 * @property {string} profile_name what it calls itself; "" if nothing
 * @property {string | null} photo the version of its photo
 */

/**
 * How the phone presents itself.
 * @typedef {object} Profile
 * @property {string} name
 * @property {string | null} photo the version of its photo
 */

/**
 * A photo.
 * @typedef {object} Photo
 * @property {string} version
 * @property {string} url a `data:` URL
 */

/**
 * A device of the phone.
 * @typedef {object} OwnDevice
 * @property {string} device_id
 * @property {string} label what its owner calls it; "" if nothing
 * @property {number | null} last_used_at when it last connected, in seconds since 1970, to the day; null: not known
 * @property {boolean} online
 * @property {boolean} this it is the one that asks
 * @property {boolean} kiosk it shows its contacts, and calls them, and nothing else, until somebody enters its PIN
 * @property {boolean} auto_answers it answers the callers in the settings' `auto_answer` automatically
 */

/**
 * What is to change in a device of the phone.
 * @typedef {object} DeviceChanges
 * @property {string | null} [kiosk_pin] it is a kiosk, which ends by these 4 to 8 digits; null: it is none
 * @property {boolean} [auto_answers] whether it answers the callers in the settings' `auto_answer` automatically
 */

/**
 * A device that waits to be let in.
 * @typedef {object} WaitingDevice
 * @property {string} pairing_id
 * @property {string} name what it calls itself, which may be untrue; "" if nothing
 * @property {number} age seconds since it began to wait
 */

/**
 * A call of the past.
 * @typedef {object} PastCall
 * @property {string} room_id
 * @property {"incoming" | "outgoing"} direction
 * @property {string} device_id the phone's own device; `*`: the phone was called, and none of its devices answered
 * @property {string} peer_phone
 * @property {string} peer_device_id
 * @property {number} started_at
 * @property {number | null} answered_at
 * @property {number} ended_at
 * @property {string} outcome "answered", "refused" or "missed"; of a call that went out why it failed
 * @property {boolean} auto_answer nobody touched the device that answered
 * @property {boolean} guest the caller came by a link, and `peer_device_id` is the name that it gave
 */

/**
 * A link that rings the phone.
 * @typedef {object} Link
 * @property {string} link_id
 * @property {string} name what its owner calls it
 * @property {string} secret what whoever has the link shows
 * @property {boolean} is_on
 * @property {{from: string, to: string, time_zone: string} | null} hours the part of each day in which it rings; null:
 *   always
 * @property {number | null} expires_at from when on it rings no more, in seconds since 1970; null: never
 * @property {number | null} calls_left how many calls by it may still be answered; null: any number
 * @property {number} made_at
 * @property {number | null} last_used_at when a call by it was last answered; null: never
 */

/**
 * @typedef {object} LinkFields
 * @property {string} [name]
 * @property {boolean} [is_on]
 * @property {{from: string, to: string, time_zone: string} | null} [hours]
 * @property {number | null} [expires_at]
 * @property {number | null} [calls_left]
 */

/** @typedef {"off" | "ringing" | "resuming" | "active" | "over"} GuestCallState */

/**
 * What a call by a link tells of.
 * @typedef {object} GuestCallEvents
 * @property {CustomEvent<GuestCallState>} state it is in another state, or `isForgotten`, or `isLost` has changed
 */

/**
 * @typedef {object} GuestCallOptions
 * @property {string} site the origin of the server's site
 * @property {string} [signaling] the origin of the signaling service, where it is another
 * @property {string} secret that of the link
 * @property {string} name what the guest calls itself: 1 to 50 characters
 * @property {SocketClass} [WebSocket] the class to use instead of the global one
 */

/**
 * What the owner of a phone wants of calls to it.
 * @typedef {object} Settings
 * @property {{from: string, to: string, time_zone: string} | null} do_not_disturb quiet hours, such as from "22:00" to
 *   "07:30" in "Europe/Berlin"
 * @property {number | null} do_not_disturb_until until when nobody can call, whatever the quiet hours, in seconds since
 *   1970; null: there is no such time, or it is over
 * @property {string[]} auto_answer phones whose calls its devices may answer by themselves
 * @property {"anyone" | "contacts"} who_may_call "contacts": only phones in the contact list
 * @property {string[]} rings_through phones that may call in quiet hours, and before that time, too
 * @property {boolean} second_call_rings then a second call within three minutes rings, of any phone that may call
 */

/**
 * A STUN or TURN server, as `RTCIceServer` of WebRTC.
 * @typedef {object} IceServer
 * @property {string[]} urls
 * @property {string} [username]
 * @property {string} [credential]
 */

/**
 * @typedef {object} AccountOptions
 * @property {string} site the origin of the service, such as `https://example.org:8080`
 * @property {string} phone
 * @property {string} deviceId
 * @property {Partial<Credentials> | null} [kept] what `keep` was given last for this device
 * @property {(credentials: Credentials) => void} [keep] is called whenever they change. Who logs in with the secret
 *   has claimed the device: then nobody logs in without it, so it must not get lost. Without `keep`, or where that
 *   throws, a new one is never shown
 */

/**
 * @typedef {object} PairingOptions
 * @property {string} site the origin of the service, such as `https://example.org:8080`
 * @property {string} [name] what this device calls itself, for the person who lets it in
 * @property {(device: Address, credentials: Credentials) => void} [keep] is called whenever the credentials of the device
 *   change. They must not get lost: later logins need the secret
 * @property {(device: Address) => boolean | Promise<boolean>} [agree] is asked, once it was let in, whether it is to log in as
 *   this device; without it, it does
 */

/**
 * A device that waits to be let in, as it is kept over a reload.
 * @typedef {object} BegunPairing
 * @property {string} secret
 * @property {string} userCode the letters that it shows
 * @property {number} expiresAt until when they are valid, in milliseconds since 1970
 * @property {number} interval seconds between two questions
 */

/**
 * What is used of a WebSocket.
 * @typedef {object} Socket
 * @property {number} readyState
 * @property {string} protocol
 * @property {(data: string) => void} send
 * @property {(code?: number) => void} close
 * @property {((event: any) => void) | null} onopen
 * @property {((event: any) => void) | null} onmessage
 * @property {((event: any) => void) | null} onclose
 * @property {((event: any) => void) | null} onerror
 */

/**
 * A class like the browser's own `WebSocket`.
 * @typedef {new (url: string, protocols: string[]) => Socket} SocketClass
 */

/**
 * A message, whose fields depend on its `type`.
 * @typedef {{type: string} & Record<string, any>} Frame
 */

/**
 * What the server says of a room (docs/room.md).
 * @typedef {object} RoomView
 * @property {"waiting" | "meeting" | "ended"} state
 * @property {string} reason why it has ended; "" before
 * @property {{session: string, present: boolean} | null} peer the other client, whose socket may be away
 * @property {IceServer[]} ice_servers the newest; to be taken for every connection that begins
 * @property {number} [elapsed] seconds since the call was answered
 */

/**
 * How it went to be connected with the other client, for the operator's figures.
 * @typedef {object} MediaSetup
 * @property {"relay" | "host" | "srflx" | "unknown" | "none"} path
 * @property {number} seconds 0 to 120
 * @property {boolean} [relay_offered] with "none": whether the server had named a TURN server
 * @property {boolean} [relay_answered] with "none": whether that has given this client an address
 */

/**
 * What a room tells of. `detail` is what it is about.
 * @typedef {object} RoomEvents
 * @property {CustomEvent<boolean>} reach whether the server answers: it does now, or no longer
 * @property {CustomEvent<RoomView>} room how the room now is
 * @property {CustomEvent<{from: string, data: any}>} relay what the client with the session `from` said
 * @property {CustomEvent<string>} refused there is no seat: it is "full", which is tried again, or an "unknown_room", or
 *   the name is "invalid"; or the seat was "taken" by a newer client with the same key, or the server took the client
 *   for "broken"
 */

/**
 * @typedef {object} RoomOptions
 * @property {string} site the origin of the site, such as `https://example.org:8080`
 * @property {string} roomId 1 to 64 characters
 * @property {string} [key] 32 hex digits: whoever shows it again gets the same seat back; drawn if it is left out
 * @property {string} [session] 32 hex digits, by which the other client knows this one; drawn if it is left out
 * @property {SocketClass} [WebSocket] the class to use instead of the global one
 */

export {};
