/**
 * What a connection carries, in numbers: from what the browser counts (webrtc-stats) to what a person reads.
 *
 * Browsers differ in what they tell; of what one does not tell the number is undefined. Chromium 80 keeps the size
 * of a picture with its track, and nobody but Chromium estimates what the path would carry.
 */

/**
 * @param {RTCStatsReport} report the present counts
 * @param {RTCStatsReport | null} before those of some time ago; null: there are none
 * @param {number} seconds how long ago that was
 * @returns {object}
 *   rtt: milliseconds to the other side and back, when that was last measured, which may be some seconds ago ·
 *   trips: the number of times that it was measured, if that is counted · lossIn, lossOut: packets lost, 0 to 100 % ·
 *   bitsIn, bitsOut: of all media, a second · width, height, fps: of the picture that comes in, and
 *   widthOut, heightOut, fpsOut of what goes out; of the screen if one is shared · codecVideo, codecAudio: as "VP8" ·
 *   path, pathRemote: how each side is reached, "host" "srflx" "prflx" or "relay" ·
 *   available: bits a second that would fit out · isLimited: whether the picture is held down for want of bits ·
 *   isReceiving: whether anything came in the meantime
 */
export function measure(report, before, seconds) {
  const stats = Array.from(report.values());
  const of = (type) => stats.filter((stat) => stat.type === type);
  const [incoming, outgoing, answers] = [of("inbound-rtp"), of("outbound-rtp"), of("remote-inbound-rtp")];
  const since = (stat, name) => Math.max(0, (stat[name] ?? 0) - (before?.get(stat.id)?.[name] ?? 0));
  const sum = (some, name) => some.reduce((total, stat) => total + since(stat, name), 0);
  const rate = (some, name) => (before === null ? undefined : sum(some, name) / seconds);
  const mostOf = (some, name) =>
    some.filter((stat) => (stat.kind ?? stat.mediaType) === "video").sort((a, b) => since(b, name) - since(a, name))[0];
  const pictureIn = pictureOf(mostOf(incoming, "bytesReceived"), "framesDecoded", report, rate);
  const pictureOut = pictureOf(mostOf(outgoing, "bytesSent"), "framesEncoded", report, rate);
  const pair = selectedPair(report, stats);
  const lost = sum(incoming, "packetsLost");
  const total = lost + sum(incoming, "packetsReceived");
  const hasReceived = incoming.some((stat) => stat.bytesReceived > 0);
  return {
    rtt: milliseconds(pair?.currentRoundTripTime ?? most(answers, "roundTripTime")),
    trips: pair?.currentRoundTripTime === undefined ? undefined : pair.responsesReceived,
    lossIn: total > 0 ? (100 * lost) / total : undefined,
    lossOut: percent(most(answers, "fractionLost")),
    bitsIn: times8(rate(incoming, "bytesReceived")),
    bitsOut: times8(rate(outgoing, "bytesSent")),
    width: pictureIn.width,
    height: pictureIn.height,
    fps: pictureIn.fps,
    widthOut: pictureOut.width,
    heightOut: pictureOut.height,
    fpsOut: pictureOut.fps,
    codecVideo: codecOf("video", incoming, outgoing, report),
    codecAudio: codecOf("audio", incoming, outgoing, report),
    path: report.get(pair?.localCandidateId)?.candidateType,
    pathRemote: report.get(pair?.remoteCandidateId)?.candidateType,
    available: pair?.availableOutgoingBitrate,
    isLimited: outgoing.some((stat) => stat.qualityLimitationReason === "bandwidth"),
    isReceiving: before === null || !hasReceived ? undefined : sum(incoming, "bytesReceived") > 0,
  };
}

function selectedPair(report, stats) {
  const transport = stats.find((stat) => stat.type === "transport" && stat.selectedCandidatePairId);
  if (transport !== undefined) return report.get(transport.selectedCandidatePairId);
  return stats.find((stat) => stat.type === "candidate-pair" && (stat.selected ?? stat.nominated));
}

function pictureOf(stat, frames, report, rate) {
  if (stat === undefined) return {};
  const sized = stat.frameWidth === undefined ? report.get(stat.trackId) ?? stat : stat;
  return {
    width: sized.frameWidth,
    height: sized.frameHeight,
    fps: stat.framesPerSecond ?? rate([stat], frames),
  };
}

// A line that nobody sends over has a codec, too.
function codecOf(kind, incoming, outgoing, report) {
  const used = [...incoming, ...outgoing].find((stat) => (stat.kind ?? stat.mediaType) === kind && stat.codecId);
  return report.get(used?.codecId)?.mimeType?.replace(/^.*\//, "");
}

function most(stats, name) {
  const known = stats.map((stat) => stat[name]).filter((value) => value !== undefined);
  return known.length === 0 ? undefined : Math.max(...known);
}

function milliseconds(value) {
  return value === undefined ? undefined : value * 1_000;
}

function percent(value) {
  return value === undefined ? undefined : value * 100;
}

function times8(value) {
  return value === undefined ? undefined : value * 8;
}
