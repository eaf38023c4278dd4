// The people around the phone (callnet/static/phone/book.js), with an account that answers when it is told to.

import assert from "node:assert/strict";
import { test } from "node:test";

import { Book, matching } from "../../callnet/static/phone/book.js";

const BOB = { phone: "2", device_id: "desk", name: "Bob" };

/** A contact as the server lists it. */
function person(phone, more = {}) {
  const none = { name: "", profile_name: "", photo: null, favourite: false, joined: true, online: false, blocked: false };
  return { phone, ...none, ...more };
}

/** A book of these people, and the answers of devices that its account still owes, the oldest first. */
function book(people = [person("2", { name: "Bob" })], added = []) {
  const owed = [];
  const account = {
    people: async () => people,
    contacts: () => new Promise((resolve) => owed.push(resolve)),
    added: async () => added,
  };
  return { book: new Book(account, () => {}), owed };
}

/** A book that has been read. */
async function read(people, added) {
  const { book: mine, owed } = book(people, added);
  const done = mine.load();
  owed[0](people.filter((one) => one.online).map(({ phone }) => ({ phone, device_id: "desk", name: "", online: true })));
  await done;
  return mine;
}

function isOnline(book) {
  return book.people().map((one) => one.isOnline);
}

test("a name of spaces is none: the number stands for it", async () => {
  const people = [person("2", { name: " " }), person("3", { name: "\u3000", profile_name: "Ann" }), person("4", { profile_name: "\ufeff" })];
  const mine = await read(people, [{ phone: "5", profile_name: " ", photo: null }]);
  assert.deepEqual(mine.people().map(({ name }) => name).sort(), ["2", "4", "Ann"]);
  assert.deepEqual(mine.adders().map(({ name }) => name), ["5"]);
  assert.deepEqual(["2", "3", "5"].map((phone) => mine.nameOf(phone)), ["", "Ann", ""]);
});

test("what is heard while the list is under way is newer than the list", async () => {
  const { book: mine, owed } = book();
  const first = mine.load();
  owed[0]([{ ...BOB, online: true }]);
  await first;
  const again = mine.load();
  mine.hear({ ...BOB, online: false });
  owed[1]([{ ...BOB, online: true }]);
  await again;
  assert.deepEqual(isOnline(mine), [false]);
});

test("what was heard on this connection counts, and on an earlier one no more", async () => {
  const { book: mine, owed } = book();
  const first = mine.load();
  owed[0]([{ ...BOB, online: true }]);
  await first;
  mine.hear({ ...BOB, online: false });
  for (const [number, isTrue] of [false, true].entries()) {
    if (isTrue) mine.begin();
    const again = mine.load();
    owed[number + 1]([{ ...BOB, online: true }]);
    await again;
    assert.deepEqual(isOnline(mine), [isTrue]);
  }
});

test("of a device that is not listed any more nothing is remembered", async () => {
  const { book: mine, owed } = book();
  const loads = [[{ ...BOB, online: false }], [], [{ ...BOB, online: false }]];
  for (const [number, rows] of loads.entries()) {
    const done = mine.load();
    if (number === 0) mine.hear({ ...BOB, online: true });
    owed[number](rows);
    await done;
  }
  mine.close();
  assert.deepEqual(isOnline(mine), [false]);
});

test("of two answers that overtake each other the later question counts", async () => {
  const { book: mine, owed } = book();
  const reads = [mine.load(), mine.load()];
  owed[1]([{ ...BOB, online: false }]);
  owed[0]([{ ...BOB, online: true }]);
  await Promise.all(reads);
  assert.deepEqual(isOnline(mine), [false]);
});

test("a question that is overtaken is answered with the later one", async () => {
  const { book: mine, owed } = book();
  const [first] = [mine.load(), mine.load()];
  owed[0]([]);
  setTimeout(() => owed[1]([{ ...BOB, online: true }]));
  await first;
  assert.deepEqual(isOnline(mine), [true]);
});

test("a book that is closed answers nobody any more", async () => {
  const { book: mine, owed } = book();
  const reads = [mine.load(), mine.load()];
  mine.close();
  for (const answer of owed) answer([]);
  await Promise.all(reads);
  assert.equal(mine.isKnown, false);
});

test("favourites come first, then who is online, then the others by name", async () => {
  const mine = await read([
    person("1", { name: "Anna" }),
    person("2", { name: "Zoe", online: true }),
    person("3", { name: "Carl", favourite: true }),
    person("4", { name: "Bert", joined: false }),
  ]);
  assert.deepEqual(mine.people().map(({ name }) => name), ["Carl", "Zoe", "Anna", "Bert"]);
  assert.deepEqual(mine.people().map(({ hasJoined }) => hasJoined), [true, true, true, false]);
});

test("somebody is called as the owner does, else as they do themselves, else by the number", async () => {
  const mine = await read(
    [person("1", { name: "Mum", profile_name: "Maria" }), person("2", { profile_name: "Ben" }), person("3")],
    [{ phone: "4", profile_name: "Zoe", photo: "v" }, { phone: "5", profile_name: "", photo: null }],
  );
  assert.deepEqual(mine.people().map(({ name }) => name), ["3", "Ben", "Mum"]);
  assert.deepEqual(["1", "2", "3", "4", "9"].map((phone) => mine.nameOf(phone)), ["Mum", "Ben", "", "Zoe", ""]);
  assert.deepEqual(mine.adders().map(({ name }) => name), ["Zoe", "5"]);
  assert.deepEqual(["4", "5", "9"].map((phone) => mine.photoOf(phone)), ["v", null, null]);
});

test("a search finds names without their accents, what people call themselves, and digits", () => {
  const people = [
    { phone: "491701234567", name: "Zoë Müller", profileName: "" },
    { phone: "13800000002", name: "Grandmother", profileName: "王芳" },
  ];
  const found = (text) => matching(people, text).map(({ phone }) => phone);
  assert.deepEqual(found(""), ["491701234567", "13800000002"]);
  assert.deepEqual(found(" zoe mul"), ["491701234567"]);
  assert.deepEqual(found("王"), ["13800000002"]);
  assert.deepEqual(found("170 123"), ["491701234567"]);
  assert.deepEqual(found("-"), []);
  assert.deepEqual(found("x1"), []);
});

test("a long list is gone through once for all contacts, and not again for each past call", async () => {
  let looks = 0;
  const counted = (row) => ({
    ...row,
    get phone() {
      looks += 1;
      return row.phone;
    },
  });
  const phones = Array.from({ length: 100 }, (_, number) => String(number));
  const { book: mine, owed } = book(phones.map((phone) => counted(person(phone))));
  const done = mine.load();
  owed[0](phones.map((phone) => counted({ phone, device_id: "desk", name: "", online: true })));
  await done;
  looks = 0;
  assert.ok(mine.people().every(({ devices }) => devices.length === 1));
  for (const phone of phones) {
    assert.equal(mine.personOf(phone).phone, phone);
    assert.equal(mine.nameOf(phone), "");
  }
  assert.equal(mine.personOf("none"), undefined);
  assert.ok(looks <= 4 * phones.length, `${looks} looks`);
});
