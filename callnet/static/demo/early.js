/**
 * Answers before the offer is known. Two pages that made ready while it rang need one way to each other then, and not
 * two: each makes an offer, and takes that of the other one for the answer to its own. JSEP (RFC 8829) allows for that
 * if both offers have the same lines, formats and extensions, in the same order and by the same numbers, as those of
 * two browsers of a kind have. That both offered shows in ICE as a conflict of roles, which browsers settle (RFC 8445,
 * 7.3.1.1).
 */

const ALIKE = /^(m|a=(group|mid|rtpmap|fmtp|rtcp-fb|extmap|sctp-port))\b/;

/**
 * The answer that an offer stands for.
 * @param {string} sdp the offer
 * @param {"active" | "passive"} setup whether its side opens DTLS (RFC 8842)
 */
export function asAnswer(sdp, setup) {
  return sdp.replace(/a=setup:actpass/g, `a=setup:${setup}`);
}

/** Whether of two offers each may be the answer to the other one. */
export function fit(one, other) {
  return shapeOf(one) === shapeOf(other);
}

/**
 * A description without its candidates, and these.
 * @param {string} sdp
 * @returns {{sdp: string, candidates: RTCIceCandidateInit[]}}
 */
export function apart(sdp) {
  const candidates = [];
  let sdpMLineIndex = -1;
  const lines = sdp.split("\r\n").filter((line) => {
    if (line.startsWith("m=")) sdpMLineIndex += 1;
    const isCandidate = line.startsWith("a=candidate:");
    if (isCandidate) candidates.push({ candidate: line.slice(2), sdpMLineIndex });
    return !isCandidate && line !== "a=end-of-candidates";
  });
  return { sdp: lines.join("\r\n"), candidates };
}

/** Whether two descriptions are of one ICE session (RFC 8839). */
export function isOfOne(one, other) {
  return userOf(one) === userOf(other);
}

function userOf(sdp) {
  return /^a=ice-ufrag:(.*?)\r?$/m.exec(sdp)?.[1];
}

function shapeOf(sdp) {
  const lines = sdp.split(/\r?\n/).filter((line) => ALIKE.test(line));
  return lines.map((line) => line.replace(/^(m=\w+) \d+/, "$1")).join("\n");
}
