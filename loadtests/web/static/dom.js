// Making and changing elements, and writing figures down. Text enters the page as text, never as
// markup: names and rules come from elsewhere.

const SVG = "http://www.w3.org/2000/svg";

export function el(tag, attributes = {}, ...children) {
  return fill(document.createElement(tag), attributes, children);
}

export function svg(tag, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, tag), attributes, children);
}

function fill(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value !== null) node.setAttribute(name, value);
  }
  node.append(...children);
  return node;
}

export const byId = (id) => document.getElementById(id);

// Only what differs is touched: a selection or a screen reader's place survives the next poll.
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

// Keep one child per key, in the order of the items; `make` builds it, `update` fills it.
export function keyed(parent, items, keyOf, make, update) {
  const had = new Map([...parent.children].map((node) => [node.dataset.key, node]));
  items.forEach((item, index) => {
    const key = keyOf(item);
    const node = had.get(key) ?? make(item);
    had.delete(key);
    node.dataset.key = key;
    update(node, item);
    if (parent.children[index] !== node) parent.insertBefore(node, parent.children[index] ?? null);
  });
  for (const gone of had.values()) gone.remove();
}

const whole = new Intl.NumberFormat("en", { maximumFractionDigits: 0 });

// As short as it may be: 0.05, 12.3, 1,234.
export function figure(value) {
  if (value === null || value === undefined) return "–";
  if (Math.abs(value) >= 100 || Number.isInteger(value)) return whole.format(value);
  return String(Number(value.toPrecision(3)));
}

export const ratio = (value) => (value === null || value === undefined ? "–" : value.toFixed(3));

export function duration(seconds) {
  const s = Math.floor(seconds);
  const two = (n) => String(n).padStart(2, "0");
  const minutes = `${Math.floor(s / 60) % 60}:${two(s % 60)}`;
  return s < 3600 ? minutes : `${Math.floor(s / 3600)}:${minutes.padStart(5, "0")}`;
}
