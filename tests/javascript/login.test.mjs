// How the phone logs in (callnet/static/phone/login.js), at a server of a few lines that sends codes.

import assert from "node:assert/strict";
import http from "node:http";
import { beforeEach, test } from "node:test";

import { ERROR } from "../../clients/javascript/index.js";

const kept = new Map();
globalThis.localStorage = {
  getItem: (name) => kept.get(name) ?? null,
  setItem: (name, text) => kept.set(name, text),
  removeItem: (name) => kept.delete(name),
};
globalThis.navigator ??= {};
globalThis.location = {};
const { logIn } = await import("../../callnet/static/phone/login.js");

const CODE = "123456";
const NAME = "Windows, Chrome";
const WHO = { phone: "1", deviceId: NAME };

beforeEach(() => kept.clear());

/** A server with `accounts.enrolment = "otp"`, whose devices have these secrets, by name; null: it has none. */
async function server(test, secrets = {}) {
  const asked = [];
  const answer = ({ device_id: name, secret, code }) => {
    asked.push([name, secret, code].filter((given) => given !== undefined));
    if (code !== undefined) {
      secrets[name] = `new secret of ${name}`;
      return code === CODE ? { token: "t", expires_in: 60, device_secret: secrets[name] } : { errorCode: ERROR.CODE };
    }
    if ((secrets[name] ?? null) === null) return { errorCode: ERROR.CODE };
    return secrets[name] === secret ? { token: "t", expires_in: 60 } : { errorCode: ERROR.DEVICE };
  };
  const listening = http.createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    response.end(JSON.stringify({ errorCode: 0, message: "", ...answer(JSON.parse(body)) }));
  });
  await new Promise((resolve) => listening.listen(0, "127.0.0.1", resolve));
  test.after(() => {
    listening.closeAllConnections();
    listening.close();
  });
  location.origin = `http://127.0.0.1:${listening.address().port}`;
  return asked;
}

test("a code goes with the first proposed name that nobody has, and takes no device from anybody", async (t) => {
  const asked = await server(t, { [NAME]: "that of the other computer" });
  await assert.rejects(logIn(WHO, "", true), { code: ERROR.CODE });
  const account = await logIn(WHO, CODE, true);
  assert.equal(account.deviceId, `${NAME} 2`);
  assert.deepEqual(asked.filter(([name]) => name === NAME), [[NAME], [NAME]]);
});

test("a code goes with the name that somebody has typed, whoever has it: so a lost device is had back", async (t) => {
  const asked = await server(t, { [NAME]: "a lost one" });
  assert.equal((await logIn(WHO, CODE, false)).deviceId, NAME);
  assert.deepEqual(asked[0], [NAME, CODE]);
});

test("a wrong code is tried with one name", async (t) => {
  const asked = await server(t);
  await assert.rejects(logIn(WHO, "000000", true), { code: ERROR.CODE });
  assert.equal(asked.filter(([, code]) => code === "000000").length, 1);
});

test("a device that has logged out shows its secret, and keeps its name", async (t) => {
  const asked = await server(t, { [NAME]: "its own" });
  kept.set(`callnet.device.1.${NAME}`, JSON.stringify({ token: null, expiresAt: 0, secret: "its own" }));
  assert.equal((await logIn(WHO, "", true)).deviceId, NAME);
  assert.deepEqual(asked, [[NAME, "its own"]]);
});

test("a device whose secret was revoked comes again under its name, by a code", async (t) => {
  const asked = await server(t, { [NAME]: null });
  kept.set(`callnet.device.1.${NAME}`, JSON.stringify({ token: null, expiresAt: 0, secret: "its own" }));
  assert.equal((await logIn(WHO, CODE, true)).deviceId, NAME);
  assert.ok(asked.every(([name]) => name === NAME));
});

test("of proposed names the last is the fifth", async (t) => {
  const names = ["", " 2", " 3", " 4", " 5"].map((number) => NAME + number);
  const asked = await server(t, Object.fromEntries(names.map((name) => [name, "another's"])));
  await assert.rejects(logIn(WHO, "", true), { code: ERROR.DEVICE });
  assert.deepEqual(asked, names.map((name) => [name]));
});
