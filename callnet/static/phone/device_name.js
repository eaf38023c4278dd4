/**
 * A name for this device that its owner recognizes in a list, such as `Windows, Chrome`.
 */

const SYSTEMS = [
  [/\bTV\b|SMART-TV|SmartTV|HbbTV|Web0S|BRAVIA|\bAFT[A-Z]/, "Television"],
  [/iPhone/, "iPhone"],
  [/iPad/, "iPad"],
  [/Android.*Mobile/, "Android phone"],
  [/Android/, "Android tablet"],
  [/CrOS/, "Chromebook"],
  [/Windows/, "Windows"],
  [/Mac OS X/, "Mac"],
  [/Linux/, "Linux"],
];
/** Most name those before them too. */
const BROWSERS = [
  [/\bEdgA?\//, "Edge"],
  [/\bOPR\//, "Opera"],
  [/SamsungBrowser/, "Samsung Internet"],
  [/Firefox|FxiOS/, "Firefox"],
  [/Chrome|CriOS/, "Chrome"],
  [/Safari/, "Safari"],
];

/** The name by a browser's user agent. */
export function nameFrom(userAgent) {
  const found = [SYSTEMS, BROWSERS].map((kinds) => kinds.find(([pattern]) => pattern.test(userAgent)));
  return found.filter(Boolean).map(([, name]) => name).join(", ") || "Browser";
}
