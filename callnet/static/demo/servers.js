/**
 * The STUN and TURN servers by which a page may reach the other one, as far as its server has named them.
 */

export class IceServers {
  /** An RTCIceServer list. */
  list = [];

  /** Whether one of the relays has answered this device. */
  hasRelayAnswered = false;

  /** Whether a relay is among them. */
  get hasRelay() {
    return hasRelay(this.list);
  }

  /** Take newer ones; returns whether there were any. A relay that was named once stays when no other is. */
  take(list) {
    if (list.length === 0 || (this.hasRelay && !hasRelay(list))) return false;
    this.list = list;
    return true;
  }

  /** Note a candidate of this device, or a description with some: only a relay that answers gives it an address. */
  note(text) {
    if (/ typ relay /.test(text)) this.hasRelayAnswered = true;
  }
}

function hasRelay(list) {
  return list.some(({ urls }) => urls.some((url) => /^turns?:/.test(url)));
}
