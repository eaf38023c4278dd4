/**
 * Wires the dashboard: the operator's doings to what is known, and that to the page.
 */

import { put, tell } from "./elements.js";
import { Facts } from "./facts.js";
import { clock } from "./format.js";
import { Health } from "./health.js";
import { tables } from "./lists.js";
import { Question } from "./question.js";
import { Rounds } from "./rounds.js";
import { Tiles } from "./tiles.js";
import { questions } from "./words.js";

const SAID_FOR = 15_000;

const elements = Object.fromEntries(Array.from(document.querySelectorAll("[id]"), (element) => [element.id, element]));
const facts = new Facts(show);
const rounds = new Rounds(() => facts.look());
const question = new Question();
const health = new Health();
const tiles = new Tiles(elements.tiles);
const lists = tables(ask);
let saying = 0;

/** Ask, and then do. */
function ask(words, order, fields) {
  question.ask(words, async () => {
    await facts.order(order, fields);
    say(words.done);
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
  health.show(facts);
  tiles.show(facts.history);
  for (const [name, table] of Object.entries(lists)) table.show(facts.lists[name], facts.problems[name]);
  showLink();
  showKey();
  showTools();
}

function showLink() {
  const { link, answeredAt } = facts;
  const last = answeredAt === null ? "" : ` What is shown here was so at ${clock(answeredAt)}.`;
  tell(elements["away-text"], link === "away" ? `callnet does not answer.${last}` : "");
  elements.away.hidden = link !== "away";
  put(elements.time, answeredAt === null ? "" : clock(answeredAt));
}

function showKey() {
  const { hasKey, isTrying, keyProblem } = facts;
  document.body.dataset.key = hasKey ? "known" : "unknown";
  for (const element of document.querySelectorAll(".with-key")) element.hidden = !hasKey;
  elements.locked.hidden = hasKey;
  elements["key-submit"].disabled = isTrying;
  elements.key.setAttribute("aria-invalid", String(keyProblem !== ""));
  tell(elements["key-problem"], keyProblem);
}

function showTools() {
  const { level, phone } = facts;
  elements.level.disabled = level === null;
  if (level !== null && document.activeElement !== elements.level) elements.level.value = level;
  elements["devices-all"].hidden = !phone;
  put(elements["devices-all"], phone ? `Revoke all of ${phone}` : "");
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
    say(`The log has lines from “${facts.level}” on.`);
  } catch (error) {
    if (facts.level !== null) elements.level.value = facts.level;
    tell(elements["level-problem"], error.message);
  }
}

function lookUp() {
  facts.phone = elements.phone.value.replace(/[\s().-]/g, "");
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
on("drain", "click", () => ask(questions.drain(), "drain", {}));
on("devices-form", "submit", lookUp);
on("devices-all", "click", () => {
  const { phone } = facts;
  ask(questions.revokeAll(phone), "devices/revoke", { phone });
});

show();
rounds.now();
