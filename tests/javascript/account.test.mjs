// The account of a device (clients/javascript/account.js), and how a device logs in, with a server of a few lines.

import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";

import { Account, AccountError, Device, ERROR } from "../../clients/javascript/index.js";
import { FakeSocket } from "./wire.mjs";

const LOGIN = { token: "first", expires_in: 604_800 };

/**
 * A server that gives these answers, each with errorCode 0 if it says nothing else, and keeps what it was asked. An answer
 * may be a function of that, and may take its time.
 */
async function server(test, ...answers) {
  const asked = [];
  const listening = http.createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    asked.push({ path: request.url, fields: body === "" ? null : JSON.parse(body) });
    const given = answers.length > 1 ? answers.shift() : answers[0];
    const { status = 200, after, ...answer } = await (typeof given === "function" ? given(asked.at(-1)) : given);
    response.writeHead(status, after === undefined ? {} : { "Retry-After": after });
    response.end(answer.text ?? JSON.stringify({ errorCode: 0, message: "", ...answer }));
  });
  await new Promise((resolve) => listening.listen(0, "127.0.0.1", resolve));
  test.after(() => listening.closeAllConnections() ?? listening.close());
  return { site: `http://127.0.0.1:${listening.address().port}`, asked };
}

function account(site, options = {}) {
  return new Account({ site, phone: "1", deviceId: "tv", ...options });
}

test("the first login keeps the secret and claims the device with it at once; later ones show it", async (t) => {
  const answers = ["claimed", "second"].map((token) => ({ ...LOGIN, token }));
  const { site, asked } = await server(t, { ...LOGIN, device_secret: "s" }, ...answers);
  const kept = [];
  const first = account(site, { keep: (all) => kept.push(all) });
  await first.login();
  assert.equal(first.isLoggedIn, true);
  assert.equal(first.token, "claimed");
  const second = account(site, { kept: kept[1], keep: (all) => kept.push(all) });
  await second.login("123456");
  assert.deepEqual(asked, [
    { path: "/account/login", fields: { phone: "1", device_id: "tv" } },
    { path: "/account/login", fields: { phone: "1", device_id: "tv", secret: "s" } },
    { path: "/account/login", fields: { phone: "1", device_id: "tv", secret: "s", code: "123456" } },
  ]);
  assert.deepEqual(kept.map(({ token, secret }) => [token, secret]), [["first", "s"], ["claimed", "s"], ["second", "s"]]);
});

test("who keeps nothing never shows the secret, which would claim the device for nobody", async (t) => {
  const { site, asked } = await server(t, { ...LOGIN, device_secret: "s" });
  const one = account(site);
  await one.login();
  await one.login();
  assert.deepEqual([one.secret, asked[1].fields], [null, { phone: "1", device_id: "tv" }]);
});

test("a secret that cannot be kept is not shown, and the device goes on with what it has", async (t) => {
  const { site, asked } = await server(t, { ...LOGIN, device_secret: "new" });
  const reported = t.mock.method(console, "error", () => {});
  const keep = () => {
    throw new Error("the storage is full");
  };
  for (const secret of [null, "old"]) {
    const one = account(site, { kept: { token: null, expiresAt: 0, secret }, keep });
    await one.login();
    assert.deepEqual([one.token, one.secret, one.isLoggedIn], ["first", secret, true]);
    one.forget();
    assert.equal(one.token, null);
  }
  assert.deepEqual([asked.length, reported.mock.callCount()], [2, 4]);
});

test("a server that knows only the seed's protocol does not say how long a token is good", async (t) => {
  const { site } = await server(t, { token: "t" });
  const one = account(site);
  await one.login();
  assert.equal(one.isLoggedIn, true);
});

