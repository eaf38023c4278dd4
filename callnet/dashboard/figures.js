/**
 * What is worth knowing of what callnet counts: how much came about of late, how long most of it took at the most.
 */

import { numbersBy, sumOf } from "./exposition.js";

/** Seconds of which rates and quantiles tell. */
export const MINUTE = 60;
/** Seconds of which rarer things tell, and for which the past is kept. */
export const KEPT = 300;
/** Seconds in which frames are counted. */
const MOMENT = 10;
const MOST = 0.99;
const A_DAY = 86_400;

/** What callnet has counted, look by look. */
export class History {
  #looks = [];
  #figures = [];

  /**
   * Note what was counted at a time. If a counter fell, callnet has begun anew: the rest is forgotten.
   * @param {number} at seconds since 1970
   * @param {Map} numbers as `numbersIn` reads them
   */
  add(at, numbers) {
    const last = this.#looks[this.#looks.length - 1];
    if (last !== undefined && (last.at >= at || hasFallen(last.numbers, numbers))) this.#looks = [];
    this.#looks.push({ at, numbers });
    this.#looks = this.#looks.slice(indexBefore(this.#looks, at - KEPT));
    this.#figures.push({ at, ...figuresOf(this.#looks) });
    this.#figures = this.#figures.filter((figures) => figures.at > at - KEPT && figures.at <= at);
  }

  /** The figures of the last look, or null. */
  get now() {
    return this.#figures[this.#figures.length - 1] ?? null;
  }

  /** How one of the figures was: pairs of seconds ago and value. */
  past(name) {
    const known = this.#figures.filter((figures) => figures[name] !== null);
    return known.map((figures) => [this.now.at - figures.at, figures[name]]);
  }
}

function hasFallen(before, now) {
  const counters = Array.from(now.keys()).filter((name) => /_(total|count)$/.test(name));
  return counters.some((name) => sumOf(now, name) < (sumOf(before, name) ?? 0));
}

/** The last look that was not after a time, or else the first. */
function indexBefore(looks, time) {
  const after = looks.findIndex(({ at }) => at > time);
  return Math.max(0, (after === -1 ? looks.length : after) - 1);
}

/**
 * All figures: times in seconds; null is what is not known, or not there.
 * @param {{at: number, numbers: Map}[]} looks in their order
 */
export function figuresOf(looks) {
  const { at, numbers } = looks[looks.length - 1];
  const last = { minute: stretch(looks, MINUTE), kept: stretch(looks, KEPT), moment: stretch(looks, MOMENT) };
  const expires = sumOf(numbers, "callnet_certificate_expiry_seconds");
  const nearExpiry = sumOf(numbers, "callnet_certificate_near_expiry_seconds");
  const placed = last.kept.more("callnet_calls_placed_total");
  const answered = last.kept.more("callnet_calls_answered_total");
  return {
    devices: sumOf(numbers, "callnet_sockets", "kind", "device"),
    pages: sumOf(numbers, "callnet_sockets", "kind", "page"),
    unfinished: sumOf(numbers, "callnet_calls"),
    ringing: sumOf(numbers, "callnet_calls", "state", "ringing"),
    active: sumOf(numbers, "callnet_calls", "state", "active"),
    calls: last.minute.rate("callnet_calls_placed_total", MINUTE),
    rang: placed,
    answered: placed ? Math.min(1, answered / placed) : null,
    failed: last.minute.rate("callnet_calls_failed_total", MINUTE),
    reasons: last.minute.moreBy("callnet_calls_failed_total", "reason"),
    lag: last.minute.quantile("callnet_loop_lag_seconds"),
    database: last.minute.quantile("callnet_database_seconds"),
    redis: last.minute.quantile("callnet_redis_seconds"),
    hasRedis: numbers.has("callnet_redis_seconds_bucket"),
    certificate: expires === null ? null : (expires - at) / A_DAY,
    mustRenew: nearExpiry !== null && nearExpiry <= at,
    refused: last.kept.moreBy("callnet_handshakes_refused_total", "status"),
    closed: last.kept.moreBy("callnet_sockets_closed_total", "code"),
    received: last.moment.rate("callnet_frames_received_total", 1),
    sent: last.moment.rate("callnet_frames_sent_total", 1),
  };
}

/** What came about in the last so many seconds, as far as anybody looked. */
function stretch(looks, seconds) {
  const now = looks[looks.length - 1];
  const before = looks[indexBefore(looks, now.at - seconds)];
  const took = now.at - before.at;

  function growth(name, label) {
    const was = numbersBy(before.numbers, name, label);
    return Array.from(numbersBy(now.numbers, name, label), ([key, value]) => [key, value - (was.get(key) ?? 0)]);
  }

  /** By the value of a label, without what did not come about; the most first. */
  function moreBy(name, label) {
    const came = growth(name, label).filter(([, count]) => count > 0);
    return took === 0 ? [] : came.sort(([, a], [, b]) => b - a);
  }

  function more(name) {
    const sum = sumOf(now.numbers, name);
    return took === 0 ? null : (sum ?? 0) - (sumOf(before.numbers, name) ?? 0);
  }

  /** How much in `per` seconds. */
  function rate(name, per) {
    return took === 0 ? null : (more(name) * per) / took;
  }

  /** How long 99 of 100 took at the most. */
  function quantile(name) {
    return quantileOf(growth(`${name}_bucket`, "le"), MOST);
  }

  return { more, moreBy, rate, quantile };
}

/**
 * A quantile by the buckets of a histogram, as Prometheus estimates it: within a bucket values lie evenly. What is
 * greater than the last bound is as great as that. Of nothing there is none: null.
 * @param {[string, number][]} buckets bounds, and how many values were not greater
 */
export function quantileOf(buckets, share) {
  const sorted = buckets.map(([bound, count]) => [bound === "+Inf" ? Infinity : Number(bound), count]);
  sorted.sort(([a], [b]) => a - b);
  const total = sorted.length === 0 ? 0 : sorted[sorted.length - 1][1];
  if (total === 0) return null;
  const rank = share * total;
  const index = sorted.findIndex(([, count]) => count >= rank);
  const [from, below] = index > 0 ? sorted[index - 1] : [0, 0];
  const [to, count] = sorted[index];
  return to === Infinity ? from : from + ((to - from) * (rank - below)) / (count - below);
}
