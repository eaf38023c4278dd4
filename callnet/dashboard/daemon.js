/**
 * Asks callnet, where this page comes from.
 */

const PATIENCE = 10_000;
const UNAUTHORIZED = 401;
const UNAVAILABLE = 503;
const POSSIBLE = /^[\x21-\x7e]+$/;

/** callnet does not answer, or something else does. */
export class Away extends Error {}

/** It answers that it does not do it. The message is callnet's own. */
export class Refused extends Error {}

/** It does not take the key. */
export class WrongKey extends Refused {}

/** What it says of its state: ready, checks, workers. */
export async function report() {
  const { response, text } = await ask("/readyz", {});
  if (!response.ok && response.status !== UNAVAILABLE) throw new Away();
  return asObject(text);
}

/** What it has counted, as Prometheus reads it. */
export async function numbers() {
  const { response, text } = await ask("/metrics", {});
  if (!response.ok) throw new Away();
  return text;
}

/**
 * Have something done, or ask for what needs the key.
 * @param {string} key
 * @param {string} name the path after `/api/`
 * @param {object} fields
 */
export async function order(key, name, fields) {
  if (!POSSIBLE.test(key)) throw new WrongKey("No key looks like this.");
  const headers = { authorization: `Bearer ${key}`, "content-type": "application/json" };
  const { response, text } = await ask(`/api/${name}`, { method: "POST", headers, body: JSON.stringify(fields) });
  const answer = asObject(text);
  if (response.ok && answer.errorCode === 0) return answer;
  throw response.status === UNAUTHORIZED ? new WrongKey(answer.message) : new Refused(answer.message);
}

async function ask(path, options) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), PATIENCE);
  try {
    const response = await fetch(path, { ...options, cache: "no-store", signal: controller.signal });
    return { response, text: await response.text() };
  } catch {
    throw new Away("callnet does not answer.");
  } finally {
    clearTimeout(timer);
  }
}

function asObject(text) {
  try {
    return JSON.parse(text);
  } catch {
    throw new Away("What answers is not callnet.");
  }
}
