/**
 * Numbers and times as people read them in the page's language.
 */

import { duration as asClock, locale, number } from "./shared/format.js";

const WHOLE = { maximumFractionDigits: 0 };
const FINE = { maximumFractionDigits: 1 };
const SHORT = { notation: "compact", maximumFractionDigits: 1 };
const PERCENT = { style: "percent" };
const SECONDS = { style: "unit", unit: "second", unitDisplay: "narrow" };
const MILLISECONDS = { ...SECONDS, unit: "millisecond" };

/** What stands for a number that is not known. */
export const UNKNOWN = "–";

/** A number of things: whole up to 100,000, then short. */
export function count(value) {
  if (value === null) return UNKNOWN;
  return number(value, value < 100_000 ? WHOLE : SHORT);
}

/** How often something happens: with a decimal if it is below ten. */
export function rate(value) {
  return value !== null && value < 10 ? number(value, FINE) : count(value);
}

/** A share of one. */
export function percent(share) {
  return share === null ? UNKNOWN : number(share, PERCENT);
}

/** Seconds that should be few, in milliseconds if they are below one. */
export function duration(seconds) {
  if (seconds === null) return UNKNOWN;
  if (seconds >= 1) return number(seconds, { ...SECONDS, ...FINE });
  return number(seconds * 1000, { ...MILLISECONDS, ...(seconds < 0.01 ? FINE : WHOLE) });
}

/** Seconds as a clock that runs shows them: 0:07, 12:34, 1:02:03. */
export function running(seconds) {
  return asClock(1000 * seconds);
}

/** How long ago something was. */
export function ago(seconds) {
  const written = new Intl.RelativeTimeFormat(locale(), { style: "short" });
  if (seconds < 60) return written.format(-Math.floor(seconds), "second");
  if (seconds < 3600) return written.format(-Math.floor(seconds / 60), "minute");
  if (seconds < 172_800) return written.format(-Math.floor(seconds / 3600), "hour");
  return written.format(-Math.floor(seconds / 86_400), "day");
}

/** A time of day, in milliseconds since 1970. */
export function clock(milliseconds) {
  const parts = { hour: "numeric", minute: "2-digit", second: "2-digit" };
  return new Intl.DateTimeFormat(locale(), parts).format(milliseconds);
}
