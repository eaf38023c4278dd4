/**
 * The links in what somebody wrote. Only whole addresses of the web are links.
 */

const ADDRESS = /https?:\/\/[^\s<>"“”「」『』，。！？；：、]+/gi;
/** What ends a sentence rather than an address. */
const TAIL = /[.,;:!?'"…*_~]+$/;
const PAIRS = { ")": "(", "]": "[", "}": "{" };

/** A text in parts, in order: `{text, href}`, `href` null for what is no link. */
export function linked(text) {
  const parts = [];
  let end = 0;
  for (const match of text.matchAll(ADDRESS)) {
    const address = trimmed(match[0]);
    const href = hrefOf(address);
    if (href === null) continue;
    if (match.index > end) parts.push({ text: text.slice(end, match.index), href: null });
    parts.push({ text: address, href });
    end = match.index + address.length;
  }
  if (end < text.length) parts.push({ text: text.slice(end), href: null });
  return parts;
}

// A closing bracket belongs to the address if it has the opening one, too.
function trimmed(address) {
  const shorter = address.replace(TAIL, "");
  const last = shorter.slice(-1);
  const count = (sign) => shorter.split(sign).length;
  if (last in PAIRS && count(last) > count(PAIRS[last])) return trimmed(shorter.slice(0, -1));
  return shorter;
}

function hrefOf(address) {
  try {
    const url = new URL(address);
    return url.username === "" && url.password === "" ? url.href : null;
  } catch {
    return null;
  }
}
