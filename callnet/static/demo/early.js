/**
 * Answers before the offer is known. Two pages that made ready while it rang need one way to each other then, and not
 * two: each makes an offer, and takes that of the other one for the answer to its own. JSEP (RFC 8829) allows for that
 * if both offers have the same lines, formats and extensions, in the same order and by the same numbers, as those of
 * two browsers of a kind have. That both offered would show in ICE as a conflict of roles (RFC 8445, 7.3.1.1), over which
 * Chromium loses a tenth of a second or two: it changes its role twice each time. So the one that answers early has its own
 * browser take the role of the answerer.
 */

const ALIKE = /^(m|a=(group|mid|rtpmap|fmtp|rtcp-fb|extmap|sctp-port))\b/;

const LITE = "a=ice-lite\r\n";

/**
 * The offer by which its own side is controlled in ICE, though it offers: one of ICE Lite is (RFC 8445, 6.1.1). The other
 * side does not hear of that.
 * @param {RTCSessionDescriptionInit} offer
 */
export function asControlled({ type, sdp }) {
  return { type, sdp: sdp.replace(/^m=/m, `${LITE}m=`) };
}

/**
 * The answer that an offer stands for.
 * @param {string} sdp the offer
 * @param {"active" | "passive"} setup whether its side opens DTLS (RFC 8842)
 */
export function asAnswer(sdp, setup) {
  return sdp.replace(LITE, "").replace(/a=setup:actpass/g, `a=setup:${setup}`);
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
