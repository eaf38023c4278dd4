/**
 * Remote controls have arrows and OK, and nothing else: arrows go to the next thing in that direction.
 */

const DIRECTIONS = {
  ArrowLeft: { along: "x", across: "y", sign: -1 },
  ArrowRight: { along: "x", across: "y", sign: 1 },
  ArrowUp: { along: "y", across: "x", sign: -1 },
  ArrowDown: { along: "y", across: "x", sign: 1 },
};
/** What lies to the side of the way counts as so much further away. */
const ASIDE = 3;

/** What can have the focus now, in order. */
export function controls() {
  const all = document.querySelectorAll("input, select, button, iframe");
  return Array.from(all).filter((element) => isSeen(element) && !element.disabled);
}

function isSeen(element) {
  return element.offsetParent !== null && getComputedStyle(element).visibility === "visible";
}

/** Have arrows and OK reach everything. `main()` is what matters most now, where they begin. */
export function followArrows(main) {
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const focused = document.activeElement;
    const isSomewhere = focused !== null && focused !== document.body && focused.offsetParent !== null;
    const direction = DIRECTIONS[event.key];
    if (!isSomewhere && (direction || event.key === "Enter")) {
      event.preventDefault();
      main()?.focus();
    } else if (direction && isSomewhere && !isNeededBy(focused, event.key)) {
      const next = nextTo(focused, direction);
      if (next === null) return;
      event.preventDefault();
      next.focus();
      next.scrollIntoView({ block: "nearest" });
    }
  });
}

/** Whether the element itself makes use of a key. */
function isNeededBy(element, key) {
  // A choice is opened by OK; in a browser that does not open it, left and right choose.
  const isNeeded = element.matches("select") ? !("showPicker" in element) : element.matches("input:not([type='checkbox'])");
  return isNeeded && (key === "ArrowLeft" || key === "ArrowRight");
}

function nextTo(focused, { along, across, sign }) {
  const from = middleOf(focused);
  let nearest = null;
  let least = Infinity;
  for (const element of controls()) {
    const to = middleOf(element);
    const ahead = (to[along] - from[along]) * sign;
    // The middle of what is wide and above may lie to the side, and yet it begins no later.
    const beginsAfter = ahead - (to[`${along}Size`] - from[`${along}Size`]) / 2;
    if (element === focused || ahead <= 1 || beginsAfter <= 1) continue;
    const aside = Math.max(0, Math.abs(to[across] - from[across]) - (to[`${across}Size`] + from[`${across}Size`]) / 2);
    const distance = ahead + ASIDE * aside + Math.abs(to[across] - from[across]) / 10;
    if (distance < least) [nearest, least] = [element, distance];
  }
  return nearest;
}

function middleOf(element) {
  const { left, top, width, height } = element.getBoundingClientRect();
  return { x: left + width / 2, y: top + height / 2, xSize: width, ySize: height };
}
