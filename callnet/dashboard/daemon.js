/**
 * Asks callnet, where this page comes from.
 */

/** How long an answer may take, in milliseconds: one that tells how callnet is, and one to what is to be done. */
const PATIENCE = { look: 3_000, order: 10_000 };
const UNAUTHORIZED = 401;
const NOT_FOUND = 404;
const UNAVAILABLE = 503;
const POSSIBLE = /^[\x21-\x7e]+$/;

/** callnet does not answer. */
export class Away extends Error {
  /** What went wrong, in a language. */
  say({ away }) {
    return away;
  }
}

/** Something else answers. */
class Foreign extends Away {
  say({ problem }) {
    return problem.foreign;
  }
}

/** It answers that it does not do it. The message is callnet's own. */
export class Refused extends Error {
  constructor(message, status) {
    super(message);
    /** Whether what was meant is not there any more. */
    this.isGone = status === NOT_FOUND;
  }

  say({ problem }) {
    return problem.refused({ message: this.message });
  }
}

/** It does not take the key. */
export class WrongKey extends Refused {
  say({ problem }) {
    return problem.wrong_key;
  }
}

/** It does not take a key any more that it took before. */
export class OldKey extends WrongKey {
  say({ problem }) {
    return problem.old_key;
  }
}

/** What it says of its state: ready, checks, workers. */
export async function report() {
  const { response, text } = await ask("/readyz", {}, PATIENCE.look);
  if (!response.ok && response.status !== UNAVAILABLE) throw new Foreign();
  return asObject(text);
}

/** What it has counted, as Prometheus reads it. */
export async function numbers() {
  const { response, text } = await ask("/metrics", {}, PATIENCE.look);
  if (!response.ok) throw new Foreign();
  return text;
}

/**
 * Have something done, or ask for what needs the key.
 * @param {string} key
 * @param {string} name the path after `/api/`
 * @param {object} fields
 */
export async function order(key, name, fields) {
  if (!POSSIBLE.test(key)) throw new WrongKey();
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const options = { method: "POST", headers, body: JSON.stringify(fields) };
  const { response, text } = await ask(`/api/${name}`, options, PATIENCE.order);
  const answer = asObject(text);
  if (response.ok && answer.errorCode === 0) return answer;
  throw response.status === UNAUTHORIZED ? new WrongKey() : new Refused(answer.message, response.status);
}

async function ask(path, options, patience) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), patience);
  try {
    const response = await fetch(path, { ...options, cache: "no-store", signal: controller.signal });
    return { response, text: await response.text() };
  } catch {
    throw new Away();
  } finally {
    clearTimeout(timer);
  }
}

function asObject(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Foreign();
  }
}
