import { useEffect, useState } from 'preact/hooks';
import { get } from '../api/client';
import type { ChartDot } from '../chart/chart';
import { stamp } from '../format/time';
import { number } from '../format/value';

interface Exemplars {
  seriesLabels: Record<string, string>;
  exemplars: { labels: Record<string, string>; value: string; timestamp: number }[];
}

const MOST = 300;
const NONE: ChartDot[] = [];

// The exemplars of what an expression selects; none for an empty one.
export function useExemplars(expr: string, start: number, end: number): ChartDot[] {
  const [dots, setDots] = useState<ChartDot[]>(NONE);
  useEffect(() => {
    if (expr === '') {
      setDots(NONE);
      return;
    }
    const abort = new AbortController();
    get<Exemplars[]>('query_exemplars', { query: expr, start: String(start), end: String(end) }, abort.signal).then(
      (a) => {
        const all = (a.data ?? []).flatMap((s) => s.exemplars.map((e): ChartDot => ({ t: e.timestamp, v: number(e.value), text: `${Object.entries(e.labels).map(([k, v]) => `${k}=${v}`).join(' ')} · ${e.value} · ${stamp(e.timestamp, true)} UTC` })));
        setDots(all.filter((d) => Number.isFinite(d.v)).slice(-MOST));
      },
      () => !abort.signal.aborted && setDots(NONE),
    );
    return () => abort.abort();
  }, [expr, start, end]);
  return dots;
}
