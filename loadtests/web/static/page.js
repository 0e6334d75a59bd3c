// The page "Stale reads": asks for the record of the run once a second and shows it.
//
// The server sends only samples that are new; they are kept here. Nothing is asked while nobody
// looks: the page is in a background tab, or in a frame that Locust's page has hidden.

import { drawHistograms, drawLegend, drawLines, HUES } from "./charts.js";
import { byId, duration, el, figure, keyed, ratio, setText } from "./dom.js";
import { begin as beginLinks } from "./links.js";
import { showReaders } from "./readers.js";
import { binWidth, gaugePoints, latest, ratePoints, ratioPoints } from "./series.js";
import { ask } from "./server.js";

const EVERY_MS = 1000;
const MOST_EVENTS = 50, MOST_NUMBERS = 12;
// The first hue is for what is read without any cure, and looks like an alarm.
const PLAIN_HUE = 5;
const ENDS = ["silence", "crash", "close", "cut"];
let record = null;
let samples = [];
let pointedAt = null;

const isVisible = () => document.visibilityState === "visible" && !window.frameElement?.hidden;

async function look() {
  if (isVisible()) {
    try {
      await refresh();
      byId("trouble").hidden = true;
    } catch (error) {
      setText(byId("trouble"), record ? `${error.message} What is shown is the last that was heard.` : error.message);
      byId("trouble").hidden = false;
    }
  }
  setTimeout(look, EVERY_MS);
}

async function refresh() {
  let heard = await ask(`data?since=${samples.at(-1)?.t ?? -1}`);
  if (heard && heard.setup.started_at !== record?.setup.started_at && samples.length > 0) {
    samples = [];
    heard = await ask("data");
  }
  record = heard;
  if (record === null) samples = [];
  else samples.push(...record.samples);
  show();
}

function show() {
  const readers = record?.readers ?? [];
  byId("no-readers").hidden = readers.length > 0;
  byId("files").hidden = record === null;
  setText(byId("verdict"), record?.verdict ?? "No test has run yet: start one on Locust's own page.");
  showTiles();
  showGroups(readers);
  showReaders(byId("readers"), readers);
  showVoid(record?.void_rounds ?? {});
  showCharts();
  showEvents();
}

function showTiles() {
  const now = samples.at(-1);
  const ends = ENDS.map((how) => [how, record?.ends[how] ?? 0]).filter(([, n]) => n > 0);
  const tiles = [
    ["Run", record ? duration(record.duration_s) : "–"],
    ["Users", figure(now?.users)],
    ["Sessions alive", figure(now?.sessions.alive)],
    ["Closing", figure(now?.sessions.closing)],
    ["Expired so far", figure(now?.sessions.expired)],
    ["Ended by", ends.map(([how, n]) => `${how} ${figure(n)}`).join(" · ") || "–"],
    ...(record?.storms ?? []).slice(-1).map((storm) => ["Last storm", stormWords(storm)]),
  ];
  const make = () => el("div", {}, el("dt"), el("dd"));
  keyed(byId("tiles"), tiles, ([name]) => name, make, (node, [name, value]) => {
    setText(node.children[0], name);
    setText(node.children[1], value);
  });
}

function stormWords({ sessions, gone_everywhere_ms: gone }) {
  return `${figure(sessions)} sessions, ${gone === null ? "not all gone" : `gone in ${figure(gone)} ms`}`;
}

// What one chart of ratios compares: the mitigations of one kind of session in one place.
const groupOf = ({ session, place }) => `${session}, ${place}`;

function showGroups(readers) {
  const groups = [...new Set(readers.map(groupOf))];
  keyed(byId("group"), groups, (group) => group, (group) => el("option", { value: group }, group), () => {});
  byId("group").parentElement.hidden = groups.length === 0;
}

function showVoid(rounds) {
  const reasons = Object.entries(rounds).sort().map(([reason, n]) => `${reason}: ${figure(n)}`);
  setText(byId("void"), reasons.length ? `Rounds without a verdict, counted in no row: ${reasons.join(", ")}` : "");
}

function showCharts() {
  const to = Math.max(record?.duration_s ?? 0, 20);
  const span = Number(byId("span").value) || to;
  const from = Math.max(0, to - span);
  const shown = latest(samples, from);
  const all = record?.events ?? [];
  const marks = all.map(({ t }, index) => ({ t, n: all.length > MOST_NUMBERS ? null : index + 1 }));
  const time = { from, to, marks, at: pointedAt };
  const width = binWidth(to - from);
  showRatio(shown, time, width);
  showSessions(shown, time, width);
  showTouched(shown, time, width);
  showWindows();
}

function showRatio(shown, time, width) {
  const rows = (record?.readers ?? []).filter((row) => groupOf(row) === byId("group").value);
  const series = rows.map((row, index) => ({
    hue: index % HUES,
    row,
    name: lineName(row),
    points: ratioPoints(shown, row.name, width),
  }));
  const legend = series.map(({ hue, name, row, points }) => ({ hue, name, value: valueAt(points, row) }));
  const hasLines = series.some(({ points }) => points.some(({ value }) => value !== null));
  const summary = `Stale ratio over time: ${legend.map((e) => `${e.name} ${e.value}`).join("; ")}`;
  draw("ratio", hasLines, { ...time, label: `stale ratio, each ${figure(width)} s`, high: 1, series, summary });
  drawLegend(byId("ratio-legend"), legend);
}