test("each request has its path and its fields", async (t) => {
  const kept = { token: "t", expiresAt: Date.now() + 9e9, secret: null };
  const answers = { contacts: [], calls: [], do_not_disturb: null, auto_answer: [], ice_servers: [], expires_in: 60 };
  const { site, asked } = await server(t, { ...answers, application_server_key: "k" });
  const one = account(site, { kept });
  assert.deepEqual(await one.contacts(), []);
  await one.addContact("2", "Bob");
  await one.addContact("2");
  await one.addContact("2", "");
  await one.removeContact("2");
  await one.block("2");
  await one.unblock("2");
  assert.deepEqual(await one.history({ limit: 2, after: "x" }), { calls: [], next: null });
  const nothing = { do_not_disturb: null, do_not_disturb_until: null, auto_answer: [], who_may_call: "anyone" };
  const unasked = { rings_through: [], second_call_rings: false }; // an older server says nothing of these
  assert.deepEqual(await one.settings({ auto_answer: ["2"] }), { ...nothing, ...unasked });
  assert.deepEqual(await one.iceServers(), { ice_servers: [], expires_in: 60 });
  await one.setPush("webhook", "box-7");
  assert.equal(await one.pushKey(), "k");
  await one.requestCode();
  await one.renew();
  const token = { token: "t" };
  assert.deepEqual(asked.map(({ path, fields }) => [path, fields]), [
    ["/getContactPersons", { phone: "1", ...token }],
    ["/contacts/add", { contact_phone: "2", name: "Bob", ...token }],
    ["/contacts/add", { contact_phone: "2", ...token }],
    ["/contacts/add", { contact_phone: "2", name: "", ...token }],
    ["/contacts/remove", { contact_phone: "2", ...token }],
    ["/contacts/block", { contact_phone: "2", ...token }],
    ["/contacts/unblock", { contact_phone: "2", ...token }],
    ["/calls/history", { limit: 2, after: "x", ...token }],
    ["/account/settings", { auto_answer: ["2"], ...token }],
    ["/ice", token],
    ["/devices/push", { kind: "webhook", target: "box-7", ...token }],
    ["/devices/push/key", null],
    ["/account/code", { phone: "1" }],
  ]);
});

test("people, profiles, devices and deleted calls", async (t) => {
  const kept = { token: "t", expiresAt: Date.now() + 9e9, secret: null };
  const photo = { type: "image/png", version: "v", data: "AAAA" };
  const answers = { contacts: [{ phone: "2" }], added: [{ phone: "3" }], phones: ["4"], devices: [{ device_id: "x" }] };
  const { site, asked } = await server(t, { ...answers, name: "Ann", photo });
  const one = account(site, { kept });
  assert.deepEqual(await one.people(), answers.contacts);
  assert.deepEqual(await one.added(), answers.added);
  assert.deepEqual(await one.blocked(), answers.phones);
  assert.deepEqual(await one.devices(), answers.devices);
  assert.deepEqual(await one.profile(), { name: "Ann", photo });
  await one.profile({ name: "Bob", photo: "data:image/png;base64,AAAA" });
  await one.profile({ photo: null });
  assert.deepEqual(await one.photo("2"), { version: "v", url: "data:image/png;base64,AAAA" });
  await one.addContact("2", undefined, true);
  await one.addContact("2", undefined, undefined, "data:image/png;base64,AAAA");
  await one.addContact("2", undefined, undefined, null);
  await one.dismiss("3");
  await one.renameDevice("x", "TV");
  await one.configureDevice("x", { kiosk_pin: "0471" });
  await one.configureDevice("x", { kiosk_pin: null, auto_answers: true });
  await one.unlock("0471");
  await one.logOutDevice("x");
  await one.removeDevice("x");
  await one.deleteCall("r");
  await one.deleteCalls();
  const token = { token: "t" };
  assert.deepEqual(asked.map(({ path, fields }) => [path, fields]), [
    ["/contacts/list", token],
    ["/contacts/added", token],
    ["/contacts/blocked", token],
    ["/devices/list", token],
    ["/account/profile", token],
    ["/account/profile", { name: "Bob", photo: "AAAA", ...token }],
    ["/account/profile", { photo: null, ...token }],
    ["/contacts/photo", { contact_phone: "2", ...token }],
    ["/contacts/add", { contact_phone: "2", favourite: true, ...token }],
    ["/contacts/add", { contact_phone: "2", photo: "AAAA", ...token }],
    ["/contacts/add", { contact_phone: "2", photo: null, ...token }],
    ["/contacts/dismiss", { contact_phone: "3", ...token }],
    ["/devices/rename", { device_id: "x", label: "TV", ...token }],
    ["/devices/configure", { device_id: "x", kiosk_pin: "0471", ...token }],
    ["/devices/configure", { device_id: "x", kiosk_pin: null, auto_answers: true, ...token }],
    ["/devices/unlock", { pin: "0471", ...token }],
    ["/devices/logout", { device_id: "x", ...token }],
    ["/devices/remove", { device_id: "x", ...token }],
    ["/calls/delete", { room_id: "r", ...token }],
    ["/calls/delete", { room_id: "*", ...token }],
  ]);
});

