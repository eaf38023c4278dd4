/**
 * Plain sentences for what went wrong and for how calls end. A sentence is a function of the words of a language,
 * so that it can be said in another one later.
 */

import { ERROR } from "../client/account.js";
import { duration } from "../shared/format.js";
import { said } from "../shared/words.js";

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
        return error.rate_limited({ count: retryAfter ?? 60 });
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
export function endOf(call, name, { over, lasted }) {
  const why = said(reasonOf(call, over), { name });
  return call.answeredAt === null ? why : lasted({ why, time: duration(call.duration) });
}

function reasonOf({ isOwnEnd, answeredAt, direction, reason }, over) {
  if (isOwnEnd && over.own[reason]) return over.own[reason];
  const reasons = over[answeredAt === null ? direction : "active"];
  return reasons[reason] ?? reasons.other;
}
