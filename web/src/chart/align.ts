import type { MatrixSeries } from '../api/client';
import { number } from '../format/value';

// Series of a range query on one time axis; null where a series says nothing. Between two points
// further apart than a step there is a gap, so the axis holds every step.
export function align(series: MatrixSeries[], start: number, end: number, step: number): { times: number[]; columns: (number | null)[][] } {
  const count = Math.max(1, Math.floor((end - start) / step + 1e-6) + 1);
  const times = Array.from({ length: count }, (_, i) => Math.round((start + i * step) * 1000) / 1000);
  const columns = series.map((s) => {
    const column = new Array<number | null>(count).fill(null);
    for (const [t, text] of s.values ?? []) {
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
