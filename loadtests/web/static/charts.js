// Small charts as SVG: axes with units, lines with a legend, bars. Colours and dashes are the style
// sheet's: a line has the class s0, s1, ...

import { el, figure, setText, svg } from "./dom.js";

const LEFT = 52, RIGHT = 14, TOP = 24, BOTTOM = 34;
export const HUES = 8;

// Round numbers from low (0 or more) to high: steps of 1, 2 or 5 times a power of ten.
export function ticks(low, high, about) {
  if (!(high > low)) return [low];
  const power = 10 ** Math.floor(Math.log10((high - low) / about));
  const step = [1, 2, 5, 10].map((n) => n * power).find((s) => (high - low) / s <= about + 0.01);
  const found = [];
  for (let n = Math.max(0, Math.ceil(low / step - 1e-9)); n <= high / step + 1e-9; n += 1) found.push(n * step);
  return found;
}

// Seconds, minutes or hours: the ticks of a time axis, in seconds, and how they are written.
function timeAxis(from, to, about) {
  const [unit, length] = to - from > 7200 ? ["hours", 3600] : to - from > 300 ? ["minutes", 60] : ["seconds", 1];
  const at = ticks(from / length, to / length, about).map((n) => n * length);
  return { at, unit, show: (t) => figure(Math.round((t / length) * 100) / 100) };
}

// Lines over time into an <svg>.
// spec: {label, unit, series: [{hue, points: [{t, value}]}], from, to, high, marks: [{t, n}],
//        isWhole (nothing between whole numbers), isLast (write the time axis' unit),
//        at (where the pointer is), summary (what it shows, in words)}
export function drawLines(node, spec) {
  const width = Math.max(260, node.clientWidth || 0), height = node.clientHeight || 200;
  const most = Math.max(0, ...spec.series.flatMap((s) => s.points.map((p) => p.value ?? 0)));
  const high = spec.high ?? (most > 0 ? most * 1.08 : 1);
  const bottom = height - (spec.isLast === false ? 18 : BOTTOM);
  const x = (t) => LEFT + ((t - spec.from) / (spec.to - spec.from)) * (width - LEFT - RIGHT);
  const y = (value) => bottom - (Math.min(value, high) / high) * (bottom - TOP);
  const shapes = [svg("title", {}, spec.summary), text(LEFT - 46, 12, spec.label, "unit", "start")];
  for (const value of ticks(0, high, height > 150 ? 5 : 3)) {
    if (spec.isWhole && !Number.isInteger(value)) continue;
    shapes.push(line(LEFT, y(value), width - RIGHT, y(value), value === 0 ? "axis" : "grid"));
    shapes.push(text(LEFT - 8, y(value) + 4, figure(value), "tick", "end"));
  }
  shapes.push(...drawTime(spec, x, bottom, width, height));
  for (const mark of spec.marks ?? []) {
    if (mark.t < spec.from) continue;
    shapes.push(line(x(mark.t), TOP, x(mark.t), bottom, "mark"));
    if (mark.n) shapes.push(text(x(mark.t), TOP - 5, String(mark.n), "mark-number", "middle"));
  }
  for (const { hue, points } of spec.series) {
    // The middle of a stretch that has only begun lies ahead of now.
    const shown = points.filter(({ t }) => t >= spec.from);
    shapes.push(...drawSeries(shown.map(({ t, value }) => ({ t: Math.min(t, spec.to), value })), x, y, hue));
  }
  if (spec.at !== null && spec.at !== undefined) shapes.push(line(x(spec.at), TOP, x(spec.at), bottom, "pointer"));
  node.setAttribute("viewBox", `0 0 ${width} ${height}`);
  node.replaceChildren(...shapes);
  // Where the pointer is, in seconds; null outside of the plot.
  return (pixels) => {
    const t = spec.from + ((pixels - LEFT) / (width - LEFT - RIGHT)) * (spec.to - spec.from);
    return t >= spec.from && t <= spec.to ? t : null;
  };
}

function drawTime(spec, x, bottom, width, height) {
  const { at, unit, show } = timeAxis(spec.from, spec.to, width / 90);
  const shapes = at.map((t) => text(x(t), bottom + 14, show(t), "tick", "middle"));
  if (spec.isLast !== false) {
    shapes.push(text((LEFT + width - RIGHT) / 2, height - 4, `${unit} since the start`, "unit", "middle"));
  }
  return shapes;
}

