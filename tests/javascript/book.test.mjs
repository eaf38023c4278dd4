// The contacts of the phone (callnet/static/phone/book.js), with an account that answers when it is told to.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Book } from "../../callnet/static/phone/book.js";

const BOB = { phone: "2", device_id: "desk", name: "Bob" };

/** A book, and the answers that its account still owes, the oldest first. */
function book() {
  const owed = [];
  const account = { contacts: () => new Promise((resolve) => owed.push(resolve)) };
  return { book: new Book(account, () => {}), owed };
}

function isOnline(book) {
  return book.people().map((person) => person.isOnline);
}

test("what is heard while the list is under way is newer than the list", async () => {
  const { book: mine, owed } = book();
  const read = mine.load();
  owed[0]([{ ...BOB, online: true }]);
  await read;
  const again = mine.load();
  mine.hear({ ...BOB, online: false });
  owed[1]([{ ...BOB, online: true }]);
  await again;
  assert.deepEqual(isOnline(mine), [false]);
});

test("what was heard before the list was asked for is older than the list", async () => {
  const { book: mine, owed } = book();
  const read = mine.load();
  owed[0]([{ ...BOB, online: true }]);
  await read;
  mine.hear({ ...BOB, online: false });
  const again = mine.load();
  owed[1]([{ ...BOB, online: true }]);
  await again;
  assert.deepEqual(isOnline(mine), [true]);
});

test("of two answers that overtake each other the later question counts", async () => {
  const { book: mine, owed } = book();
  const reads = [mine.load(), mine.load()];
  owed[1]([{ ...BOB, online: false }]);
  owed[0]([{ ...BOB, online: true }]);
  await Promise.all(reads);
  assert.deepEqual(isOnline(mine), [false]);
});
