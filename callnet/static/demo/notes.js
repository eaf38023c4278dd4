/**
 * What the two pages tell each other directly, over the data channel `notes`: JSON text, one object each.
 *
 *   bye                                   this side hung up
 *   state   muted, camera_off, sharing    what this side sends just now: true or false each
 *           paused                        true: its picture waits for a better connection; false if it is left out
 *   chat    text                          1 to 2000 characters
 *   reaction  emoji                       1 to 16 characters: it rises over the pictures once
 *   file    id, name, size                a file is offered: 32 hex digits, 1 to 255 characters, 1 to 8 MiB (files.js)
 *   file_accept  id, says_done            the receiver wants it; true: it will say when it has all; false if it is left out
 *   file_cancel  id                       either side does not want it, or no longer
 *   commit  hash                          64 hex digits, as the next two: the verification (verification.js)
 *   nonce   nonce
 *   reveal  nonce
 *
 * The other page is no friend of ours for certain: what is none of these is as if it had not been said.
 */

/** The most characters of a note as it travels. */
const LONGEST_NOTE = 16_384;
const LONGEST_TEXT = 2_000;
const LONGEST_EMOJI = 16;
const LONGEST_NAME = 255;
/** Bytes of a file. */
export const LARGEST_FILE = 8 * 1024 * 1024;

const isFlag = (value) => typeof value === "boolean";
const isFlagOrNot = (value) => value === undefined || isFlag(value);
const isDigits = (value) => typeof value === "string" && /^[0-9a-f]{64}$/.test(value);
const isTextUpTo = (longest) => (value) => {
  return typeof value === "string" && value !== "" && Array.from(value).length <= longest;
};
const isId = (value) => typeof value === "string" && /^[0-9a-f]{32}$/.test(value);
const isSize = (value) => Number.isInteger(value) && value >= 1 && value <= LARGEST_FILE;

const FIELDS = new Map([
  ["bye", {}],
  ["state", { muted: isFlag, camera_off: isFlag, sharing: isFlag, paused: isFlagOrNot }],
  ["chat", { text: isTextUpTo(LONGEST_TEXT) }],
  ["reaction", { emoji: isTextUpTo(LONGEST_EMOJI) }],
  ["file", { id: isId, name: isTextUpTo(LONGEST_NAME), size: isSize }],
  ["file_accept", { id: isId, says_done: isFlagOrNot }],
  ["file_cancel", { id: isId }],
  ["commit", { hash: isDigits }],
  ["nonce", { nonce: isDigits }],
  ["reveal", { nonce: isDigits }],
]);

/** The note that came as `data`; null: it is none. */
export function readNote(data) {
  const note = parse(data);
  const fields = FIELDS.get(note?.kind);
  if (fields === undefined) return null;
  return Object.entries(fields).every(([name, isGood]) => isGood(note[name])) ? note : null;
}

function parse(data) {
  if (typeof data !== "string" || data.length > LONGEST_NOTE) return null;
  try {
    return JSON.parse(data);
  } catch {
    return null;
  }
}
