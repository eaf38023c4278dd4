/**
 * The service worker: it shows who calls while the phone is not open, refuses, or opens the phone to accept. Where the
 * site does not answer, it waits for it in place of the phone. It keeps no pages. docs/waking.md has what the server
 * sends it; waking.js is the page's side.
 */

/** What pages leave for the worker, and the worker for pages (waking.js); and the photos of people (photos.js). */
const PLACE = "callnet.worker";
const PHOTOS = "callnet.photos";
/** Of somebody who has no photo. */
const ICON = "/static/phone/icon-192.png";
/** Where the browser has forgotten what the pages left, the name stands alone. */
const WORDLESS = { ringing: "{name}", missed: "{name}", guest: "{name}", actions: {}, waiting: "…", lang: "", dir: "ltr" };
/** The beginning of the phone of somebody who has come by a link. */
const GUEST = "guest:";
const VIBRATION = [600, 400, 600, 400, 600, 1_400, 600, 400, 600, 400, 600];
/** Milliseconds before each try to tell the server something. */
const PAUSES = [0, 1_000, 3_000];
/** Milliseconds in which a page that is open says whether it rings. */
const PATIENCE = 1_000;
/** Milliseconds after its time at which a call is over for certain: the clocks of the server and the browser differ. */
const LATE = 15_000;
/** Milliseconds in which a page that was loaded has begun, if all its files came. */
const BEGUN_WITHIN = 30_000;
/** Seconds between two tries to load the phone. */
const TRY_EVERY = 5;

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("push", (event) => event.waitUntil(ring(event.data.json())));
self.addEventListener("pushsubscriptionchange", (event) => event.waitUntil(renew(event.newSubscription)));
self.addEventListener("message", (event) => {
  const { data, source } = event;
  event.waitUntil(data.event === "here" ? leave("/window", { ...data, id: source.id }) : inTurn(() => show(data)));
});
self.addEventListener("notificationclick", (event) => {
  const { action, notification } = event;
  notification.close();
  event.waitUntil(action === "refuse" ? refuse(notification.data) : open(notification.data));
});

// Nothing else that the site is asked for passes through here.
self.addEventListener("fetch", (event) => {
  const { request, resultingClientId } = event;
  if (request.mode !== "navigate" || new URL(request.url).pathname !== "/") return;
  event.respondWith(load(request));
  event.waitUntil(pause(BEGUN_WITHIN).then(() => nudge(resultingClientId)));
});

/**
 * The phone; if the site does not answer, a page that tries again. A television has nobody who would.
 * @param {Request} request
 */
async function load(request) {
  try {
    const answer = await fetch(request);
    if (answer.status < 500) return answer; // else it is of what stands before the site
  } catch {
    // There is no connection.
  }
  const { waiting, lang, dir } = { ...WORDLESS, ...(await kept(PLACE, "/words")) };
  const page = `<!doctype html><html lang="${lang}" dir="${dir}"><meta charset="utf-8"><title>${waiting}</title>
<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="${TRY_EVERY}">
<style>html { height: 100%; display: grid; place-items: center; background: #171310; color: #f4ece2;
font: max(1.2rem, 5vmin) system-ui, sans-serif; text-align: center; }</style>
<p>${waiting}</p><script>addEventListener("online", () => location.reload());</script>`;
  const headers = {
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'",
  };
  return new Response(page, { status: 503, headers });
}

/** Load a page again that has not begun: one of its files did not come. Another one may be busy for some seconds. */
async function nudge(id, patience = 10_000) {
  const window = await self.clients.get(id);
  if (window && (await ask(window, "", patience)) === undefined) await window.navigate("/");
}

/** The last of the messages, which are heard one after another. */
let last = Promise.resolve();

function inTurn(work) {
  last = last.catch(() => {}).then(work);
  return last;
}

/**
 * Show what the server says of a call, and that it was missed, if nobody has said by then how it ended.
 * @param {object} message
 */
async function ring(message) {
  await inTurn(() => hear(message));
  if (message.event !== "wake") return;
  await pause(message.expires_at * 1_000 + LATE - Date.now());
  await inTurn(async () => {
    if (await isShown(message)) await hear(ended(message));
  });
}

/**
 * Show the call of a page that nobody sees. If it has ended there meanwhile, the page has found no notification to close.
 * @param {object} message
 */
async function show(message) {
  await hear(message);
  const window = await windowOf(message);
  if (window === null || (await ask(window, message.call)) !== false) return;
  for (const shown of await self.registration.getNotifications({ tag: message.call })) {
    if (shown.data.event === "wake") shown.close();
  }
}

/**
 * Show what the server says of a call, or a page that nobody sees; one that is seen shows it by itself.
 * @param {object} told
 */