test("a token that is near its end is renewed, and one that is no good replaced by a new login, once", async (t) => {
  const kept = { token: "old", expiresAt: Date.now() + 3_600_000, secret: null };
  const refused = { errorCode: ERROR.TOKEN, message: "no" };
  const renewed = await server(t, LOGIN);
  await account(renewed.site, { kept }).renew();
  assert.deepEqual(renewed.asked, [{ path: "/account/refresh", fields: { token: "old" } }]);
  const replaced = await server(t, refused, LOGIN, { contacts: [] });
  await account(replaced.site, { kept }).contacts();
  assert.deepEqual(replaced.asked.map(({ fields }) => fields.token), ["old", undefined, "first"]);
  const aged = await server(t, refused, LOGIN, { ...LOGIN, token: "second" });
  const one = account(aged.site, { kept });
  await one.renew();
  assert.deepEqual(aged.asked.map(({ path }) => path), ["/account/refresh", "/account/login", "/account/refresh"]);
  assert.equal(one.token, "second");
  const stubborn = await server(t, refused, LOGIN, refused);
  await assert.rejects(account(stubborn.site, { kept }).contacts(), { code: ERROR.TOKEN });
  assert.equal(stubborn.asked.length, 3);
});

test("who logs out forgets the token and keeps the secret, and a token that is no good is no failure", async (t) => {
  const kept = { token: "t", expiresAt: Date.now() + 9e9, secret: "s" };
  const { site, asked } = await server(t, { errorCode: ERROR.TOKEN, message: "no" });
  const one = account(site, { kept });
  await one.logout();
  await one.logout();
  assert.deepEqual([one.token, one.secret, one.isLoggedIn, asked.length], [null, "s", false, 1]);
  await assert.rejects(one.contacts(), ({ code }) => code === ERROR.TOKEN);
  assert.equal(asked.length, 1);
});

/** A server that answers a login, or what else is asked at a path, when `release` is called. */
async function slowServer(test, path) {
  const waiting = [];
  const { site, asked } = await server(test, (one) => (one.path === path ? new Promise((answer) => waiting.push(answer)) : {}));
  /** Wait until it was asked there. */
  const arrived = async () => {
    while (waiting.length === 0) await new Promise((resolve) => setImmediate(resolve));
  };
  return { site, asked, arrived, release: (answer) => waiting.shift()(answer) };
}

test("a login or a renewal that is under way when somebody logs out ends nothing of that", async (t) => {
  for (const [path, begin] of [["/account/login", (one) => one.login()], ["/account/refresh", (one) => one.renew()]]) {
    const kept = [];
    const { site, asked, arrived, release } = await slowServer(t, path);
    const old = { token: "old", expiresAt: Date.now() + 3_600_000, secret: "s" };
    const one = account(site, { kept: old, keep: (all) => kept.push(all) });
    const late = begin(one);
    await arrived();
    await one.logout();
    release(LOGIN);
    await assert.rejects(late, { code: ERROR.TOKEN });
    assert.deepEqual([one.token, one.secret, one.isLoggedIn, kept.length], [null, "s", false, 1]);
    // The token that nobody has is revoked as well.
    while (asked.length < 3) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(asked.slice(1), ["old", "first"].map((token) => ({ path: "/account/logout", fields: { token } })));
  }
});