// A line through the points, broken where a value is missing; a point alone is a dot.
function drawSeries(points, x, y, hue) {
  const shapes = [];
  let run = [];
  const end = () => {
    const at = run.map((p) => `${x(p.t).toFixed(1)},${y(p.value).toFixed(1)}`);
    if (run.length > 1) shapes.push(svg("polyline", { points: at.join(" "), class: `line s${hue}` }));
    if (run.length === 1) {
      shapes.push(svg("circle", { cx: x(run[0].t), cy: y(run[0].value), r: 2.5, class: `dot s${hue}` }));
    }
    run = [];
  };
  for (const point of points) {
    if (point.value === null || point.value === undefined) end();
    else run.push(point);
  }
  end();
  return shapes;
}

// Histograms below each other with one common axis of lengths.
// rows: [{title, meaning, bounds_ms, counts, hue}], all with the same bounds.
export function drawHistograms(node, rows) {
  const width = Math.max(260, node.clientWidth || 0);
  const rowHeight = 58, height = TOP + rows.length * rowHeight + BOTTOM;
  const bounds = rows[0].bounds_ms;
  const labels = [...bounds.map(figure), `>${figure(bounds.at(-1))}`];
  const [first, last] = filled(rows);
  const slot = (width - LEFT - RIGHT) / (last - first + 1);
  const shapes = [];
  rows.forEach((row, index) => {
    const base = TOP + (index + 1) * rowHeight - 8;
    shapes.push(...drawBars(row, { base, room: rowHeight - 26, first, last, slot, width, labels }));
  });
  const every = Math.max(1, Math.ceil(34 / slot));
  for (let i = first; i <= last; i += 1) {
    if ((i - first) % every) continue;
    shapes.push(text(LEFT + (i - first + 0.5) * slot, height - BOTTOM + 10, labels[i], "tick", "middle"));
  }
  shapes.push(text((LEFT + width - RIGHT) / 2, height - 4, "milliseconds, upper end of each bar", "unit", "middle"));
  node.setAttribute("viewBox", `0 0 ${width} ${height}`);
  node.style.height = `${height}px`;
  node.replaceChildren(svg("title", {}, "How long each window was"), ...shapes);
}

function drawBars(row, { base, room, first, last, slot, width, labels }) {
  const n = sum(row.counts), most = Math.max(...row.counts);
  const shapes = [
    text(LEFT, base - room - 5, row.title, "row-title", "start"),
    text(width - RIGHT, base - room - 5, `n = ${figure(n)}, median ${median(row)}`, "tick", "end"),
    line(LEFT, base, width - RIGHT, base, "axis"),
    text(LEFT - 8, base - room + 8, percent(most / n), "tick", "end"),
    text(LEFT - 8, base, "0", "tick", "end"),
  ];
  for (let i = first; i <= last; i += 1) {
    if (!row.counts[i]) continue;
    // One among thousands must still be seen.
    const high = Math.max(1.5, (row.counts[i] / most) * room);
    const tip = svg("title", {}, `${labels[i]} ms: ${figure(row.counts[i])} of ${figure(n)}`);
    const box = { x: LEFT + (i - first) * slot + 1, y: base - high, width: Math.max(1, slot - 2), height: high };
    shapes.push(svg("rect", { ...box, class: `bar s${row.hue}` }, tip));
  }
  return shapes;
}

// The first and the last bucket that any row uses, and one empty one on either side.
function filled(rows) {
  const used = rows[0].counts.map((_, i) => rows.some((row) => row.counts[i] > 0));
  return [Math.max(0, used.indexOf(true) - 1), Math.min(used.length - 1, used.lastIndexOf(true) + 1)];
}

function median({ bounds_ms: bounds, counts }) {
  let seen = 0;
  const half = sum(counts) / 2;
  const index = counts.findIndex((count) => (seen += count) >= half);
  return index < bounds.length ? `≤ ${figure(bounds[index])} ms` : `> ${figure(bounds.at(-1))} ms`;
}

// A legend of [{hue, name, value}] as a list.
export function drawLegend(list, entries) {
  entries.forEach((entry, index) => {
    const item = list.children[index] ?? list.appendChild(legendItem());
    item.firstChild.firstChild.setAttribute("class", `line s${entry.hue}`);
    setText(item.children[1], entry.name);
    setText(item.children[2], entry.value);
  });
  while (list.children.length > entries.length) list.lastChild.remove();
}

function legendItem() {
  const swatch = svg("svg", { viewBox: "0 0 26 8", class: "swatch", "aria-hidden": "true" });
  swatch.append(svg("line", { x1: 0, y1: 4, x2: 26, y2: 4 }));
  return el("li", {}, swatch, el("span", { class: "name" }), el("span", { class: "value" }));
}

const sum = (values) => values.reduce((a, b) => a + b, 0);
const percent = (part) => `${figure(Math.round(part * 100))} %`;

function line(x1, y1, x2, y2, classes) {
  return svg("line", { x1, y1, x2, y2, class: classes });
}

function text(x, y, words, classes, anchor) {
  return svg("text", { x, y, class: classes, "text-anchor": anchor }, words);
}
