// Annotations that are PromQL: where the expression is not zero there is a mark; neighbours are one.
import { queryRange, type MatrixSeries } from '../api/client';
import { parseDuration } from '../format/time';
import { number } from '../format/value';
import type { Mark } from './ask';
import { colorOf } from './colors';
import { fill, roundInterval, type Scope, type Times } from './interpolate';
import type { Annotation, Dashboard } from './model';

const MOST = 500;

export async function marksOf(board: Dashboard, scope: Scope, times: Times, off: string[], signal: AbortSignal): Promise<Mark[]> {
  const lists = await Promise.all(
    // A name in `off` turns round what the file says.
    board.annotations.filter((a) => a.enabled !== off.includes(a.name)).map(async (a) => {
      const step = Math.max(parseDuration(fill(a.step, board, scope, times, 'text')) || 60, roundInterval((times.to - times.from) / 500));
      try {
        const { data } = await queryRange(fill(a.expr, board, scope, { ...times, step }), Math.floor(times.from / step) * step, Math.floor(times.to / step) * step, step, signal);
        return data.resultType === 'matrix' ? data.result.flatMap((s) => marksIn(a, s, step)) : [];
      } catch {
        return []; // A dashboard is more than its annotations.
      }
    }),
  );
  return lists.flat().slice(0, MOST);
}

export function marksIn(a: Annotation, series: MatrixSeries, step: number): Mark[] {
  const label = (text: string): string => text.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, n) => series.metric[n] ?? '');
  const made = (from: number, to?: number): Mark => ({ from, to, panels: a.panels, color: colorOf(a.color), title: label(a.title) || a.name, text: [label(a.text), ...a.tagKeys.map((k) => series.metric[k]).filter(Boolean)].filter(Boolean).join(' · ') });
  const on = (series.values ?? []).map(([t, v]) => ({ t, v: number(v) })).filter(({ v }) => v !== 0 && Number.isFinite(v));
  // The value may be the moment itself, in milliseconds.
  if (a.valueForTime) return [...new Set(on.map(({ v }) => v))].map((v) => made(v / 1000));
  const out: Mark[] = [];
  for (const { t } of on) {
    const last = out[out.length - 1];
    if (last && t - (last.to ?? last.from) <= step * 1.01) last.to = t;
    else out.push(made(t));
  }
  return out;
}
