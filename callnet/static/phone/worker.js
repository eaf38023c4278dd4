/**
 * The service worker: it shows who calls while the phone is not open, refuses, or opens the phone to accept. It keeps
 * no pages. docs/waking.md has what the server sends it; waking.js is the page's side.
 */

/** What pages leave for the worker, and the worker for pages (waking.js); and the photos of people (photos.js). */
const PLACE = "callnet.worker";
const PHOTOS = "callnet.photos";
/** Of somebody who has no photo. */
const ICON = "/static/phone/icon-192.png";
/** Where the browser has forgotten what the pages left, the name stands alone. */
const WORDLESS = { ringing: "{name}", missed: "{name}", actions: {} };
const VIBRATION = [600, 400, 600, 400, 600, 1_400, 600, 400, 600, 400, 600];
/** Milliseconds before each try to refuse. */
const PAUSES = [0, 1_000, 3_000];

self.addEventListener("install", () => self.skipWaiting());
self.addEventListener("activate", (event) => event.waitUntil(self.clients.claim()));
self.addEventListener("push", (event) => event.waitUntil(hear(event.data.json())));
self.addEventListener("message", (event) => {
  const { data, source } = event;
  event.waitUntil(data.event === "here" ? leave("/window", { ...data, id: source.id }) : hear(data));
});
self.addEventListener("notificationclick", (event) => {
  const { action, notification } = event;
  notification.close();
  event.waitUntil(action === "refuse" ? refuse(notification.data) : open(notification.data));
});

/**
 * Show what the server says of a call, or a page that nobody sees; one that is seen shows it by itself.
 * @param {object} message
 */
async function hear(message) {
  const { ticket, ...call } = message;
  await leave("/call", call);
  if ((await windowOf(message))?.visibilityState === "visible") return;
  const texts = (await kept(PLACE, "/words")) ?? WORDLESS;
  const name = message.from_name || message.from_phone;
  const say = (text) => text.replace("{name}", name);
  const photo = await kept(PHOTOS, `/contacts/photo/${encodeURIComponent(message.from_phone)}`);
  const common = { tag: message.call, icon: photo?.url ?? ICON, lang: texts.lang, dir: texts.dir, data: message };
  if (message.event === "wake") {
    await self.registration.showNotification(say(texts.ringing), {
      ...common,
      requireInteraction: true,
      renotify: true,
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
  const { phone, device_id, ticket, call } = message;
  if (ticket === undefined) {
    (await windowOf(message))?.postMessage({ refuse: call });
    return;
  }
  const body = JSON.stringify({ phone, device_id, ticket });
  for (const pause of PAUSES) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    try {
      const headers = { "Content-Type": "application/json" };
      const { status } = await fetch("/calls/refuse", { method: "POST", headers, body });
      if (status < 500) return;
    } catch {
      // There is no connection.
    }
  }
}

/**
 * Go to the phone, which accepts the call if it rings.
 * @param {object} message
 */
async function open(message) {
  const answers = message.event === "wake";
  const window = await windowOf(message);
  if (window === null) {
    await self.clients.openWindow(answers ? `/#answer=${message.call}` : "/");
  } else {
    if (answers) window.postMessage({ answer: message.call });
    await window.focus();
  }
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

async function kept(place, name) {
  const found = await (await caches.open(place)).match(name);
  return found ? found.json() : null;
}

async function leave(name, content) {
  await (await caches.open(PLACE)).put(name, new Response(JSON.stringify(content)));
}