test("who logs in after a logout waits for no earlier login", async (t) => {
  const { site, asked, arrived, release } = await slowServer(t, "/account/login");
  const one = account(site);
  const late = one.login();
  await arrived();
  one.forget();
  const again = one.login();
  release(LOGIN);
  await assert.rejects(late, { code: ERROR.TOKEN });
  await arrived();
  release({ ...LOGIN, token: "second" });
  await again;
  assert.deepEqual([one.token, asked.filter(({ path }) => path === "/account/login").length], ["second", 2]);
});

test("whoever needs a login that is under way waits for it: a new device claims itself once", async (t) => {
  let logins = 0;
  const { site } = await server(t, ({ path, fields }) => {
    if (path !== "/account/login") return { contacts: [], errorCode: fields.token === "claimed" ? 0 : ERROR.TOKEN };
    logins += 1;
    return fields.secret === "s" ? { ...LOGIN, token: "claimed" } : { ...LOGIN, device_secret: "s" };
  });
  const one = account(site, { keep: () => {} });
  await Promise.all([one.login(), one.contacts(), one.contacts()]);
  assert.deepEqual([one.secret, one.token, logins], ["s", "claimed", 2]);
  one.token = "old";
  await Promise.all([one.contacts(), one.contacts(), one.contacts()]);
  assert.equal(logins, 3);
});

test("a failure says its code, and when to try again", async (t) => {
  const { site } = await server(t, { status: 429, after: "7", errorCode: ERROR.RATE_LIMITED, message: "slowly" });
  await assert.rejects(account(site).login(), (error) => {
    assert.ok(error instanceof AccountError);
    assert.deepEqual([error.code, error.message, error.retryAfter], [ERROR.RATE_LIMITED, "slowly", 7]);
    return true;
  });
});

test("no answer, or one that is none, is unreachable", async (t) => {
  for (const text of ["<html>", "null", "[]", '"?"', '{"errorCode":"0"}']) {
    const { site } = await server(t, { text });
    await assert.rejects(account(site).login(), { code: ERROR.UNREACHABLE }, text);
  }
  await assert.rejects(account("http://127.0.0.1:1").login(), { code: ERROR.UNREACHABLE });
});

/** A device that has begun to connect. */
function connecting(test, site, kept = null, options = {}) {
  FakeSocket.all = [];
  const device = new Device(account(site, { kept }), { WebSocket: FakeSocket, ...options });
  test.after(() => void device.close());
  device.connect();
  return device;
}

/** The token of the socket that is opened next. */
async function nextToken() {
  const count = FakeSocket.all.length;
  while (FakeSocket.all.length === count) await new Promise((resolve) => setImmediate(resolve));
  return FakeSocket.last.url.searchParams.get("token");
}

test("a device that has no token logs in, and one that may not is denied", async (t) => {
  const { site } = await server(t, LOGIN, { errorCode: ERROR.DEVICE, message: "whose?" });
  connecting(t, site);
  assert.equal(await nextToken(), "first");
  const denied = connecting(t, site);
  assert.deepEqual([await denied.until("online"), denied.denial.code], ["denied", ERROR.DEVICE]);
});

test("who says how long a token is good knows the extended protocol, and who does not may be of the seed", async (t) => {
  for (const [answer, second] of [[LOGIN, ["callnet.v2"]], [{ token: "first" }, []]]) {
    const { site } = await server(t, answer);
    connecting(t, site);
    await nextToken();
    FakeSocket.last.fail();
    await nextToken();
    assert.deepEqual([FakeSocket.all.length, FakeSocket.last.protocols], [2, second]);
  }
});

test("a device that is closed when its token is refused does not log in again", async (t) => {
  const { site, asked } = await server(t, LOGIN);
  const device = connecting(t, site, { token: "old", expiresAt: Date.now() + 9e9 });
  device.addEventListener("state", ({ detail }) => detail === "offline" && device.close());
  FakeSocket.last.open("callnet.v2");
  FakeSocket.last.lose(4401);
  assert.equal(device.state, "off");
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.deepEqual(asked, []);
});