function lineName({ operation, mitigation }) {
  if (mitigation !== "none") return mitigation;
  return operation === "read" ? "no mitigation" : `${operation}, no mitigation`;
}

// Where the pointer is, that stretch's ratio; else the whole run's.
function valueAt(points, row) {
  const seen = points.filter(({ value }) => value !== null);
  if (pointedAt === null || seen.length === 0) {
    return row.requests ? `${ratio(row.ratio)} (${figure(row.stale)} of ${figure(row.requests)})` : "no read yet";
  }
  const near = seen.reduce((a, b) => (Math.abs(b.t - pointedAt) < Math.abs(a.t - pointedAt) ? b : a));
  return `${ratio(near.value)} (${near.words}) at ${duration(near.t)}`;
}

function showSessions(shown, time, width) {
  const gauges = ["alive", "closing"].map((kind) => [
    kind, `sessions ${kind}`, gaugePoints(shown, (sample) => sample.sessions[kind] ?? null),
  ]);
  const expired = ratePoints(shown, (sample) => sample.sessions.expired ?? null, width, true);
  const rows = [...gauges, ["expired", "sessions expired each second", expired]];
  // Numbers of events stand above the first only: above the others are their titles.
  const marks = time.marks.map(({ t }) => ({ t, n: null }));
  rows.forEach(([id, label, points], index) => {
    const series = [{ hue: PLAIN_HUE, points }];
    const isLast = id === "expired", isWhole = !isLast;
    const spec = { ...time, label, series, isWhole, isLast, summary: label };
    draw(id, points.length > 0, index > 0 ? { ...spec, marks } : spec);
  });
}

function showTouched(shown, time, width) {
  const keyOf = ({ link, rule }) => `${link}: ${rule}`;
  const keys = [...new Set(shown.flatMap((sample) => sample.links.map(keyOf)))];
  const touchedBy = (key) => (sample) => sample.links.find((rule) => keyOf(rule) === key)?.touched ?? null;
  const series = keys.slice(0, HUES).map((key, index) => {
    const points = ratePoints(shown, touchedBy(key), width, false);
    return { hue: (index + PLAIN_HUE) % HUES, key, points };
  });
  const summary = `Messages touched each second: ${keys.join("; ")}`;
  draw("touched", series.length > 0, { ...time, label: "messages each second", series, summary });
  drawLegend(byId("touched-legend"), series.map(({ hue, key }) => {
    const last = samples.findLast((sample) => touchedBy(key)(sample) !== null);
    return { hue, name: key, value: `${figure(last && touchedBy(key)(last))} touched` };
  }));
}

function showWindows() {
  const { W0, W1, W2 } = record?.windows ?? {};
  const members = Object.entries(W2 ?? {}).map(([sid, histogram]) => [`W2 on member ${sid}`, histogram, PLAIN_HUE]);
  const rows = [["W0", W0, 3], ["W1", W1, 1], ...members]
    .filter(([, histogram]) => histogram?.counts.some((count) => count > 0))
    .map(([title, histogram, hue]) => ({ title, hue, ...histogram }));
  reveal("windows", rows.length > 0);
  if (rows.length > 0) drawHistograms(byId("windows"), rows);
}

function draw(id, hasData, spec) {
  reveal(id, hasData);
  if (hasData) timeAt[id] = drawLines(byId(id), spec);
}

// A chart, or the words that stand for it while it has nothing to show.
function reveal(id, hasData) {
  byId(id).style.display = hasData ? "" : "none";
  const chart = byId(id).parentElement;
  const isEmpty = [...chart.querySelectorAll("svg")].every((node) => node.style.display === "none");
  chart.querySelector(".empty").hidden = !isEmpty;
}

const timeAt = {};

function followPointer(id) {
  byId(id).addEventListener("pointermove", (event) => {
    const left = byId(id).getBoundingClientRect().left;
    pointedAt = timeAt[id]?.(event.clientX - left) ?? null;
    showCharts();
  });
  byId(id).addEventListener("pointerleave", () => {
    pointedAt = null;
    showCharts();
  });
}

function showEvents() {
  const events = (record?.events ?? []).map((event, index) => ({ ...event, n: index + 1 }));
  const missing = record?.missing ?? [];
  byId("happened").hidden = events.length + missing.length === 0;
  keyed(byId("missing"), missing, (words) => words, (words) => el("li", {}, words), () => {});
  const shown = events.slice(-MOST_EVENTS).reverse();
  const make = ({ n, t, kind, text }) =>
    el("li", { value: n }, el("time", {}, duration(t)), " ", el("b", {}, kind), " ", text);
  keyed(byId("events"), shown, ({ n, t }) => `${n} ${t}`, make, () => {});
}

document.documentElement.classList.toggle("framed", window.top !== window);
for (const id of ["group", "span"]) byId(id).addEventListener("change", showCharts);
for (const id of ["ratio", "touched", "alive", "closing", "expired"]) followPointer(id);
addEventListener("resize", showCharts);
beginLinks(isVisible);
look();
