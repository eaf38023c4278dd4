/**
 * Reads what Prometheus reads (text format 0.0.4).
 */

const LINE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})?\s+(\S+)/;
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"/g;
const ESCAPED = { "\\\\": "\\", '\\"': '"', "\\n": "\n" };
const INFINITIES = { "+Inf": Infinity, "-Inf": -Infinity };

/**
 * The numbers in a text, by their names. Lines that are none are passed over.
 * @param {string} text
 * @returns {Map<string, {labels: Object<string, string>, value: number}[]>}
 */
export function numbersIn(text) {
  const numbers = new Map();
  for (const line of text.split("\n")) {
    const [, name, labels = "", value] = LINE.exec(line) ?? [];
    if (name === undefined) continue;
    if (!numbers.has(name)) numbers.set(name, []);
    numbers.get(name).push({ labels: labelsIn(labels), value: INFINITIES[value] ?? Number(value) });
  }
  return numbers;
}

function labelsIn(text) {
  const found = Array.from(text.matchAll(LABEL));
  return Object.fromEntries(found.map(([, name, value]) => [name, value.replace(/\\[\\"n]/g, (one) => ESCAPED[one])]));
}

/** The sum of the numbers of a name, of those with a label's value if one is given; null if there are none. */
export function sumOf(numbers, name, label, value) {
  const samples = (numbers.get(name) ?? []).filter(({ labels }) => label === undefined || labels[label] === value);
  return samples.length === 0 ? null : samples.reduce((sum, sample) => sum + sample.value, 0);
}

/** The numbers of a name by the value of a label. */
export function numbersBy(numbers, name, label) {
  return new Map((numbers.get(name) ?? []).map(({ labels, value }) => [labels[label], value]));
}