test("a device whose secret is refused keeps it no longer, and comes back as a new one when it is told to", async (t) => {
  const refused = { errorCode: ERROR.TOKEN, message: "no" };
  const gone = { errorCode: ERROR.DEVICE, message: "the device does not belong to the phone" };
  const claimed = { ...LOGIN, token: "claimed" };
  const { site, asked } = await server(t, refused, gone, refused, { ...LOGIN, device_secret: "new" }, claimed);
  const kept = [];
  const old = { token: "old", expiresAt: Date.now() + 9e9, secret: "s" };
  const one = account(site, { kept: old, keep: (all) => kept.push(all) });
  await assert.rejects(one.people(), { code: ERROR.DEVICE });
  await assert.rejects(one.people(), { code: ERROR.DEVICE });
  assert.deepEqual([one.isLoggedIn, one.secret, kept.map(({ secret }) => secret)], [false, null, [null]]);
  FakeSocket.all = [];
  const device = new Device(one, { WebSocket: FakeSocket });
  t.after(() => void device.close());
  device.connect();
  assert.equal(await nextToken(), "claimed");
  assert.deepEqual(asked.map(({ path, fields }) => [path, fields.secret]), [
    ["/contacts/list", undefined],
    ["/account/login", "s"],
    ["/contacts/list", undefined],
    ["/account/login", undefined],
    ["/account/login", "new"],
  ]);
});

test("the late refusal of an old secret leaves a newer one alone", async (t) => {
  const { site } = await server(t, { errorCode: ERROR.DEVICE, message: "no" });
  const one = account(site, { kept: { token: "t", expiresAt: Date.now() + 9e9, secret: "old" }, keep: () => {} });
  const refused = one.login();
  one.secret = "new";
  await assert.rejects(refused, { code: ERROR.DEVICE });
  assert.deepEqual([one.secret, one.isLoggedIn], ["new", true]);
});

test("a removed device that hears of it by a request is denied by its connection, too", async (t) => {
  const refused = { errorCode: ERROR.TOKEN, message: "no" };
  const { site, asked } = await server(t, refused, { errorCode: ERROR.DEVICE, message: "no" }, LOGIN);
  FakeSocket.all = [];
  const one = account(site, { kept: { token: "old", expiresAt: Date.now() + 9e9, secret: "s" }, keep: () => {} });
  const device = new Device(one, { WebSocket: FakeSocket });
  t.after(() => void device.close());
  device.connect();
  FakeSocket.last.open("callnet.v2");
  await assert.rejects(one.devices(), { code: ERROR.DEVICE });
  FakeSocket.last.lose(4401);
  assert.deepEqual([await device.until("online"), device.denial.code, asked.length], ["denied", ERROR.DEVICE, 2]);
});

test("a token that the server does not like is replaced", async (t) => {
  const { site, asked } = await server(t, LOGIN);
  const device = connecting(t, site, { token: "old", expiresAt: Date.now() + 9e9 });
  FakeSocket.last.open("callnet.v2");
  FakeSocket.last.lose(4401);
  assert.equal(device.state, "offline");
  assert.equal(await nextToken(), "first");
  assert.equal(asked.length, 1);
});

test("a device that speaks the base protocol asks the account service why it was not let in", async (t) => {
  const { site, asked } = await server(t, { errorCode: ERROR.TOKEN, message: "no" }, { errorCode: ERROR.DEVICE, message: "no" });
  const device = connecting(t, site, { token: "old", expiresAt: Date.now() + 9e9 }, { extended: false });
  assert.deepEqual(FakeSocket.last.protocols, []);
  FakeSocket.last.fail();
  assert.equal(await device.until("denied"), "denied");
  assert.deepEqual(asked.map(({ path }) => path), ["/account/settings", "/account/login"]);
});
