/**
 * The 64 emoji of a code that people compare (docs/verification.md), as clients/python/callnet_client/emoji.py has them.
 * Their order is part of the protocol; words.emojiNames has their names in the same one. All are in Unicode 6.0 and are
 * shown as pictures without a further sign.
 */

export const EMOJI = [
  "🐶", "🐱", "🐰", "🐨", "🐷", "🐵", "🐔", "🐧",
  "🐢", "🐍", "🐘", "🐫", "🐌", "🐙", "🐬", "🐞",
  "🌵", "🌲", "🌹", "🌻", "🍀", "🍄", "🍋", "🍌",
  "🍇", "🍉", "🍒", "🍍", "🌽", "🍔", "🎂", "🍦",
  "☕", "⚽", "🎈", "🎁", "🎸", "🎲", "🔔", "🔑",
  "🔨", "💡", "📺", "💎", "👑", "👓", "👟", "☔",
  "⏰", "⚓", "⛵", "🚲", "🚌", "🚀", "🚁", "🏠",
  "⛺", "🌙", "⭐", "⚡", "⛄", "🌈", "🌍", "📕",
];
