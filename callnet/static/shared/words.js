/**
 * The words of a page in its language: one JSON file a language in the page's folder `words`.
 *
 * A leaf is a text. One with placeholders such as `{name}` becomes a function of an object that fills them in; one with
 * plural forms chooses by its `{count}`. start.js has chosen the language, which stands in `<html lang>`, and says where
 * the words are.
 */

import { openByEnter } from "./elements.js";
import { directionOf, isolated, number } from "./format.js";

/** Every language that is spoken, by what `<html lang>` says of it, and what its people call it. */
export const LANGUAGES = {
  en: "English",
  "zh-CN": "中文",
  es: "Español",
  de: "Deutsch",
  fr: "Français",
  "pt-BR": "Português",
  ru: "Русский",
  ja: "日本語",
  ko: "한국어",
  hi: "हिन्दी",
  ar: "العربية",
};

const PLACEHOLDER = /\{(\w+)\}/g;

let asked = 0;

/**
 * The words to begin with.
 *
 * Where those of the language do not come the page speaks English; where that does not come either, it shows the
 * sentence that it holds itself, and does not begin: this is never fulfilled, and the page is not marked as started.
 */
export async function firstWords() {
  const { lang, dataset } = document.documentElement;
  try {
    return await load(lang).catch(() => load("en"));
  } catch {
    document.querySelector("main").hidden = true;
    document.getElementById("too-old").hidden = false;
    delete dataset.started;
    return new Promise(() => {});
  }
}

/**
 * The words of another language; null: one more was asked for meanwhile.
 *
 * @param {string} lang a key of LANGUAGES
 * @throws {Error} they cannot be loaded
 */
export async function otherWords(lang) {
  asked += 1;
  const mine = asked;
  const words = await load(lang);
  return mine === asked ? words : null;
}

async function load(lang) {
  const answer = await fetch(`${document.documentElement.dataset.words}${codeOf(lang)}.json`);
  if (!answer.ok) throw new Error(`no words: ${answer.status}`);
  return { ...treeOf(await answer.json(), lang), lang };
}

/** How a language is called in files and addresses: `pt` for `pt-BR`. */
export function codeOf(lang) {
  return lang.split("-")[0];
}

/** @param {object} texts as in the files */
export function treeOf(texts, lang) {
  return Object.fromEntries(Object.entries(texts).map(([name, text]) => [name, leafOrTree(text, lang)]));
}

function leafOrTree(text, lang) {
  if (typeof text === "object" && !("plural" in text)) return treeOf(text, lang);
  const isPlain = typeof text === "string" && text.search(PLACEHOLDER) === -1;
  return isPlain ? text : (values) => fillIn(text, values, lang);
}

function fillIn(text, values, lang) {
  const { plural } = text;
  const form = plural ? plural[new Intl.PluralRules(lang).select(values.count)] ?? plural.other : text;
  return form.replace(PLACEHOLDER, (_, name) => {
    const value = typeof values[name] === "number" ? number(values[name]) : values[name];
    return isolated(String(value), lang);
  });
}

/** The words with those of `special` in place of what is called the same, filled in with these values. */
export function specialWords(words, special, values) {
  const own = Object.entries(special).map(([name, word]) => [
    name,
    typeof word === "function" ? word(values) : specialWords(words[name], word, values),
  ]);
  return { ...words, ...Object.fromEntries(own) };
}

/** A leaf as text, whether it has placeholders or not. */
export function said(leaf, values) {
  return typeof leaf === "function" ? leaf(values) : leaf;
}

/** The word that a path such as `action.join` names. */
export function wordAt(words, path) {
  return path.split(".").reduce((some, name) => some[name], words);
}

/** Let the page speak: its language and direction, and all that stands still on it. */
export function speak(words) {
  const { lang } = words;
  document.documentElement.lang = lang;
  document.documentElement.dir = directionOf(lang);
  for (const element of document.querySelectorAll("[data-say]")) {
    element.textContent = wordAt(words, element.dataset.say);
  }
  for (const element of document.querySelectorAll("[data-label]")) {
    const label = wordAt(words, element.dataset.label);
    element.setAttribute("aria-label", label);
    if (element.matches("button")) element.title = label;
  }
  for (const select of document.querySelectorAll("select.languages")) select.value = lang;
}

/** Let every choice of a language offer them all. @param {function(string): void} choose called with a key of LANGUAGES */
export function offerLanguages(choose) {
  for (const select of document.querySelectorAll("select.languages")) {
    for (const [lang, name] of Object.entries(LANGUAGES)) {
      const option = new Option(name, lang);
      option.lang = lang;
      select.append(option);
    }
    select.addEventListener("change", () => choose(select.value));
    openByEnter(select);
  }
}
