// The past calls of the phone (callnet/static/phone/past.js), with an account that has a list of them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Past } from "../../callnet/static/phone/past.js";

/** The row of a call; a newer one has a greater number. */
function rowOf(number) {
  return {
    room_id: String(number),
    direction: "incoming",
    peer_phone: "2",
    started_at: number,
    answered_at: null,
    ended_at: number,
    outcome: "missed",
  };
}

/** The rows of as many calls. */
function newest(count) {
  return Array.from({ length: count }, (_, number) => rowOf(count - number));
}

/** Past calls, and the account's, the newest first. */
function past(rows) {
  const account = {
    phone: "1",
    async history({ limit, after = "0" }) {
      const end = Number(after) + limit;
      return { calls: rows.slice(Number(after), end), next: end < rows.length ? String(end) : null };
    },
    async deleteCall(roomId) {
      rows.splice(rows.findIndex((row) => row.room_id === roomId), 1);
    },
    async deleteCalls() {
      rows.length = 0;
    },
  };
  return new Past(account, () => {});
}

test("a call is deleted, or all", async () => {
  const mine = past(newest(3));
  await mine.load();
  await mine.delete("2");
  assert.deepEqual(mine.calls().map(({ roomId }) => roomId), ["3", "1"]);
  await mine.deleteAll();
  assert.deepEqual([mine.calls(), mine.hasMore], [[], false]);
});

test("older calls that are shown stay so when the list is read again", async () => {
  const mine = past(newest(100));
  await mine.load();
  await mine.loadMore();
  await mine.load();
  assert.equal(mine.calls().length, 60);
  await mine.loadMore();
  assert.deepEqual([mine.calls().length, mine.calls()[89].roomId], [90, "11"]);
});

/** Have timers that pass only as a test says. Returns a function that has milliseconds pass. */
function timers({ mock }) {
  mock.timers.enable({ apis: ["setTimeout"] });
  return (milliseconds) => {
    mock.timers.tick(milliseconds);
    return new Promise(setImmediate);
  };
}

test("a call that has just ended is looked for until the server has written it", async (t) => {
  const pass = timers(t);
  const rows = [rowOf(1)];
  const mine = past(rows);
  await mine.load();
  mine.loadSoon();
  await pass(1_500);
  assert.equal(mine.calls().length, 1);
  rows.unshift(rowOf(2));
  await pass(3_000);
  assert.equal(mine.calls().length, 2);
  rows.unshift(rowOf(3));
  await pass(6_000); // nobody looks
  assert.equal(mine.calls().length, 2);
  mine.loadSoon();
  await pass(1_500);
  assert.equal(mine.calls().length, 3);
});

test("calls that end one right after the other are all looked for", async (t) => {
  const pass = timers(t);
  const rows = [];
  const mine = past(rows);
  await mine.load();
  mine.loadSoon();
  rows.unshift(rowOf(1));
  const read = pass(1_500);
  mine.loadSoon(); // the second has ended before the answer with the first is here
  await read;
  rows.unshift(rowOf(2));
  await pass(1_500);
  assert.deepEqual(mine.calls().map(({ roomId }) => roomId), ["2", "1"]);
});
