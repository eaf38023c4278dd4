// Which device a tab is (callnet/static/phone/identity.js), in a browser without locks, and in one that refuses them.

import assert from "node:assert/strict";
import { beforeEach, test } from "node:test";

const kept = new Map();
globalThis.localStorage = {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, text) => kept.set(name, text),
  removeItem: (name) => kept.delete(name),
};
const { become, deviceOfTab, isFree, keep, leave } = await import("../../callnet/static/phone/identity.js");

const WHO = { phone: "1", deviceId: "Windows, Chrome" };
const CREDENTIALS = { token: "t", expiresAt: 0, secret: "s" };
const refuse = async () => {
  throw new DOMException("The request was denied.", "SecurityError");
};
const BROWSERS = { "without locks": {}, "with locks that it refuses": { locks: { query: refuse, request: refuse } } };

function use(navigator) {
  Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true });
}

beforeEach(() => kept.clear());

for (const [name, navigator] of Object.entries(BROWSERS)) {
  test(`in a browser ${name} a device is free unless it is logged in, and keeps its name over a logout`, async () => {
    use(navigator);
    assert.equal(await isFree(WHO), true);
    become(WHO);
    keep(WHO, CREDENTIALS);
    assert.equal(await isFree(WHO), false);
    keep(WHO, { ...CREDENTIALS, token: null });
    leave(WHO);
    assert.equal(await isFree(WHO), true);
  });

  test(`in a browser ${name} a new tab asks who it is`, async () => {
    use(navigator);
    kept.set("callnet.last", JSON.stringify({ ...WHO, stays: true }));
    assert.equal(await deviceOfTab(null), null);
    assert.equal(await deviceOfTab(WHO), null);
  });
}
