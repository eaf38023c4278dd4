// The words of the pages (callnet/static/shared/words.js) and their formats (format.js).

import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { test } from "node:test";

import { duration, isolated, listed, moment, timeOfDay } from "../../callnet/static/shared/format.js";
import { LANGUAGES, said, specialWords, treeOf } from "../../callnet/static/shared/words.js";

const FOLDER = new URL("../../callnet/static/phone/words/", import.meta.url);
const TOOL = new URL("../../tools/check_words.py", import.meta.url);

/** Be a page in a language, in a browser of these languages. */
function be(lang, ...languages) {
  globalThis.document = { documentElement: { lang } };
  Object.defineProperty(globalThis, "navigator", { value: { languages }, configurable: true });
}

/** Texts without the spaces of any width that are put between numbers and what belongs to them. */
function plain(text) {
  return text.replace(/\s/g, " ");
}

test("Intl has the plural categories that the check of the words demands", () => {
  const rows = readFileSync(TOOL, "utf8").matchAll(/^ {8}"(\w\w)": "([a-z ]+)",$/gm);
  const demanded = Object.fromEntries(Array.from(rows, ([, language, categories]) => [language, categories]));
  const files = readdirSync(FOLDER).map((name) => name.replace(".json", ""));
  assert.deepEqual(Object.keys(LANGUAGES).map((lang) => lang.slice(0, 2)).sort(), files.sort());
  for (const lang of Object.keys(LANGUAGES)) {
    const { pluralCategories } = new Intl.PluralRules(lang).resolvedOptions();
    assert.deepEqual(demanded[lang.slice(0, 2)].split(" ").sort(), pluralCategories.sort(), lang);
  }
});

test("special words stand in for what is called the same, and the rest stays", () => {
  be("en", "en-US");
  const words = treeOf({ title: { left: "They left", joining: "Joining" }, other: "They", page: "Call" }, "en");
  const special = treeOf({ title: { left: "{name} left" }, other: "{name}" }, "en");
  const expected = { title: { left: "Ann left", joining: "Joining" }, other: "Ann", page: "Call" };
  assert.deepEqual(specialWords(words, special, { name: "Ann" }), expected);
});

test("a text stays a text, and one with placeholders becomes a function", () => {
  be("en", "en-US");
  const tree = treeOf({ some: { plain: "Close", filled: "{name} on {device}" }, row: ["a", "b"] }, "en");
  assert.equal(tree.some.plain, "Close");
  assert.equal(tree.some.filled({ name: "Bob", device: "tv" }), "Bob on tv");
  assert.equal(tree.row[1], "b");
  assert.deepEqual([said(tree.some.plain, { name: "Bob" }), said(tree.some.filled, { name: "Bob", device: "tv" })], [
    "Close",
    "Bob on tv",
  ]);
});

test("a count chooses the plural form of the language, and is written as there", () => {
  be("ru", "ru");
  const forms = { one: "{count} звонок", few: "{count} звонка", many: "{count} звонков", other: "{count} звонка" };
  const { calls } = treeOf({ calls: { plural: forms } }, "ru");
  const texts = [1, 3, 5, 21, 1_500].map((count) => plain(calls({ count })));
  assert.deepEqual(texts, ["1 звонок", "3 звонка", "5 звонков", "21 звонок", "1 500 звонков"]);
});

test("an older browser that lacks a category takes the general form", () => {
  be("en", "en");
  const { calls } = treeOf({ calls: { plural: { other: "{count} calls" } } }, "en");
  assert.equal(calls({ count: 1 }), "1 calls");
});

test("in a text from right to left what is filled in keeps its direction", () => {
  be("ar", "ar");
  const { over } = treeOf({ over: "أنهى {name} المكالمة" }, "ar");
  assert.equal(over({ name: "+49 170" }), "أنهى \u2068+49 170\u2069 المكالمة");
});

test("a name turns no text around it, whatever the language", () => {
  be("en", "en");
  const { added } = treeOf({ added: "{name} added you. Add them?" }, "en");
  assert.equal(added({ name: "Eve\u202e.meht ddA" }), "Eve.meht ddA added you. Add them?");
  assert.equal(added({ name: "דנה" }), "\u2068דנה\u2069 added you. Add them?");
  assert.equal(listed(["דנה", "Ann", "عمر"]), "\u2068דנה\u2069, Ann, and \u2068عمر\u2069");
  assert.equal(isolated("ד\u2069\u202b\u2067נה"), "\u2068דנה\u2069");
  assert.equal(isolated("\u2068ד\u2068נה"), "\u2068\u2068ד\u2068נה\u2069\u2069\u2069");
  assert.equal(isolated(isolated("a\u2069 ד")), "\u2068\u2068a ד\u2069\u2069");
  be("ar", "ar");
  assert.equal(isolated("Eve\u2069\u202e"), "\u2068Eve\u2069");
});

test("what was filled in is not filled in again", () => {
  be("en", "en");
  const { over } = treeOf({ over: "{why} {time}" }, "en");
  assert.equal(over({ why: "{time}", time: "0:01" }), "{time} 0:01");
});

test("durations", () => {
  be("en", "en-US");
  assert.deepEqual([0, 4_999, 123_000, 3_723_000, -5].map(duration), ["0:00", "0:04", "2:03", "1:02:03", "0:00"]);
  be("ar", "ar-EG");
  assert.equal(duration(123_000), "٢:٠٣");
});

test("times of day have 12 or 24 hours as the browser's kind of the language has them, and no zero before 12", () => {
  const noon = new Date().setHours(15, 45);
  for (const [lang, own, written] of [
    ["en", "en-US", "3:45 PM"],
    ["en", "en-GB", "15:45"],
    ["de", "en-US", "15:45"],
    ["zh-CN", "zh-CN", "15:45"],
  ]) {
    be(lang, own);
    assert.equal(plain(moment(noon)), written, own);
  }
  be("en", "en-US");
  assert.equal(plain(timeOfDay("03:05")), "3:05 AM");
});

test("another day is named", () => {
  be("en", "en-US");
  assert.equal(plain(moment(new Date(2020, 1, 3, 15, 45))), "Feb 3, 3:45 PM");
});