async function hear(told) {
  const before = await kept(PLACE, "/call");
  const reason = before?.call === told.call ? before.reason : undefined;
  const isOver = reason !== undefined || told.expires_at * 1_000 + LATE < Date.now();
  const message = told.event === "wake" && isOver ? ended(told, reason) : told;
  const { ticket, ...call } = message;
  await leave("/call", call);
  if ((message.event === "wake" && (await isShown(message))) || (await ringsInPage(message))) return;
  const texts = { ...WORDLESS, ...(await kept(PLACE, "/words")) };
  const given = message.from_name || message.from_phone;
  const name = message.from_phone.startsWith(GUEST) ? texts.guest.replace("{name}", () => given) : given;
  const say = (text) => text.replace("{name}", () => name);
  const photo = await kept(PHOTOS, `/contacts/photo/${encodeURIComponent(message.from_phone)}`);
  const common = { tag: message.call, icon: photo?.url ?? ICON, lang: texts.lang, dir: texts.dir, data: message };
  if (message.event === "wake") {
    await self.registration.showNotification(say(texts.ringing), {
      ...common,
      requireInteraction: true,
      vibrate: VIBRATION,
      actions: Object.entries(texts.actions).map(([action, title]) => ({ action, title })),
    });
  } else {
    // A browser that is sent a message wants something shown: what rang elsewhere is replaced without a sound.
    const elsewhere = texts[message.reason];
    await self.registration.showNotification(say(elsewhere ?? texts.missed), { ...common, silent: elsewhere !== undefined });
  }
}

/**
 * Refuse a call, without opening the phone: by the ticket, or, if the page has said that it rings, there.
 * @param {object} message
 */
async function refuse(message) {
  const { phone, device_id, ticket, call, expires_at } = message;
  if (ticket === undefined) {
    (await windowOf(message))?.postMessage({ event: "refuse", call });
    return;
  }
  await send("/calls/refuse", { phone, device_id, ticket }, expires_at * 1_000 + LATE);
}

/**
 * The browser has another subscription in the place of the one that was registered: tell the server.
 * @param {PushSubscription | null} given the new one, where the browser says it
 */
async function renew(given) {
  const registered = await kept(PLACE, "/registered");
  if (registered === null) return;
  const { phone, device_id, key, target: old } = registered;
  const options = { userVisibleOnly: true, applicationServerKey: key };
  const target = JSON.stringify(given ?? (await self.registration.pushManager.subscribe(options)));
  if (await send("/devices/push/renew", { phone, device_id, old, target })) {
    await leave("/registered", { ...registered, target });
  }
}

/**
 * Ask the server for something, again if need be. Returns whether that was done.
 * @param {number} until when it is of no use any more
 */
async function send(path, fields, until = Infinity) {
  const request = { method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify(fields) };
  let asked = 0;
  for (const time of PAUSES) {
    await pause(Math.max(time, asked));
    try {
      const answer = await fetch(path, request);
      if (answer.status !== 429 && answer.status < 500) return answer.ok;
      asked = Number(answer.headers.get("Retry-After")) * 1_000;
      if (Date.now() + asked > until) return false;
    } catch {
      // There is no connection.
    }
  }
  return false;
}

/**
 * Go to the phone, which accepts the call if it rings. Where notifications have no buttons, the phone asks.
 * @param {object} message
 */
async function open(message) {
  const answers = message.event === "wake" && Notification.maxActions > 0;
  if (answers) await leave("/answer", message.call);
  const window = await windowOf(message);
  if (window === null) {
    await self.clients.openWindow("/");
  } else {
    if (answers) window.postMessage({ event: "answer" });
    await window.focus();
  }
}

/**
 * Whether somebody sees the window of a device, and it rings there. One that does not looks for the server.
 * @param {object} message
 */
async function ringsInPage(message) {
  const window = await windowOf(message);
  return window?.visibilityState === "visible" && ask(window, message.call);
}

/** Whether a call rings in a window; undefined: it does not say. */
async function ask(window, call, patience = PATIENCE) {
  const { port1, port2 } = new MessageChannel();
  const answer = new Promise((resolve) => (port1.onmessage = ({ data }) => resolve(data)));
  window.postMessage({ event: "ask", call }, [port2]);
  return Promise.race([answer, pause(patience)]);
}

/**
 * Whether a notification says that this call rings.
 * @param {object} message
 */
async function isShown({ call }) {
  const shown = await self.registration.getNotifications({ tag: call });
  return shown.some(({ data }) => data.event === "wake");
}

/** A message of a call that rings no more, instead of one that it does. */
function ended(message, reason = "no_answer") {
  return { ...message, event: "ring_ended", reason };
}

function pause(time) {
  return new Promise((resolve) => setTimeout(resolve, time));
}

/**
 * The window that is the device of a message, by what it has said, or null.
 * @param {object} message
 */
async function windowOf({ phone, device_id }) {
  const found = await kept(PLACE, "/window");
  if (found === null || found.phone !== phone || found.device_id !== device_id) return null;
  return (await self.clients.get(found.id)) ?? null;
}

// A browser that keeps nothing shows what it is told all the same.

async function kept(place, name) {
  try {
    const found = await (await caches.open(place)).match(name);
    return found ? await found.json() : null;
  } catch {
    return null;
  }
}

async function leave(name, content) {
  await caches
    .open(PLACE)
    .then((cache) => cache.put(name, new Response(JSON.stringify(content))))
    .catch(() => {});
}
