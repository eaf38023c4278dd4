/**
 * The photos of people. Each version is asked for once; the browser keeps the newest of everybody until somebody logs out.
 */

const PLACE = "callnet.photos";
const TRY_AGAIN_AFTER = 30_000;

export class Photos {
  #account;
  #changed;
  /** By phone: `{version, url}`; url: "" as long as it is not there. */
  #photos = new Map();
  #last = Promise.resolve();

  /** How many have come so far. */
  count = 0;

  /**
   * @param {import("../client/index.js").Account} account
   * @param {() => void} changed
   */
  constructor(account, changed) {
    this.#account = account;
    this.#changed = changed;
  }

  /**
   * The `data:` URL of a phone's photo; "" if there is none, or it has yet to come.
   * @param {string} phone
   * @param {string | null} version
   */
  of(phone, version) {
    if (version === null) return "";
    const known = this.#photos.get(phone);
    if (known?.version === version) return known.url;
    const photo = { version, url: known?.url ?? "" };
    this.#photos.set(phone, photo);
    // One after the other: a long list must not keep the server from a call.
    this.#last = this.#last.then(() => this._load(phone, photo));
    return photo.url;
  }

  async _load(phone, photo) {
    try {
      photo.url = (await this._find(phone, photo.version))?.url ?? "";
    } catch {
      setTimeout(() => this.#photos.delete(phone), TRY_AGAIN_AFTER);
      return;
    }
    this.count += 1;
    this.#changed();
  }

  async _find(phone, version) {
    const before = await recall(phone);
    if (before?.version === version) return before;
    const now = await this.#account.photo(phone);
    if (now !== null) await keep(phone, now);
    return now;
  }
}

/** Keep no photo of anybody. */
export async function forgetPhotos() {
  await window.caches?.delete(PLACE);
}

// A browser that keeps nothing, or a site that is not secure, is asked in vain.

async function recall(phone) {
  try {
    const kept = await (await caches.open(PLACE)).match(keyOf(phone));
    return kept ? await kept.json() : null;
  } catch {
    return null;
  }
}

async function keep(phone, photo) {
  try {
    await (await caches.open(PLACE)).put(keyOf(phone), new Response(JSON.stringify(photo)));
  } catch {
    // It is asked for again next time.
  }
}

function keyOf(phone) {
  return `/contacts/photo/${encodeURIComponent(phone)}`;
}
