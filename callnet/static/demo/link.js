/**
 * How good a connection is, and how much picture may go over it: sound comes first.
 *
 * Pure: `next` is told once a second what was measured (measure.js). A strain of some seconds takes the picture
 * down a level; it comes back after a longer ease, and if that was too early, the next try waits twice as long.
 * Whether there is room for more than is sent nobody knows before it is tried, least of all when no picture is sent.
 */

/** From best to worst. `bits` a second at most, `scale` by which each side of the picture is divided. */
export const LEVELS = [
  { isOn: true, bits: 2_500_000, scale: 1 },
  { isOn: true, bits: 500_000, scale: 2 },
  { isOn: true, bits: 150_000, scale: 4 },
  { isOn: false, bits: 150_000, scale: 4 },
];

/** Of what the path would carry, bits a second: below this a level's picture is not worth it. */
const NEEDS = [300_000, 120_000, 50_000, 0];
/** What the path must carry besides, before a better level is tried. */
const MARGIN = 1.3;

/** A path is strained from the first number on, and at ease up to the second: % of packets, milliseconds. */
const LOSS = [10, 3];
const TRIP = [1_500, 700];
/** From where on a person is told that the connection is weak, and that it is bad. */
const WEAK = { loss: 3, trip: 400 };
const BAD = { loss: 10, trip: 1_000 };

/** Seconds. A connection that has just begun does not know yet what it carries. */
const BEGINNING = 5;
const DOWN_AFTER = 3;
const FIRST_WAIT = 10;
const LONGEST_WAIT = 80;
/** A level that is left within so many seconds was tried too early. */
const TRIAL = 15;
const WORSE_AFTER = 2;
const BETTER_AFTER = 4;

const QUALITIES = ["good", "weak", "bad"];

/** A link of which nothing is known yet. */
export function newLink() {
  return {
    level: 0,
    quality: "good",
    age: 0,
    strained: 0,
    eased: 0,
    wait: FIRST_WAIT,
    tried: null,
    seen: [],
    trips: [],
  };
}

/**
 * The link a second later.
 *
 * @param {object} link as `newLink` or `next` returned it: level is an index of LEVELS, quality "good" "weak" "bad"
 * @param {object} measured what measure.js says
 */
export function next(link, measured) {
  const trips = tripsOf(link, measured);
  const numbers = { ...measured, rtt: Math.min(...trips.map(({ rtt }) => rtt)) };
  const strain = strainOf(link, numbers);
  const counted = {
    ...link,
    trips,
    age: link.age + 1,
    tried: link.tried === null || link.tried >= TRIAL ? null : link.tried + 1,
    strained: strain === "strained" ? link.strained + 1 : 0,
    eased: strain === "eased" ? link.eased + 1 : 0,
  };
  return withQuality(withLevel(counted, numbers), numbers);
}

// The last two round trips, the later first: one that was long, of which the browser tells until there is another, may
// be one packet that came late. Where trips are not counted the last one has to do.
function tripsOf(link, { trips: count, rtt }) {
  if (count === undefined) return [{ count, rtt }];
  const counted = link.trips.filter((trip) => trip.count !== undefined);
  return count === counted[0]?.count ? counted : [{ count, rtt }, ...counted].slice(0, 2);
}

function strainOf({ level, age }, { available, isLimited, lossOut, rtt }) {
  const isShort = age >= BEGINNING && isLimited && available < NEEDS[level];
  if (isShort || lossOut >= LOSS[0] || rtt >= TRIP[0]) return "strained";
  return lossOut > LOSS[1] || rtt > TRIP[1] ? "" : "eased";
}

function withLevel(link, { available }) {
  const { level, strained, eased, wait, tried } = link;
  if (strained >= DOWN_AFTER && level < LEVELS.length - 1) {
    const later = tried === null ? FIRST_WAIT : Math.min(LONGEST_WAIT, wait * 2);
    return { ...link, level: level + 1, strained: 0, wait: later, tried: null };
  }
  if (level > 0 && eased >= wait && hasRoom(LEVELS[level], available, NEEDS[level - 1])) {
    return { ...link, level: level - 1, eased: 0, tried: 0 };
  }
  return link;
}

// Without a picture the browser does not look for room, so its estimate says nothing.
function hasRoom({ isOn }, available, needed) {
  return !isOn || available === undefined || available >= needed * MARGIN;
}

function withQuality(link, numbers) {
  const seen = [qualityNow(link, numbers), ...link.seen].slice(0, BETTER_AFTER);
  const shown = QUALITIES.indexOf(link.quality);
  const worse = Math.min(...seen.slice(0, WORSE_AFTER));
  const better = Math.max(...seen);
  if (seen.length >= WORSE_AFTER && worse > shown) return { ...link, seen, quality: QUALITIES[worse] };
  if (seen.length >= BETTER_AFTER && better < shown) return { ...link, seen, quality: QUALITIES[better] };
  return { ...link, seen };
}

function qualityNow({ level, age }, { available, isLimited, lossIn = 0, lossOut = 0, rtt = 0, isReceiving }) {
  const loss = Math.max(lossIn, lossOut);
  if (!LEVELS[level].isOn || isReceiving === false || loss >= BAD.loss || rtt >= BAD.trip) return 2;
  const isShort = age > BEGINNING && isLimited && available < NEEDS[0];
  return level > 0 || isShort || loss >= WEAK.loss || rtt >= WEAK.trip ? 1 : 0;
}
