/**
 * What this browser remembers of the person's choices, if it may remember anything.
 */

/** What was remembered under a name; "" if nothing. */
export function recall(name) {
  try {
    return localStorage.getItem(`callnet.${name}`) ?? "";
  } catch {
    return ""; // Storage is blocked.
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(`callnet.${name}`, value);
  } catch {
    // It is chosen again next time.
  }
}
