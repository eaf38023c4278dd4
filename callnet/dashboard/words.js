/**
 * What callnet calls by a word of the protocol, in words for people.
 */

const REASONS = {
  abandoned: "nobody came to the page",
  answered_elsewhere: "answered by another device",
  busy: "busy",
  cancelled: "the caller gave up",
  connection_lost: "a connection was lost",
  expired: "not known any more",
  hangup: "hung up",
  internal: "an error in callnet",
  invalid: "an invalid call",
  moved: "taken over by another device",
  no_answer: "nobody answered",
  offline: "offline",
  rate_limited: "too many calls",
  refused: "refused",
  refused_elsewhere: "refused by another device",
  replaced: "the caller called somebody else",
  revoked: "a token was revoked",
  self: "called itself",
  shutting_down: "ended by the operator, or a stop",
  too_long: "the call was too long",
  unavailable: "the store was away",
};

const CODES = {
  1001: "going away",
  1003: "binary",
  1009: "too large",
  1011: "internal error",
  4400: "bad frames",
  4401: "token",
  4403: "no seat",
  4408: "silent",
  4409: "connected elsewhere",
  4413: "reads too slowly",
  4429: "sends too much",
};

const STATUSES = {
  401: "token",
  403: "origin",
  404: "no such path",
  408: "too slow",
  429: "too many",
  431: "too long",
  503: "stopping or full",
};

/** Why a call failed or ended. */
export function reason(word) {
  return REASONS[word] ?? word;
}

/** Why callnet closed a socket. */
export function closed(code) {
  return `${code} ${CODES[code] ?? ""}`.trim();
}

/** Why a handshake was refused. */
export function refused(status) {
  return `${status} ${STATUSES[status] ?? ""}`.trim();
}

/** What a question asks, says, and has on its button. */
export const questions = {
  end: (caller, callee) => ({
    title: "End this call?",
    text: `${caller} and ${callee} are told that it is over.`,
    button: "End the call",
    done: "The call is ended.",
  }),
  disconnect: (device) => ({
    title: "Disconnect this device?",
    text: `The socket of ${device} is closed. Most devices connect again within seconds, and keep their call.`,
    button: "Disconnect",
    done: `${device} is disconnected.`,
  }),
  revoke: (device) => ({
    title: "Revoke the tokens of this device?",
    text: `${device} is disconnected, leaves its call, and must log in anew.`,
    button: "Revoke",
    done: `The tokens of ${device} are revoked.`,
  }),
  revokeAll: (phone) => ({
    title: "Revoke the tokens of all devices of this phone?",
    text: `All devices of ${phone}, connected or not, are disconnected, leave their calls, and must log in anew.`,
    button: "Revoke all",
    done: `The tokens of all devices of ${phone} are revoked.`,
  }),
  drain: () => ({
    title: "Drain callnet?",
    text:
      "It takes no more calls and connections, sends away whoever is in no call, gives calls the time of " +
      "drain_deadline to end, and then stops, as SIGTERM has it do. This cannot be taken back here. What starts it " +
      "again, such as systemd, does so.",
    button: "Drain and stop",
    done: "callnet drains.",
  }),
};
