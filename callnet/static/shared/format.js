/**
 * Numbers, durations and times of day, as they are written in the page's language.
 */

const [ISOLATE, END] = ["\u2068", "\u2069"];
/** Signs that turn the text after them, and end that. */
const TURNING = /[\u202a-\u202e\u2066-\u2069]/g;
/** Letters and signs that are written from right to left. */
const LEFTWARDS = /[\u0590-\u08ff\u200f\ufb1d-\ufdff\ufe70-\ufeff\u{10800}-\u{10fff}\u{1e800}-\u{1efff}]/u;

/** The page's language. Where the browser has a variety of it, as `en-GB` for `en`, its 12 or 24 hours are used. */
export function locale() {
  const { lang } = document.documentElement;
  const [code] = lang.split("-");
  return navigator.languages.find((one) => one.split("-")[0].toLowerCase() === code) ?? lang;
}

/** A number. @param {object} options of Intl.NumberFormat */
export function number(value, options) {
  return new Intl.NumberFormat(locale(), options).format(value);
}

/** Names, one after the other; each keeps its own direction. @param {string[]} names */
export function listed(names) {
  return new Intl.ListFormat(locale()).format(names.map((name) => isolated(name)));
}

/**
 * A text, such as a stranger's name, for a sentence: it keeps its own direction, and turns nothing around it.
 *
 * Where both run from left to right that takes no signs. Those that turn text are left out; isolates stay, closed.
 *
 * @param {string} text
 * @param {string} [lang] the sentence's
 */
export function isolated(text, lang = document.documentElement.lang) {
  let depth = 0;
  const plain = text.replace(TURNING, (sign) => {
    if (sign === ISOLATE) depth += 1;
    else if (sign === END && depth > 0) depth -= 1;
    else return "";
    return sign;
  });
  const whole = plain + END.repeat(depth);
  return directionOf(lang) === "rtl" || LEFTWARDS.test(whole) ? `${ISOLATE}${whole}${END}` : whole;
}

/** `rtl` or `ltr`. */
export function directionOf(lang) {
  return lang === "ar" ? "rtl" : "ltr";
}

/** Milliseconds as `2:03` or `1:02:03`. */
export function duration(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1_000));
  const pad = (value) => number(value, { minimumIntegerDigits: 2 });
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  const tail = pad(seconds % 60);
  return hours > 0 ? `${number(hours)}:${pad(minutes)}:${tail}` : `${number(minutes)}:${tail}`;
}

/** When something was, in milliseconds of Date.now(): the time of day, and the day if that is not today. */
export function moment(milliseconds) {
  const date = new Date(milliseconds);
  const isToday = date.toDateString() === new Date().toDateString();
  const day = isToday ? {} : { month: "short", day: "numeric" };
  return new Intl.DateTimeFormat(locale(), { ...day, hour: "numeric", minute: "2-digit" }).format(date);
}

/** The day and the time of day at a moment, in milliseconds of Date.now(). */
export function dateAndTime(milliseconds) {
  return new Intl.DateTimeFormat(locale(), { dateStyle: "medium", timeStyle: "short" }).format(milliseconds);
}

/** A time of day such as `22:30`, as one reads it. */
export function timeOfDay(text) {
  const [hours, minutes] = text.split(":");
  return clock(new Date().setHours(Number(hours), Number(minutes)));
}

/** The time of day at a moment, in milliseconds of Date.now(). No line ends within it. */
export function clock(milliseconds) {
  const time = new Intl.DateTimeFormat(locale(), { hour: "numeric", minute: "2-digit" }).format(milliseconds);
  return time.replace(/ /g, "\u00a0");
}

/** The day of a moment, in milliseconds of Date.now(), as it is said at home. */
export function today(milliseconds) {
  const day = { weekday: "long", day: "numeric", month: "long" };
  return new Intl.DateTimeFormat(locale(), day).format(milliseconds);
}

/** How many days, months or years ago something was, in words; milliseconds as of Date.now(). */
export function daysAgo(milliseconds) {
  const midnight = (time) => new Date(time).setHours(0, 0, 0, 0);
  const days = Math.round((midnight(Date.now()) - midnight(milliseconds)) / 86_400_000);
  const written = new Intl.RelativeTimeFormat(locale(), { numeric: "auto" });
  if (days < 31) return written.format(-days, "day");
  return days < 365 ? written.format(-Math.floor(days / 30), "month") : written.format(-Math.floor(days / 365), "year");
}
