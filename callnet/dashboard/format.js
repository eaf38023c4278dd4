/**
 * Numbers and times as people read them.
 */

const WHOLE = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });
const FINE = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });

/** What stands for a number that is not known. */
export const UNKNOWN = "–";

/** A number of things: whole up to 100,000, then short. */
export function count(number) {
  if (number === null) return UNKNOWN;
  return number < 100_000 ? WHOLE.format(number) : SHORT.format(number);
}

/** How often something happens: with a decimal if it is below ten. */
export function rate(number) {
  return number !== null && number < 10 ? FINE.format(number) : count(number);
}

/** A share of one. */
export function percent(share) {
  return share === null ? UNKNOWN : `${WHOLE.format(share * 100)} %`;
}

/** Seconds that should be few, in milliseconds if they are below one. */
export function duration(seconds) {
  if (seconds === null) return UNKNOWN;
  if (seconds >= 1) return `${FINE.format(seconds)} s`;
  return seconds < 0.01 ? `${FINE.format(seconds * 1000)} ms` : `${WHOLE.format(seconds * 1000)} ms`;
}

/** Seconds as a clock that runs shows them: 0:07, 12:34, 1:02:03. */
export function running(seconds) {
  const [hours, minutes, rest] = [seconds / 3600, (seconds / 60) % 60, seconds % 60].map(Math.floor);
  const two = (number) => String(number).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(rest)}` : `${minutes}:${two(rest)}`;
}

/** How long ago something was. */
export function ago(seconds) {
  if (seconds < 60) return `${Math.floor(seconds)} s ago`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)} min ago`;
  return seconds < 172_800 ? `${Math.floor(seconds / 3600)} h ago` : `${Math.floor(seconds / 86_400)} days ago`;
}

/** A time of day. */
export function clock(milliseconds) {
  return CLOCK.format(milliseconds);
}
