// From the record's samples to lines over time. Counters become ratios and rates of stretches of
// time; a stretch in which nobody read is a gap, never a zero.

const WIDTHS_S = [5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600];
const MOST_BINS = 60;

export function binWidth(spanS) {
  return WIDTHS_S.find((width) => spanS / width <= MOST_BINS) ?? WIDTHS_S.at(-1);
}

// [{t, sums, s}] for each stretch: its middle, what the counters grew by, and in how many seconds.
// `read` gives a sample's counters, or null while there are none: then they begin at 0. So does a
// counter that fell, and, if the run `beganAtZero`, what the first sample tells.
function binned(samples, width, read, beganAtZero) {
  const bins = new Map();
  let before = beganAtZero ? { t: 0, counters: [] } : null;
  for (const sample of samples) {
    const now = read(sample);
    if (now !== null && before !== null) {
      const index = Math.floor((before.t + sample.t) / 2 / width);
      const bin = bins.get(index) ?? { t: (index + 0.5) * width, sums: now.map(() => 0), s: 0 };
      now.forEach((value, i) => {
        const had = before.counters[i] ?? 0;
        bin.sums[i] += value < had ? value : value - had;
      });
      bin.s += sample.t - before.t;
      bins.set(index, bin);
    }
    before = { t: sample.t, counters: now ?? [] };
  }
  return [...bins.values()].sort((a, b) => a.t - b.t);
}

export function ratioPoints(samples, name, width) {
  const bins = binned(samples, width, (sample) => sample.readers[name] ?? [0, 0], true);
  return bins.map(({ t, sums: [reads, stale] }) => ({
    t,
    value: reads > 0 ? Math.min(1, stale / reads) : null,
    words: `${stale} of ${reads}`,
  }));
}

// How much a counter grew each second; one that is older than the run says nothing at first.
export function ratePoints(samples, read, width, beganAtZero) {
  const bins = binned(samples, width, (sample) => {
    const value = read(sample);
    return value === null ? null : [value];
  }, beganAtZero);
  return bins.map(({ t, sums, s }) => ({ t, value: s > 0 ? sums[0] / s : null }));
}

export function gaugePoints(samples, read, most = 300) {
  const step = Math.max(1, Math.ceil(samples.length / most));
  const kept = samples.filter((_, index) => index % step === 0 || index === samples.length - 1);
  return kept.map((sample) => ({ t: sample.t, value: read(sample) }));
}

// The latest stretch of a run, and one sample before it, from which its first counts are told.
export function latest(samples, from) {
  const first = samples.findIndex((sample) => sample.t >= from);
  return first < 0 ? [] : samples.slice(Math.max(0, first - 1));
}
