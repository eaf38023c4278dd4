/**
 * Giving somebody a link: to copy, or to photograph.
 */

const BLACK = [0, 0, 0];
const WHITE = [255, 255, 255];

/**
 * Put what a field holds on the clipboard; where the browser does not let the page do that, it is left selected.
 * @param {HTMLInputElement} field
 * @returns {Promise<boolean>} whether it is there
 */
export async function copy(field) {
  try {
    await navigator.clipboard.writeText(field.value);
    return true;
  } catch {
    field.focus();
    field.select();
    return document.execCommand("copy");
  }
}

/** Draw a text as a QR code. */
export async function drawCode(canvas, text) {
  const { generate } = await import("../vendor/lean-qr.js");
  generate(text).toCanvas(canvas, { on: BLACK, off: WHITE });
}
