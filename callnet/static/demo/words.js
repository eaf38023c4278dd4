/**
 * Everything the page says, in the language of whoever is before it.
 */

import { CHINESE } from "./chinese.js";
import { ENGLISH } from "./english.js";

const SPOKEN = { en: { lang: "en", words: ENGLISH }, zh: { lang: "zh-CN", words: CHINESE } };

/** The words for a language such as `zh-CN`, and the language to declare them as. */
export function wordsFor(language) {
  return SPOKEN[isChinese(language) ? "zh" : "en"];
}

/** The other language that the page speaks, in the same form. */
export function otherLanguage(language) {
  return SPOKEN[isChinese(language) ? "en" : "zh"];
}

function isChinese(language) {
  return /^zh\b/i.test(language);
}
