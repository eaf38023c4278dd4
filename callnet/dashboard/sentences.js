/**
 * What callnet calls by a word or a number of the protocol, in words for people. What has none is shown as it is.
 */

/** Why a call failed or ended. */
export function reason(words, word) {
  return words.reason[word] ?? word;
}

/** Why callnet closed a socket. */
export function closed(words, code) {
  return `${code} ${words.closed[code] ?? ""}`.trim();
}

/** Why a handshake was refused. */
export function refused(words, status) {
  return `${status} ${words.status[status] ?? ""}`.trim();
}

/** What is checked, as `/readyz` names it. */
export function check(words, name) {
  const [, number] = /^worker (\d+)$/.exec(name) ?? [];
  return number === undefined ? words.checks[name] ?? name : words.health.worker({ number });
}

/** What is wrong with it, as `/readyz` says. */
export function fault(words, why) {
  return words.faults[why.replace(" ", "_")] ?? why;
}
