/**
 * How callnet is: in a word, and each thing that it needs, of each of its processes.
 */

import { Rows, el, put, tell } from "./elements.js";
import { count, running } from "./format.js";

const STATES = {
  starting: "Asking…",
  ready: "Ready",
  ill: "Not ready",
  draining: "Draining",
  late: "Waiting for an answer",
  away: "No answer",
};

/** The state in one of the words of STATES. */
export function stateOf({ link, report }) {
  const isLate = link === "late";
  if (link !== "well" && !isLate) return link;
  if (report.ready) return isLate ? "late" : "ready";
  return report.checks.listeners?.why === "draining" ? "draining" : "ill";
}

/** The processes, each with a line for each of its checks. */
function processesOf({ checks, workers = {} }) {
  const lines = (all) => Object.entries(all).map(([name, { ok, why }]) => ({ name, ok, says: ok ? "ready" : why }));
  const own = Object.keys(workers).length > 0 ? "Parent" : "This process";
  const each = Object.entries(workers).map(([number, report]) => [`Worker ${number}`, report.checks]);
  return new Map([[own, checks], ...each].map(([process, all]) => [process, { process, lines: lines(all) }]));
}

/** A node of the cluster as a line. */
function lineOfNode({ node, here, lease, holds }) {
  const says = lease < 0 ? `dead for ${running(-lease)}` : `${here ? "here, " : ""}holds ${count(holds)}`;
  return { name: node, ok: lease >= 0, says };
}

function row() {
  const [name, state] = [el("span", { class: "name" }), el("span", { class: "state" })];
  const element = el("li", {}, name, state);
  return {
    element,
    update: ({ name: what, ok, says }) => {
      element.className = ok ? "ok" : "wrong";
      put(name, what);
      put(state, says);
    },
  };
}

function group({ process }) {
  const list = el("ul");
  const rows = new Rows(list, row);
  return {
    element: el("li", { class: "process" }, el("h3", {}, process), list),
    update: ({ lines }) => rows.show(new Map(lines.map((line) => [line.name, line]))),
  };
}

export class Health {
  #parts;
  #groups;
  #nodes;

  constructor() {
    const part = (name) => document.getElementById(name);
    this.#parts = { state: part("state"), nodes: part("nodes"), problem: part("nodes-problem") };
    this.#groups = new Rows(part("processes"), group);
    this.#nodes = new Rows(part("nodes-rows"), row);
  }

  /** @param {import("./facts.js").Facts} facts */
  show(facts) {
    const state = stateOf(facts);
    document.body.dataset.state = state;
    put(this.#parts.state, STATES[state]);
    document.title = state === "ready" ? "callnet" : `${STATES[state]} · callnet`;
    if (facts.report !== null) this.#groups.show(processesOf(facts.report));
    const { list } = facts.lists.nodes ?? { list: [] };
    this.#nodes.show(new Map(list.map((node) => [node.node, lineOfNode(node)])));
    tell(this.#parts.problem, facts.problems.nodes);
    this.#parts.nodes.hidden = list.length === 0 && facts.problems.nodes === "";
  }
}
