/**
 * A line that shows how a number was in the last minutes.
 */

import { MINUTE } from "./figures.js";

const SVG = "http://www.w3.org/2000/svg";
const WIDTH = 100;
const HEIGHT = 30;

/** A picture of the past, empty at first. Those who do not see it miss nothing that they could do something with. */
export class Sparkline {
  #line = document.createElementNS(SVG, "polyline");
  #area = document.createElementNS(SVG, "polygon");

  constructor() {
    this.element = document.createElementNS(SVG, "svg");
    this.element.setAttribute("class", "past");
    this.element.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    this.element.setAttribute("preserveAspectRatio", "none");
    this.element.setAttribute("aria-hidden", "true");
    this.element.append(this.#area, this.#line);
  }

  /**
   * Draw it, from nothing at the bottom to the most at the top, and at first as a part of a minute.
   * @param {[number, number][]} past seconds ago and value, the oldest first
   */
  draw(past) {
    const most = Math.max(...past.map(([, value]) => value), Number.MIN_VALUE);
    const span = Math.max(MINUTE, ...past.map(([seconds]) => seconds));
    const left = ([seconds]) => (WIDTH * (1 - seconds / span)).toFixed(2);
    const top = ([, value]) => ((HEIGHT - 2) * (1 - value / most) + 1).toFixed(2);
    const points = past.length > 1 ? past.map((point) => `${left(point)},${top(point)}`) : [];
    this.#line.setAttribute("points", points.join(" "));
    const area = points.length > 1 ? [`${left(past[0])},${HEIGHT}`, ...points, `${WIDTH},${HEIGHT}`] : [];
    this.#area.setAttribute("points", area.join(" "));
  }
}
