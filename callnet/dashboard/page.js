/**
 * Wires the dashboard: the operator's doings to what is known, and that to the page.
 */

import { complain, put, tell } from "./elements.js";
import { Facts } from "./facts.js";
import { clock } from "./format.js";
import { Health } from "./health.js";
import { tables } from "./lists.js";
import { Question } from "./question.js";
import { Rounds } from "./rounds.js";
import { browser } from "./shared/memory.js";
import { guardPresses } from "./shared/presses.js";
import { codeOf, firstWords, offerLanguages, otherWords, said, speak } from "./shared/words.js";
import { Tiles } from "./tiles.js";

const SAID_FOR = 15_000;

const elements = Object.fromEntries(Array.from(document.querySelectorAll("[id]"), (element) => [element.id, element]));
const facts = new Facts(show);
const rounds = new Rounds(() => facts.look());
const question = new Question(say);
const health = new Health();
const tiles = new Tiles(elements.tiles);
const lists = tables(ask);
let words = null;
let saying = 0;

/**
 * Ask, and then do.
 * @param {string} name of the question
 * @param {object} values that its words are filled in with
 * @param {string} order
 * @param {object} fields
 */
function ask(name, values, order, fields) {
  const { title, text, button, done, gone } = words.question[name];
  question.ask({ title, text: said(text, values), button }, async () => {
    await facts.order(order, fields).catch((error) => {
      throw new Error(error.isGone && gone ? gone : error.say(words));
    });
    say(said(done, values));
    rounds.now();
  });
}

/** Say what was done, for a while. */
function say(text) {
  clearTimeout(saying);
  put(elements.said, text);
  saying = setTimeout(() => put(elements.said, ""), SAID_FOR);
}

function show() {
  if (words === null) return;
  health.show(facts, words);
  tiles.show(facts.history, words);
  for (const [name, table] of Object.entries(lists)) table.show(facts.lists[name], facts.problems[name], words);
  showLink();
  showKey();
  showTools();
}

function showLink() {
  const { link, answeredAt } = facts;
  const away = answeredAt === null ? words.away : words.away_since({ time: clock(answeredAt) });
  tell(elements["away-text"], link === "away" ? away : "");
  elements.away.hidden = link !== "away";
  put(elements.time, answeredAt === null ? "" : clock(answeredAt));
}

function showKey() {
  const { hasKey, isTrying, keyProblem } = facts;
  document.body.dataset.key = hasKey ? "known" : "unknown";
  for (const element of document.querySelectorAll(".with-key")) element.hidden = !hasKey;
  elements.locked.hidden = hasKey;
  elements["key-submit"].disabled = isTrying;
  elements.key.setAttribute("aria-invalid", String(keyProblem !== null));
  complain(elements["key-problem"], keyProblem, words);
}

function showTools() {
  const { level, phone } = facts;
  elements.level.disabled = level === null;
  if (level !== null && document.activeElement !== elements.level) elements.level.value = level;
  elements["devices-all"].hidden = !phone;
  put(elements["devices-all"], phone ? words.devices.revoke_all({ phone }) : "");
}

function on(id, kind, handle) {
  elements[id].addEventListener(kind, (event) => {
    if (kind === "submit") event.preventDefault();
    handle(event);
  });
}

async function unlock() {
  await facts.unlock(elements.key.value.trim());
  if (!facts.hasKey) {
    elements.key.focus();
    return;
  }
  elements.key.value = "";
  elements["calls-title"].focus();
  rounds.now();
}

async function chooseLevel() {
  tell(elements["level-problem"], "");
  try {
    await facts.chooseLevel(elements.level.value);
    say(words.level_set({ level: facts.level }));
  } catch (error) {
    if (facts.level !== null) elements.level.value = facts.level;
    complain(elements["level-problem"], error, words);
  }
}

function lookUp() {
  const typed = elements.phone.value.trim();
  // Of a number, without what only makes it easier to read. A phone may have any other name.
  facts.phone = /^[+\d\s().-]+$/.test(typed) ? typed.replace(/[\s().-]/g, "") : typed;
  facts.lists.devices = null;
  show();
  rounds.now();
}

on("key-form", "submit", unlock);
on("forget", "click", () => {
  facts.forget();
  elements.key.focus();
});
on("again", "click", () => rounds.now());
on("level", "change", chooseLevel);
on("drain", "click", () => ask("drain", {}, "drain", {}));
on("devices-form", "submit", lookUp);
on("devices-all", "click", () => {
  const { phone } = facts;
  ask("revoke_all", { phone }, "devices/revoke", { phone });
});

// The language and the theme

function speakIn(others) {
  words = others;
  speak(words);
  say("");
  tell(elements["level-problem"], "");
  show();
}

offerLanguages(async (lang) => {
  const others = await otherWords(lang).catch(() => words);
  if (others === null) return;
  browser.set("language", codeOf(others.lang));
  speakIn(others);
});
elements.theme.value = browser.get("theme") ?? "system";
on("theme", "change", () => {
  const { value } = elements.theme;
  browser.set("theme", value === "system" ? null : value);
  window.dispatchEvent(new Event("storage")); // as other tabs are told
});
window.addEventListener("storage", () => {
  elements.theme.value = browser.get("theme") ?? "system";
});

guardPresses();
firstWords().then((first) => {
  speakIn(first);
  rounds.now();
});

// For start.js.
document.documentElement.dataset.started = "";
