// The table of readers: a group of rows for each place, a row for each kind of reader.

import { el, figure, keyed, ratio, setText, svg } from "./dom.js";

const COLUMNS = 20;
const BAR = 72;

export function showReaders(table, readers) {
  const places = [...new Set(readers.map((row) => row.place))];
  const bodies = places.map((place) => ({ place, rows: readers.filter((r) => r.place === place) }));
  // The head is the first child and keeps its place under a key of its own.
  const head = table.tHead;
  head.dataset.key = "";
  keyed(table, [{ place: "" }, ...bodies], (body) => body.place, makeBody, (node, { place, rows }) => {
    if (place) keyed(node, [{ name: place }, ...rows], (row) => row.name, makeRow, updateRow);
  });
}

function makeBody() {
  return el("tbody");
}

function makeRow(row) {
  if (!("requests" in row)) {
    const title = el("th", { scope: "rowgroup", colspan: COLUMNS }, `On ${withArticle(row.name)}`);
    return el("tr", { class: "group" }, title);
  }
  const cells = Array.from({ length: COLUMNS - 2 }, () => el("td", { class: "number" }));
  const node = el("tr", {}, el("th", { scope: "row" }), el("td"), ...cells);
  node.children[6].append(svg("svg", { class: "interval", viewBox: `0 0 ${BAR} 12`, "aria-hidden": "true" }));
  return node;
}

// Places are called "slow member" or "leader", but also "another follower".
const withArticle = (place) => (/^(an?|another) /.test(place) ? place : `the ${place}`);

function updateRow(node, row) {
  if (!("requests" in row)) return;
  const { latency_ms: price, window_ms: window, lag_txns: lag, interval } = row;
  const texts = [
    `${row.operation}: ${row.session}`,
    row.mitigation,
    figure(row.requests),
    figure(row.stale),
    ratio(row.ratio),
    interval ? `${ratio(interval[0])}–${ratio(interval[1])}` : "–",
    null,
    ...["p50", "p95", "p99"].map((key) => figure(price?.[key])),
    ...["median", "p95", "p99", "max"].map((key) => figure(window?.[key])),
    ...["median", "p99", "max"].map((key) => figure(lag?.[key])),
    figure(row.acted_upon),
    figure(row.harmful),
    figure(row.endless),
  ];
  texts.forEach((text, index) => text !== null && setText(node.children[index], text));
  const bad = { 3: row.stale, 4: row.stale, 17: row.acted_upon, 18: row.harmful, 19: row.endless };
  for (const [index, n] of Object.entries(bad)) node.children[index].classList.toggle("bad", n > 0);
  drawInterval(node.children[6].firstChild, row);
}

function drawInterval(node, { ratio: value, interval, stale }) {
  const x = (part) => 3 + part * (BAR - 6);
  const shapes = [svg("line", { x1: x(0), x2: x(1), y1: 6, y2: 6, class: "grid" })];
  if (interval) {
    const classes = stale > 0 ? "seen" : "unseen-stale";
    shapes.push(svg("line", { x1: x(interval[0]), x2: x(interval[1]), y1: 6, y2: 6, class: `span ${classes}` }));
    shapes.push(svg("circle", { cx: x(value), cy: 6, r: 3, class: classes }));
  }
  node.replaceChildren(...shapes);
}
