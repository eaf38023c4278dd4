/**
 * Plain sentences for what went wrong and for how calls end. A sentence is a function of the words of a language,
 * so that it can be said in another one later.
 */

import { ERROR } from "../client/index.js";

/** What to say of a request that failed. */
export function sentenceOf({ code, retryAfter }) {
  return ({ error }) => {
    switch (code) {
      case ERROR.UNREACHABLE:
        return error.unreachable;
      case ERROR.PHONE:
        return error.phone;
      case ERROR.DEVICE:
        return error.device;
      case ERROR.RATE_LIMITED:
        return error.rate_limited(retryAfter ?? 60);
      case ERROR.CODE:
        return error.code_wrong;
      case ERROR.TOKEN:
        return error.logged_out;
      case ERROR.DATA:
        return error.data;
      default:
        return error.internal;
    }
  };
}

/** How a call with somebody of this name has ended. */
export function endOf(call, name, { over }) {
  const why = reasonOf(call, over);
  if (call.answeredAt === null) return `${name}: ${why}`;
  return `${over.title(name)} ${why}${over.lasted(time(call.duration))}`;
}

function reasonOf({ isOwnEnd, answeredAt, direction, reason }, over) {
  if (isOwnEnd && over.own[reason]) return over.own[reason];
  const reasons = over[answeredAt === null ? direction : "active"];
  return reasons[reason] ?? reasons.other;
}

/** Milliseconds as `2:03` or `1:02:03`. */
export function time(milliseconds) {
  const seconds = Math.max(0, Math.floor(milliseconds / 1_000));
  const pad = (number) => String(number).padStart(2, "0");
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor(seconds / 60) % 60];
  const tail = pad(seconds % 60);
  return hours > 0 ? `${hours}:${pad(minutes)}:${tail}` : `${minutes}:${tail}`;
}
