/**
 * Whose certificates an RTCPeerConnection goes by, and whether somebody is in between (verification.js).
 */

import { fingerprintIn, sha256, toHex, Verification } from "./verification.js";

/**
 * The run of one RTCPeerConnection.
 *
 * @param {RTCPeerConnection} peer
 * @param {object} options
 *   settled() resolves when the first descriptions are in force, of which a page may learn after it heard over the
 *   connection · offers, say(note), changed(): as in verification.js
 */
export function verificationOf(peer, { settled, offers, say, changed }) {
  const fingerprints = async () => {
    // Others are read at once: one that came after them could hide them.
    if (peer.currentLocalDescription === null || peer.currentRemoteDescription === null) await settled();
    return fingerprintsOf(peer);
  };
  return new Verification({ offers, handlers: { fingerprints, say, changed } });
}

/**
 * The SHA-256 of both certificates, as 64 hex digits each. Rejects if the descriptions that are in force are not
 * clear about them, or if the other side has proved to have another certificate.
 *
 * @param {RTCPeerConnection} peer
 * @returns {Promise<{ours: string, theirs: string}>}
 */
async function fingerprintsOf(peer) {
  const ours = fingerprintIn(peer.currentLocalDescription.sdp);
  const theirs = fingerprintIn(peer.currentRemoteDescription.sdp);
  for (const certificate of shownCertificates(peer)) {
    if (toHex(await sha256(certificate)) !== theirs) throw new Error("the certificate does not fit its fingerprint");
  }
  return { ours, theirs };
}

/** The other side's certificate over each transport; none in a browser that does not show it. */
function shownCertificates(peer) {
  const senders = peer.getTransceivers().map(({ sender }) => sender.transport);
  const transports = new Set([peer.sctp?.transport, ...senders]);
  return Array.from(transports, (transport) => transport?.getRemoteCertificates?.()[0]).filter(Boolean);
}
