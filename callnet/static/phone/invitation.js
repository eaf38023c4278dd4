/**
 * Links that are given to somebody else, such as the one of this site: to send, to copy or to photograph.
 */

import { copy, drawCode } from "../shared/link.js";
import { el } from "../shared/elements.js";

/** What only this machine itself can open. */
const LOOPBACK = /^(localhost|127(\.\d+){3}|\[::1\])$/;

/**
 * @param {string} own the number under which this phone can be called
 * @param {object} words
 * @param {function} say called with a sentence
 * @param {"main" | "plain"} look of its first button
 * @param {...HTMLElement} more buttons beside those of the link
 */
export function invitation(own, words, say, look, ...more) {
  const { hint, link: label, message } = words.invitation;
  return linkToGive(`${location.origin}/`, { hint, label, message: message({ phone: own }) }, words, say, look, ...more);
}

/**
 * A link to send, to copy or to photograph.
 * @param {string} link
 * @param {{hint: string, label: string, message: string}} texts what to do with it; its name, read aloud; what is sent with it
 */
export function linkToGive(link, { hint, label, message }, { invitation: texts }, say, look, ...more) {
  const code = el("canvas", { class: "code", role: "img", "aria-label": texts.code });
  drawCode(code, link);
  const field = el("input", {
    type: "text",
    class: "field",
    readonly: true,
    dir: "ltr",
    value: link,
    "aria-label": label,
    "data-key": "link",
    onfocus: () => field.select(),
  });
  const share = () => navigator.share({ text: message, url: link }).catch(() => {}); // thought better of it
  const put = async () => {
    const sentence = (await copy(field)) ? "copied" : "not_copied";
    say((now) => now.invitation[sentence]);
  };
  const canShare = "share" in navigator;
  return el(
    "div",
    { class: "invitation" },
    code,
    el(
      "div",
      { class: "ways" },
      el("p", { class: "hint" }, LOOPBACK.test(location.hostname) ? texts.local : hint),
      field,
      el(
        "div",
        { class: "buttons" },
        ...(canShare ? [el("button", { type: "button", class: look, "data-key": "share", onclick: share }, texts.share)] : []),
        el("button", { type: "button", class: canShare ? "plain" : look, "data-key": "copy", onclick: put }, texts.copy),
        ...more,
      ),
    ),
  );
}
