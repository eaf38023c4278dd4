/**
 * Messages between the windows of a page and its frame. A posted one would wait until the next picture is drawn.
 */

/**
 * Have another window of this site hear a message now.
 * @param {Window} to
 * @param {object} data
 */
export function tellAtOnce(to, data) {
  to.dispatchEvent(new MessageEvent("message", { data, origin: location.origin, source: window }));
}
