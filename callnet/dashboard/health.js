/**
 * How callnet is: in a word, and each thing that it needs, of each of its processes.
 */

import { Rows, complain, el, put } from "./elements.js";
import { running } from "./format.js";
import { check, fault } from "./sentences.js";

/** The state: `starting`, `ready`, `ill`, `draining`, `late`, `away`. */
export function stateOf({ link, report }) {
  const isLate = link === "late";
  if (link !== "well" && !isLate) return link;
  if (report.ready) return isLate ? "late" : "ready";
  return report.checks.listeners?.why === "draining" ? "draining" : "ill";
}

/** The processes, each with a line for each of its checks. */
function processesOf({ checks, workers = {} }, words) {
  const { health } = words;
  const line = ([name, { ok, why }]) => ({ name: check(words, name), ok, says: ok ? health.ok : fault(words, why) });
  const lines = (all) => Object.entries(all).map(line);
  const own = Object.keys(workers).length > 0 ? health.parent : health.process;
  const each = Object.entries(workers).map(([number, report]) => [health.worker({ number }), report.checks]);
  return new Map([[own, checks], ...each].map(([process, all]) => [process, { process, lines: lines(all) }]));
}

/** A node of the cluster as a line. */
function lineOfNode({ node, here, lease, holds: count }, { health }) {
  const alive = here ? health.here : health.holds;
  return { name: node, ok: lease >= 0, says: lease < 0 ? health.dead({ time: running(-lease) }) : alive({ count }) };
}

function row() {
  const [name, state] = [el("span", { class: "name", dir: "auto" }), el("span", { class: "state", dir: "auto" })];
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

  /**
   * @param {import("./facts.js").Facts} facts
   * @param {object} words
   */
  show(facts, words) {
    const state = stateOf(facts);
    document.body.dataset.state = state;
    put(this.#parts.state, words.state[state]);
    document.title = state === "ready" ? "callnet" : `${words.state[state]} · callnet`;
    if (facts.report !== null) this.#groups.show(processesOf(facts.report, words));
    const { list } = facts.lists.nodes ?? { list: [] };
    this.#nodes.show(new Map(list.map((node) => [node.node, lineOfNode(node, words)])));
    complain(this.#parts.problem, facts.problems.nodes, words);
    this.#parts.nodes.hidden = list.length === 0 && facts.problems.nodes === null;
  }
}
