import { ColumnSeries, type MatrixSeries } from '../api/client';
import { number } from '../format/value';

// Series of a range query on one time axis; null where a series says nothing. Between two points
// further apart than a step there is a gap, so the axis holds every step.
export function align(series: MatrixSeries[], start: number, end: number, step: number): { times: number[]; columns: (number | null)[][] } {
  const count = Math.max(1, Math.floor((end - start) / step + 1e-6) + 1);
  const times = Array.from({ length: count }, (_, i) => Math.round((start + i * step) * 1000) / 1000);
  const columns = series.map((s) => {
    const column = new Array<number | null>(count).fill(null);
    if (s instanceof ColumnSeries) {
      const shift = Math.round((s.start - start) / step);
      if (s.step === step || s.column.length <= 1) {
        s.column.forEach((v, k) => {
          const i = k + shift;
          if (v !== null && Number.isFinite(v) && i >= 0 && i < count) column[i] = v;
        });
      }
    } else for (const [t, text] of s.values ?? []) {
      const i = Math.round((t - start) / step);
      if (i < 0 || i >= count) continue;
      const v = number(text);
      column[i] = Number.isFinite(v) ? v : null;
    }
    for (const [t, h] of s.histograms ?? []) {
      const i = Math.round((t - start) / step);
      if (i >= 0 && i < count) column[i] = number(h.count);
    }
    return column;
  });
  return { times, columns };
}

// An answer to [from, end] put behind what is known up to there; what is older than `start` is dropped.
// Series that are new begin, and those that ended stay until they leave the window.
export function splice(old: MatrixSeries[], fresh: MatrixSeries[], from: number, start: number): MatrixSeries[] {
  const key = (m: Record<string, string>): string => JSON.stringify(Object.entries(m).sort(([a], [b]) => (a < b ? -1 : 1)));
  const keep = <T>(list: [number, T][] | undefined, test: (t: number) => boolean): [number, T][] => (list ?? []).filter(([t]) => test(t));
  const made = new Map<string, MatrixSeries>();
  for (const s of old) made.set(key(s.metric), { metric: s.metric, values: keep(s.values, (t) => t >= start - 1e-6 && t < from - 1e-6), histograms: s.histograms && keep(s.histograms, (t) => t >= start - 1e-6 && t < from - 1e-6) });
  for (const s of fresh) {
    const known = made.get(key(s.metric));
    if (!known) made.set(key(s.metric), { metric: s.metric, values: s.values, histograms: s.histograms });
    else {
      known.values = [...(known.values ?? []), ...keep(s.values, (t) => t >= from - 1e-6)];
      if (known.histograms || s.histograms) known.histograms = [...(known.histograms ?? []), ...keep(s.histograms, (t) => t >= from - 1e-6)];
    }
  }
  return [...made.values()].filter((s) => (s.values?.length ?? 0) > 0 || (s.histograms?.length ?? 0) > 0);
}
