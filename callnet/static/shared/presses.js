/**
 * One press is one deed. A key that is held does nothing again; and who presses what has just come up meant what was there
 * before, so that calls, answers and declines nobody, and hangs up no call that has come back in place of another.
 */

/** Milliseconds within which nobody has seen what has come up. */
export const NOT_MEANT_WITHIN = 600;

let seeing = null;
/** The element on which a press has begun and is not over. */
let pressed = null;

/** Have the page take presses so. What calls, answers or declines has the class `meant`. */
export function guardPresses() {
  const held = (event) => {
    // A text of several lines makes use of it.
    if (event.repeat && event.key === "Enter" && !event.target.matches("textarea")) event.preventDefault();
  };
  const guard = (event) => {
    if (!("new" in document.body.dataset) || event.target.closest(".meant") === null) return;
    event.preventDefault();
    event.stopImmediatePropagation();
  };
  document.addEventListener("keydown", held, true);
  document.addEventListener("click", guard, true); // a key's, too
  const press = ({ target }) => {
    pressed = target;
  };
  const letGo = () => {
    pressed = null;
  };
  document.addEventListener("pointerdown", press, true);
  document.addEventListener("keydown", (event) => event.key === " " && press(event), true); // another key acts when it goes down
  for (const kind of ["pointerup", "pointercancel", "keyup"]) document.addEventListener(kind, letGo, true);
  window.addEventListener("blur", letGo);
}

/** Whether a press on something in an element is not over. If that went out of the page now, the press would do nothing. */
export function isPressed(element) {
  return element.contains(pressed);
}

/** Something else has come up. */
export function beginScene() {
  document.body.dataset.new = "";
  clearTimeout(seeing);
  seeing = setTimeout(() => delete document.body.dataset.new, NOT_MEANT_WITHIN);
}
