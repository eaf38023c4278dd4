/**
 * The few things that all parts of the view do to the page's elements.
 */

/** Every element of the page that has an id, by its id. */
export const elements = Object.fromEntries(
  Array.from(document.querySelectorAll("[id]"), (element) => [element.id, element]),
);

/** Put a text in its place, which is hidden while there is none. */
export function put(id, text) {
  const element = elements[id];
  if (element.textContent !== text) element.textContent = text;
  element.hidden = text === "";
}

/** Show another symbol of the page's own. The same one set again would be built and styled again. */
export function draw(id, symbol) {
  const href = `#i-${symbol}`;
  if (elements[id].getAttribute("href") !== href) elements[id].setAttribute("href", href);
}

/** Let an element have these children and no others. */
export function fill(element, children) {
  element.textContent = "";
  element.append(...children);
}

/** Let a video show a stream, or nothing. */
export function attach(video, stream) {
  if (video.srcObject !== stream) video.srcObject = stream;
}

/** Whether an element is to be seen on the page, or would be if the page were scrolled. */
export function isShown(element) {
  return element.getClientRects().length > 0 && getComputedStyle(element).visibility === "visible";
}

/** What can have the focus within an element now, in order. */
export function focusable(element) {
  const all = element.querySelectorAll("input, select, textarea, button, a[href], [tabindex='0']");
  return Array.from(all).filter((one) => isShown(one) && !one.disabled);
}
