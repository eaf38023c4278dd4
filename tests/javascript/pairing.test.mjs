// A device that another one lets in (clients/javascript/pairing.js), with a server of a few lines.

import assert from "node:assert/strict";
import http from "node:http";
import { test } from "node:test";

import { AccountError, ERROR, Pairing } from "../../clients/javascript/index.js";

const BEGUN = { device_secret: "s", user_code: "BCDF-GHJK", expires_in: 600, interval: 0 };
const PENDING = { phone: null, device_id: null };
const ACCEPTED = { phone: "1", device_id: "tv" };
const LOGIN = { token: "t", expires_in: 604_800 };

/** A server that gives these answers, each with errorCode 0 if it says nothing else, and keeps what it was asked. */
async function server(test, ...answers) {
  const asked = [];
  const listening = http.createServer(async (request, response) => {
    let body = "";
    for await (const part of request) body += part;
    asked.push([request.url, JSON.parse(body)]);
    const next = answers.length > 1 ? answers.shift() : answers[0];
    const answer = typeof next === "function" ? next() : next;
    if (answer === "lost") request.socket.destroy();
    else response.end(answer === "no JSON" ? "<html>" : JSON.stringify({ errorCode: 0, message: "", ...answer }));
  });
  await new Promise((resolve) => listening.listen(0, "127.0.0.1", resolve));
  test.after(() => listening.closeAllConnections() ?? listening.close());
  return { site: `http://127.0.0.1:${listening.address().port}`, asked };
}

test("a device shows letters and a link, waits, and logs in as what it was accepted as", async (t) => {
  const { site, asked } = await server(t, BEGUN, PENDING, ACCEPTED, LOGIN);
  const kept = [];
  const pairing = await Pairing.begin({ site, name: "TV", keep: (...all) => kept.push(all) });
  assert.deepEqual([pairing.userCode, pairing.link], ["BCDF-GHJK", `${site}/#pair=BCDF-GHJK`]);
  assert.ok(Math.abs(pairing.expiresAt - Date.now() - 600_000) < 60_000);
  const account = await pairing.finished();
  assert.deepEqual([account.phone, account.deviceId, account.isLoggedIn], ["1", "tv", true]);
  assert.deepEqual(asked, [
    ["/pairing/begin", { name: "TV" }],
    ["/pairing/poll", { device_secret: "s" }],
    ["/pairing/poll", { device_secret: "s" }],
    ["/account/login", { phone: "1", device_id: "tv", secret: "s" }],
  ]);
  const { expiresAt } = account;
  assert.deepEqual(kept, [[{ phone: "1", deviceId: "tv" }, { token: "t", expiresAt, secret: "s" }]]);
});

test("a device that does not agree to what it is let in as does not log in", async (t) => {
  for (const isAgreed of [false, true]) {
    const { site, asked } = await server(t, BEGUN, PENDING, ACCEPTED, "lost", LOGIN);
    const questions = [];
    const agree = async ({ phone, deviceId }) => questions.push([phone, deviceId]) > 0 && isAgreed;
    const account = await (await Pairing.begin({ site, agree })).finished();
    assert.deepEqual(questions, [["1", "tv"]]);
    assert.equal(account?.isLoggedIn ?? false, isAgreed);
    assert.equal(asked.some(([path]) => path === "/account/login"), isAgreed);
  }
});

test("a question whose asking fails is asked again, and nobody logs in before", async (t) => {
  const { site, asked } = await server(t, BEGUN, ACCEPTED, ACCEPTED, LOGIN);
  const answers = [new AccountError(ERROR.UNREACHABLE, "lost"), false];
  const agree = async () => {
    const answer = answers.shift();
    if (answer instanceof Error) throw answer;
    return answer;
  };
  assert.equal(await (await Pairing.begin({ site, agree })).finished(), null);
  assert.deepEqual(answers, []);
  assert.equal(asked.some(([path]) => path === "/account/login"), false);
});

test("what is lost on the way, or not the service's, does no harm", async (t) => {
  const away = [{ errorCode: 1 }, { errorCode: 6 }, "lost", "no JSON"];
  const { site } = await server(t, BEGUN, ...away, ACCEPTED, "lost", { errorCode: 6 }, LOGIN);
  const pairing = await Pairing.begin({ site });
  const account = await pairing.finished();
  assert.deepEqual([account.token, account.secret], ["t", "s"]);
});

test("a refusal is told from the end of the time", async (t) => {
  for (const errorCode of [5, 7]) {
    const { site } = await server(t, BEGUN, PENDING, { errorCode, message: "no" });
    const pairing = await Pairing.begin({ site });
    await assert.rejects(pairing.finished(), { name: "AccountError", code: errorCode });
  }
});

test("what is kept of it waits on elsewhere", async (t) => {
  const { site, asked } = await server(t, BEGUN, ACCEPTED, LOGIN);
  const { begun } = await Pairing.begin({ site });
  const pairing = Pairing.resume({ site }, JSON.parse(JSON.stringify(begun)));
  assert.deepEqual([pairing.userCode, pairing.expiresAt, pairing.link], ["BCDF-GHJK", begun.expiresAt, `${site}/#pair=BCDF-GHJK`]);
  const { deviceId, secret } = await pairing.finished();
  assert.deepEqual([deviceId, secret], ["tv", "s"]);
  assert.deepEqual(asked.map(([path]) => path), ["/pairing/begin", "/pairing/poll", "/account/login"]);
});

test("who closes it during the login is logged out again", async (t) => {
  const { site, asked } = await server(t, BEGUN, ACCEPTED, () => pairing.close() ?? LOGIN, {});
  const pairing = await Pairing.begin({ site });
  assert.equal(await pairing.finished(), null);
  assert.deepEqual(asked.at(-1), ["/account/logout", { token: "t" }]);
});

test("who closes it waits no longer, and is not logged in", async (t) => {
  const { site, asked } = await server(t, { ...BEGUN, interval: 3_600 });
  const pairing = await Pairing.begin({ site });
  const finished = pairing.finished();
  pairing.close();
  assert.equal(await finished, null);
  assert.equal(await pairing.finished(), null);
  assert.equal(asked.length, 1);
});
