/**
 * Plain sentences for what went wrong and for how calls end. A sentence is a function of the words of a language,
 * so that it can be said in another one later.
 */

import { ERROR } from "../client/account.js";
import { duration } from "../shared/format.js";
import { said } from "../shared/words.js";

/** What a server says of its rule for phone numbers (callnet/accounts/validation.py), and what is said of it here. */
const PHONE_RULES = {
  "3 to 15 digits, with or without a leading +": "number",
  "11 digits that begin with 1": "cn_mobile",
  "a + with country code and number, such as +442079460123": "e164",
};

/** What to say of a request that failed. @param {import("../client/index.js").AccountError} failure */
export function sentenceOf({ code, retryAfter, message }) {
  return ({ error, phone_rules: rules }) => {
    switch (code) {
      case ERROR.UNREACHABLE:
        return error.unreachable;
      case ERROR.PHONE:
        return rules[ruleIn(message)] ?? error.phone;
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
      case ERROR.PHOTOS_FULL:
        return error.photos_full;
      default:
        return error.internal;
    }
  };
}

function ruleIn(message) {
  const words = Object.keys(PHONE_RULES).find((rule) => message.endsWith(rule));
  return words === undefined ? "" : PHONE_RULES[words];
}

/** A name with the mark of a guest, who may call themselves anything, if it is one's. */
export function marked(name, isGuest, { guest }) {
  return isGuest ? guest.named({ name }) : name;
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
