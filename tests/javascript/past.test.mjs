// The past calls of the phone (callnet/static/phone/past.js), with an account that has a list of them.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Past } from "../../callnet/static/phone/past.js";

/** Past calls, and the account's; the newest have the greatest number. */
function past(count) {
  const rows = Array.from({ length: count }, (_, number) => ({
    room_id: String(count - number),
    direction: "incoming",
    peer_phone: "2",
    started_at: count - number,
    answered_at: null,
    ended_at: count - number,
    outcome: "missed",
  }));
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
  const mine = past(3);
  await mine.load();
  await mine.delete("2");
  assert.deepEqual(mine.calls().map(({ roomId }) => roomId), ["3", "1"]);
  await mine.deleteAll();
  assert.deepEqual([mine.calls(), mine.hasMore], [[], false]);
});

test("older calls that are shown stay so when the list is read again", async () => {
  const mine = past(100);
  await mine.load();
  await mine.loadMore();
  await mine.load();
  assert.equal(mine.calls().length, 60);
  await mine.loadMore();
  assert.deepEqual([mine.calls().length, mine.calls()[89].roomId], [90, "11"]);
});
